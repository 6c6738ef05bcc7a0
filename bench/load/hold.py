"""Idle keep-alive connections: opens them one after the other, sends one request on each, and holds them.

Run as a process: `python -m bench.load.hold '{"port": ..., ...}'` with the fields of `Plan`. It prints `holds N` when N
connections stand (or ends with an error), and after SIGTERM `closed N`, how many of them the server had ended by then.
They come from several loopback addresses, so that ports suffice.
"""

from __future__ import annotations

import json
import signal
import socket
import ssl
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.certificates import Certificates
from bench.load import tls
from bench.load.handshakes import read_answer

SOURCES = 8
"""Loopback addresses: 127.0.0.2 and following."""


@dataclass(frozen=True)
class Plan:
    port: int
    connections: int
    request: str
    body: str
    certificates: str = ""
    """Folder of the run's certificates; empty: no TLS."""


def hold(plan: Plan) -> list[socket.socket]:
    """All connections, one answer read on each. Raises OSError, also for a wrong answer."""
    certificates = Certificates(Path(plan.certificates)) if plan.certificates else None
    request, body = plan.request.encode("latin-1"), plan.body.encode("latin-1")
    held = []
    for number in range(plan.connections):
        sock = tls.connect(plan.port, certificates, source=f"127.0.0.{2 + number % SOURCES}")
        sock.sendall(request)
        if not read_answer(sock, body):
            raise OSError(f"connection {number}: another answer than expected")
        sock.setblocking(False)
        held.append(sock)
    return held


def closed(held: list[socket.socket]) -> int:
    """How many the server has ended, or sent something that nobody asked for."""
    count = 0
    for sock in held:
        try:
            sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            continue
        except OSError:
            pass  # reset: counted like an orderly end
        count += 1
    return count


def main() -> None:
    # Blocked before anything else, so that one that comes early is not lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        held = hold(Plan(**json.loads(sys.argv[1])))
    except OSError as error:
        sys.exit(f"hold: {error}")
    print(f"holds {len(held)}", flush=True)
    signal.sigwait({signal.SIGTERM})
    print(f"closed {closed(held)}", flush=True)


if __name__ == "__main__":
    main()
