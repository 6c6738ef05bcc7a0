"""The RPC load generator as a process: `python -m bench.rpc.generate '{"port": ..., ...}'` with the fields of `Plan`;
prints one line of JSON, the fields of `Outcome`.

With a rate the loop is open: requests fall due at times of a Poisson process with a fixed seed, drawn beforehand,
whatever the answers do, and a latency counts from when a request was due, so waiting for a free place counts. Without
one it is closed: each answer calls for the next request.
"""

from __future__ import annotations

import array
import gc
import json
import random
import sys
import time
from dataclasses import asdict, dataclass, field

from bench.latencies import in_microseconds
from bench.load.generator import fine_timers
from bench.load.pacing import WARM_UP_SECONDS
from bench.rpc.wires import WIRES


@dataclass(frozen=True)
class Plan:
    port: int
    wire: str
    connections: int
    depth: int
    """Requests under way on each connection, at most."""
    seconds: float
    rate: float = 0.0
    """Requests a second; 0: a closed loop."""
    routed: bool = True
    """Each service has its own clusters; else any may answer."""
    seed: int = 7


@dataclass
class Outcome:
    """Latencies in microseconds; 0 where the loop was closed."""

    requests: int
    seconds: float
    failures: int
    busy: float
    reason: str
    by_cluster: dict[str, int] = field(default_factory=dict)
    p50_us: float = 0.0
    p90_us: float = 0.0
    p99_us: float = 0.0
    p999_us: float = 0.0
    max_us: float = 0.0
    lateness_p99_us: float = 0.0


def run(plan: Plan) -> Outcome:
    """Raises OSError when nothing listens there, SystemExit when that is so later."""
    from bench.rpc.asking import Generator  # compiled

    generator = Generator(plan.port, WIRES[plan.wire], plan.connections, plan.depth, plan.routed)
    dues = _dues(plan)
    gc.disable()
    cpu, began = time.process_time(), time.monotonic()
    if plan.rate:
        generator.pace(array.array("d", (began + due for due in dues)), began + WARM_UP_SECONDS)
        seconds = plan.seconds
    else:
        seconds = generator.saturate(plan.seconds)
    busy = (time.process_time() - cpu) / (time.monotonic() - began)
    generator.close()
    failures = generator.failures
    reason = "; ".join(f"{count} times {reason}" for reason, count in failures.items())
    if generator.wrong:
        reason += f"; the first frame: {generator.wrong.hex(' ')}"
    return Outcome(
        requests=generator.answered,
        seconds=seconds,
        failures=sum(failures.values()),
        busy=busy,
        reason=reason,
        by_cluster=generator.by_cluster,
        **in_microseconds(generator.latencies, generator.lateness),
    )


def _dues(plan: Plan) -> list[float]:
    """Seconds from the start; none in a closed loop."""
    dues: list[float] = []
    gaps = random.Random(plan.seed)
    due = gaps.expovariate(plan.rate) if plan.rate else WARM_UP_SECONDS + plan.seconds
    while due < WARM_UP_SECONDS + plan.seconds:
        dues.append(due)
        due += gaps.expovariate(plan.rate)
    return dues


def main() -> None:
    plan = Plan(**json.loads(sys.argv[1]))
    fine_timers()
    try:
        print(json.dumps(asdict(run(plan))))
    except OSError as error:
        sys.exit(f"cannot connect to port {plan.port}: {error.strerror or error}")


if __name__ == "__main__":
    main()
