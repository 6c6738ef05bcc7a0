"""One module a parser; `TARGETS` by name, `GROUPS` of names."""

from __future__ import annotations

from fuzz.target import Target
from fuzz.targets import client_hello, detect, hessian, hpack, http1, http2, proxy_protocol, xprotocol

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        client_hello.TARGET,
        proxy_protocol.TARGET,
        detect.TARGET,
        http1.REQUESTS,
        http1.RESPONSES,
        hpack.TARGET,
        http2.TARGET,
        hessian.TARGET,
        *xprotocol.TARGETS,
    )
}

GROUPS: dict[str, list[str]] = {
    "all": list(TARGETS),
    "xprotocol": [target.name for target in (hessian.TARGET, *xprotocol.TARGETS)],
}
