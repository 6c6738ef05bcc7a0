"""HTTP/2 in words, the same for clients and hosts."""

from __future__ import annotations

from tage.sidecar import plan
from tage.sidecar.explain.words import clauses, count, duration, size


def settings(given: plan.Http2) -> str:
    """Nothing, where all is as it is without being said."""
    if given == plan.Http2():
        return ""
    keepalive = (
        f"asked by a PING when silent for {duration(given.keepalive_interval)}, " if given.keepalive_interval else ""
    )
    return clauses(
        f"{count(given.max_concurrent_streams, 'request')} of a connection at a time",
        f"windows of {size(given.initial_stream_window)} a request and {size(given.initial_connection_window)}"
        " a connection",
        f"header tables of {size(given.header_table_size)}",
        f"{keepalive}a PING is answered within {duration(given.keepalive_timeout)}",
        "extended CONNECT" if given.allow_connect else "",
    )
