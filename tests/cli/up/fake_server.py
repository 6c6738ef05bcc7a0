"""Stands in for a control plane or a sidecar in the runner's tests: answers every GET with a given status until
SIGTERM, and appends its name to a file then. Run as a script: NAME ADDRESS PORT STATUS LOG [REGISTRY]."""

from __future__ import annotations

import json
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def endpoints() -> bytes:
    """The instances that are ready, as a sidecar's admin API lists them."""
    services = json.loads(Path(sys.argv[6]).read_bytes())["services"]
    instances = [instance for service in services for instance in service.get("instances", ())]
    lines = (f"x::{item['address']}:{item['port']}::\n" for item in instances if item.get("ready", True))
    return "".join(lines).encode()


def serve(name: str, address: str, port: int, status: int, log: str) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/clusters":
                body = endpoints()
            else:
                body = b"OK\n" if status == 200 else b"no listeners yet\n"
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    def end(*_: object) -> None:
        with open(log, "a") as file:
            file.write(f"{name}\n")
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)
    with ThreadingHTTPServer((address, port), Handler) as server:
        print(f"{name} listens", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
