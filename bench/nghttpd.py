"""The cluster `items` in the rows of HTTP/2 and gRPC: one nghttpd on the load's core, over HTTP/2 in plain text.

The fastest of these rows' proxies take some 8 us for a request, so what feeds them must cost no more: h2load takes 4 us
and nghttpd 5, but nginx over HTTP/2 15. The other clusters, which are only checked, are nginx's (peers/backend.conf).
"""

from __future__ import annotations

from pathlib import Path

from bench.backend import Backend, body_of
from bench.exchanges import CLUSTER, EXCHANGES
from bench.processes import BenchError, Process, find_program, free_port

CHECKED = "/api/items/1"
MIME_TYPES = "text/plain txt\napplication/grpc grpc\n"


def start_items(directory: Path, core: int, grpc: bool) -> Backend:
    """With `grpc`, trailers follow every answer. It may not listen yet when this returns. Raises `BenchError` when
    nghttpd is not installed."""
    nghttpd = find_program("nghttpd")
    if nghttpd is None:
        raise BenchError(
            "nghttpd is not installed; it is the backend of this row (on Debian and Ubuntu: apt-get install "
            "nghttp2-server)"
        )
    directory.mkdir()
    documents = directory / "documents"
    for path, answer in [(CHECKED, body_of(CLUSTER)), *((each.path, each.answer) for each in EXCHANGES)]:
        file = documents / path.partition("?")[0].removeprefix("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(answer)
    types = directory / "mime.types"
    types.write_text(MIME_TYPES)
    port = free_port()
    argv = [nghttpd, "--no-tls", "-a", "127.0.0.1", "-d", str(documents), "--mime-types-file", str(types)]
    argv += ["--trailer", "grpc-status: 0"] if grpc else []
    process = Process("nghttpd", [*argv, str(port)], directory / "log", core)
    return Backend(process, {CLUSTER: port}, {f"{CLUSTER.upper()}_PORT": port})
