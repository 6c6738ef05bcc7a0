"""What the four services share: an HTTP/1.1 server for JSON, and calls to other services by their names.

Nothing here knows of a mesh. Calls go through the proxy that `http_proxy` names, as any use of urllib does, and the
server listens where `HOST` and `PORT` say. The one courtesy to tracing and to header rules is that a service hands on
a few headers of the request that it is answering.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANDED_ON = ("x-request-id", "traceparent", "end-user")

TIMEOUT = 5.0
"""Seconds for one call to another service."""

Answer = Callable[[str, Mapping[str, str]], Any]
"""Path and headers to hand on -> what to answer as JSON. Raises `NotFound` or `Unavailable`."""


class NotFound(Exception):
    """There is no such book: 404."""


class Unavailable(Exception):
    """A service that we need did not answer: 503."""


def call(url: str, headers: Mapping[str, str]) -> Any:
    """GET another service's JSON, as `call("http://ratings/ratings/1", headers)`. Raises `Unavailable`."""
    request = urllib.request.Request(url, headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            reason = error.read(200).decode(errors="replace").strip()
        raise Unavailable(f"{url}: {error.code} {reason}") from error
    except (OSError, ValueError) as error:
        raise Unavailable(f"{url}: {error}") from error


def book_number(path: str, collection: str) -> int:
    """7 for `/reviews/7` and collection `reviews`. Raises `NotFound`."""
    parts = path.partition("?")[0].strip("/").split("/")
    if len(parts) == 2 and parts[0] == collection and parts[1].isdecimal():
        return int(parts[1])
    raise NotFound(f"no {path} here; try /{collection}/1")


def serve(name: str, answer: Answer) -> None:
    """Answer GET and HEAD requests until the process is ended."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60  # Seconds that an idle connection is kept.
        wbufsize = -1  # Head and body leave together; apart, Nagle and delayed acknowledgements cost 40 ms a request.

        def do_GET(self) -> None:
            headers = {key: value for key in HANDED_ON if (value := self.headers.get(key)) is not None}
            try:
                status, content = 200, answer(self.path, headers)
            except NotFound as error:
                status, content = 404, {"error": str(error)}
            except Unavailable as error:
                self.log_error("%s", error)
                status, content = 503, {"error": str(error)}
            body = json.dumps(content, indent=2).encode() + b"\n"
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Not every request: the mesh counts them."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    address = (os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8080")))
    with Server(address, Handler) as server:
        print(f"{name} listens on {address[0]}:{address[1]}", flush=True)
        server.serve_forever()
