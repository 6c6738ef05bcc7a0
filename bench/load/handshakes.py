"""A new TLS connection for each request, one after the other: what a full handshake costs a proxy.

Every connection verifies the server's chain, shows its client certificate where it is asked for one, sends one request
and reads the whole answer. A resumed session is a failure: it would be a cheaper handshake. (wrk cannot do this: it
takes up the last session again.)

Run as a process: `python -m bench.load.handshakes '{"port": ..., ...}'` with the fields of `Plan`; prints one line of
JSON, the fields of `bench.load.Handshaken`.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.certificates import Certificates
from bench.load import Handshaken, tls


@dataclass(frozen=True)
class Plan:
    port: int
    request: str
    body: str
    seconds: float
    certificates: str


def run(plan: Plan) -> Handshaken:
    certificates = Certificates(Path(plan.certificates))
    request, body = plan.request.encode("latin-1"), plan.body.encode("latin-1")
    connections = failures = 0
    began = time.monotonic()
    while time.monotonic() < began + plan.seconds:
        connections += 1
        try:
            with tls.connect(plan.port, certificates) as sock:
                assert isinstance(sock, ssl.SSLSocket)
                failures += not _asked(sock, request, body)
        except OSError:
            failures += 1
    return Handshaken(connections, time.monotonic() - began, failures)


def _asked(sock: ssl.SSLSocket, request: bytes, body: bytes) -> bool:
    """Whether the answer is right, and the handshake was a full one."""
    sock.sendall(request)
    return read_answer(sock, body) and not sock.session_reused


def read_answer(sock: socket.socket, body: bytes) -> bool:
    """Reads one whole answer from a blocking socket: whether it is a 200 with this body and nothing behind it."""
    received = b""
    while True:
        head = received.find(b"\r\n\r\n")
        if head >= 0 and len(received) >= head + 4 + len(body):
            return received.startswith(b"HTTP/1.1 200 ") and received[head + 4 :] == body
        data = sock.recv(65536)
        if not data:
            return False
        received += data


def main() -> None:
    print(json.dumps(asdict(run(Plan(**json.loads(sys.argv[1]))))))


if __name__ == "__main__":
    main()
