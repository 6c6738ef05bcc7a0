"""Remote calls that are asked about: `bolt://com.example.Stock/check`, with metadata as headers.

Routing sees them as requests: the authority is the service, the path /service/method, the method POST. What they are on
the wire does not matter here, so that no protocol has to be loaded.
"""

from __future__ import annotations

import re

from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.protocols.message import RequestHead
from tage.sidecar import plan
from tage.sidecar.explain.apart import QuestionError
from tage.sidecar.explain.findings import Header

METHOD = "POST"

_SCHEME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def protocol_of(scheme: str) -> str:
    """The protocol that a URL's scheme names, as plans call it; empty where it cannot be one."""
    return scheme.removeprefix("x-") if _SCHEME.fullmatch(scheme) else ""


def split(target: str) -> tuple[str, str]:
    """(service, path) of what stands behind the scheme: a service may have colons in its name, and no slash."""
    service, _, method = target.partition("/")
    if not service:
        raise QuestionError("which service? say PROTOCOL://SERVICE/METHOD")
    if "/" in method:
        raise QuestionError(f"{target!r} has more than a service and a method")
    return service, f"/{service}/{method}"


def method_of(path: str) -> str:
    return path.rpartition("/")[2]


def speaks(chain: plan.FilterChain) -> str:
    """The protocol of remote calls that a filter chain reads; empty: none."""
    return chain.http.x_protocol.protocol if chain.http is not None and chain.http.x_protocol is not None else ""


def forwarded(head: RequestHead, edits: HeaderEdits) -> tuple[str, str, list[Header]]:
    """Authority, path and headers of what goes on: what rules change, and nothing else."""
    gone: list[bytes] = edits.names or []
    left = {each.lower() for each in gone}
    kept = [(name, value) for name, value in head.headers() if name.lower() not in left]
    for line in filter(None, edits.extra.split(b"\r\n")):
        name, _, value = line.partition(b": ")
        kept.append((name, value))
    authority: bytes = head.authority if edits.authority is None else edits.authority
    path: bytes = head.path if edits.path is None else edits.path
    return _text(authority), _text(path), [Header(_text(name).lower(), _text(value)) for name, value in kept]


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
