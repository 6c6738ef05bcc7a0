"""`python -m bench.plans`: for how long a change of the plan keeps a worker from its traffic, and what a pick costs.

The worker's own tables are given plans in this process: no sockets, no traffic. A slice is what runs between two turns
of the loop, in CPU time of the thread, so that a busy machine changes the figures less; the longest of each change is
shown, the best of several rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench import machine, tables
from tage.dataplane import native
from tage.dataplane.net.reactor import Reactor
from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.streams.context import Context
from tage.dataplane.telemetry.store import StatStore
from tage.sidecar import plan
from tage.sidecar.worker.tables import Tables

HEADINGS = ("change", "prepare: slices", "longest ms", "commit: slices", "longest ms")
CLUSTERS = 1_000
ENDPOINTS = 1_000
POLICIES = ("round_robin", "least_request", "ring_hash", "maglev")
_MEMORY = "/dev/shm"
PICKS = 20_000


@dataclass(frozen=True)
class Slices:
    """Of a plan's two phases, in ms."""

    prepare: list[float]
    commit: list[float]


def endpoints(name: str, first: int, count: int) -> plan.Endpoints:
    addresses = (f"10.{at >> 16 & 255}.{at >> 8 & 255}.{at & 255}" for at in range(first, first + count))
    return plan.Endpoints(name, [plan.Endpoint(address, 80) for address in addresses])


def services(count: int) -> Iterator[plan.Section]:
    """Clusters of one endpoint, and a virtual host for each."""
    for at in range(count):
        yield plan.Cluster(f"c{at}", f"c{at}")
        yield endpoints(f"c{at}", at, 1)
    match = plan.RouteMatch(plan.StringMatch("prefix", "/"))
    rules = [plan.Route(match, clusters=[plan.WeightedCluster(f"c{at}")]) for at in range(count)]
    yield plan.Routes("r", [plan.VirtualHost(f"v{at}", [f"h{at}"], [rule]) for at, rule in enumerate(rules)])
    yield plan.Listener("l", "127.0.0.1", 1, chains=[plan.FilterChain(http=plan.Http("r"))])


def changes(clusters: int, count: int) -> Iterator[tuple[str, bool, list[plan.Section]]]:
    """(name, whether it is a whole plan, sections). The first is where they begin."""
    yield "one cluster", True, list(services(1))
    yield f"{clusters:,} new clusters", False, list(services(clusters))
    yield f"{clusters:,} clusters gone", True, list(services(1))
    for policy in POLICIES:
        cluster = plan.Cluster("c0", "c0", plan.LoadBalancing(policy))  # type: ignore[arg-type]
        yield f"{policy}: {count:,} endpoints", False, [cluster, endpoints("c0", 0, count)]
        yield f"{policy}: {count:,} endpoints, one changed", False, [endpoints("c0", 1, count)]
        yield f"{policy}: {count:,} endpoints, all new", False, [endpoints("c0", 2 * count, count)]


class Worker:
    """A worker's tables, and a loop that is looked at."""

    def __init__(self, directory: Path) -> None:
        loop = asyncio.get_running_loop()
        self.context = Context(TimerWheel(loop.call_later))
        self._tables = Tables(self.context, StatStore(directory / "stats"), loop, Reactor(loop))
        self._version = 0

    async def apply(self, whole: bool, sections: Sequence[plan.Section]) -> Slices:
        self._version += 1
        upserts = [(plan.kind_of(each), each.name, plan.encode(each)) for each in sections]
        gc.disable()
        found: list[list[float]] = []
        draft = None
        for committing in (False, True):
            slices: list[float] = []
            found.append(slices)
            watching = asyncio.ensure_future(_watch(slices))
            await asyncio.sleep(0)
            if not committing:
                draft = await self._tables.prepare(plan.Prepare(self._version, whole, upserts))
            elif draft is not None:
                await self._tables.commit(draft)
                del draft
                gc.freeze()
            await asyncio.sleep(0)
            watching.cancel()
        gc.enable()
        return Slices(*found)


async def _watch(slices: list[float]) -> None:
    while True:
        before = time.thread_time()
        await asyncio.sleep(0)
        slices.append((time.thread_time() - before) * 1e3)


async def measure(rounds: int, clusters: int, count: int) -> tuple[dict[str, list[Slices]], dict[str, float]]:
    """By change, each round's slices; by policy, the best nanoseconds of a pick."""
    slices: dict[str, list[Slices]] = {}
    picks: dict[str, float] = {}
    memory = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    for _ in range(rounds):
        # As a sidecar's run directory is advised to be: touching a file on a disk takes a millisecond now and then.
        with tempfile.TemporaryDirectory(prefix="tage-bench-", dir=memory) as directory:
            worker = Worker(Path(directory))
            for name, whole, sections in changes(clusters, count):
                slices.setdefault(name, []).append(await worker.apply(whole, sections))
                policy = name.partition(":")[0]
                if policy in POLICIES:
                    cost = _pick(worker.context)
                    picks[policy] = min(picks.get(policy, cost), cost)
    return slices, picks


def _pick(context: Context) -> float:
    """Nanoseconds, the call from Python included."""
    cluster, random = context.clusters["c0"], context.random
    before = time.thread_time()
    for key in range(PICKS):
        cluster.pick(random, None, key * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF, None)
    return (time.thread_time() - before) / PICKS * 1e9


def rows(slices: dict[str, list[Slices]]) -> list[list[str]]:
    return [
        [
            name,
            f"{len(each[0].prepare)}",
            f"{min(max(one.prepare) for one in each):.2f}",
            f"{len(each[0].commit)}",
            f"{min(max(one.commit) for one in each):.2f}",
        ]
        for name, each in slices.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.plans", description="How long a change of the plan takes at a time.")
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    parser.add_argument("--commit", action="store_true", help="write the page bench/results/plans.md too")
    options = parser.parse_args()
    host = machine.describe()
    slices, picks = asyncio.run(measure(options.rounds, CLUSTERS, ENDPOINTS))
    costs = ", ".join(f"{policy} {cost:.0f}" for policy, cost in picks.items())
    notes = [
        tables.machine_note(host),
        f"ns a pick of {ENDPOINTS:,} hosts, the call from Python included: {costs}",
        *tables.caveats([], host),
    ]
    if not native.__file__.endswith(".so"):
        notes.append("uncompiled: these are not the worker's figures")
    found = rows(slices)
    tables.show("plans", HEADINGS, found, notes, Console())
    if options.commit:
        page = [*tables.markdown(HEADINGS, found), "", *(f"- {note}" for note in notes), ""]
        print(tables.write_page("plans", "How long a change of the plan takes at a time", "plans.md", page))


if __name__ == "__main__":
    main()
