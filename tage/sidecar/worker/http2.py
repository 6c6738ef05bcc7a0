"""HTTP/2 of the plan -> the settings with which connections speak it, and the names by which TLS agrees to it."""

from __future__ import annotations

from tage.dataplane.protocols.http2.settings import Http2Settings
from tage.dataplane.streams.context import Codec
from tage.dataplane.upstream.cluster_info import Http2For
from tage.sidecar import plan

HTTP1 = frozenset({"http/1.1", "http/1.0"})
HTTP2 = frozenset({"h2"})
"""What can be agreed to by ALPN; other names of a list are not offered."""

FOR = {"all": Http2For.FOR_ALL, "alpn": Http2For.FOR_ALPN, "downstream": Http2For.FOR_DOWNSTREAM}

_CODECS = {"auto": Codec.AUTO, "http1": Codec.HTTP1, "http2": Codec.HTTP2}
_NAMES = {Codec.AUTO: HTTP1 | HTTP2, Codec.HTTP1: HTTP1, Codec.HTTP2: HTTP2}
_FIELDS = (*plan.Http2.__struct_fields__, "max_head_bytes", "max_headers")


def codec(chain: plan.FilterChain) -> Codec:
    """What a chain's clients may speak, where it is HTTP."""
    if chain.http is None or chain.http.x_protocol is not None:
        return Codec.HTTP1
    return _CODECS[chain.http.codec]


def offered(chain: plan.FilterChain, names: list[str]) -> list[str]:
    """Of these names those that the chain's clients may agree to; all of them where it is not HTTP."""
    if chain.http is None:
        return names
    return [name for name in names if name in _NAMES[codec(chain)]]


def asked(cluster: plan.Cluster, *, second: bool = False) -> list[str]:
    """What a cluster's hosts are asked for, on connections of their first pool, or of the second (`upstream.host`).
    Where names of what is spoken there are listed, others are not offered; HTTP/2 is asked for whether it is listed or
    not, as by Envoy."""
    listed = cluster.tls.alpn if cluster.tls is not None else []
    if cluster.http2 is not None and cluster.http2_for == "alpn":
        spoken, otherwise = (HTTP1, ["http/1.1"]) if second else (HTTP1 | HTTP2, ["h2", "http/1.1"])
        return [name for name in listed if name in spoken] or otherwise
    if cluster.http2 is not None and (cluster.http2_for == "all" or second):
        return [name for name in listed if name in HTTP2] or listed or ["h2"]
    return [name for name in listed if name in HTTP1] or listed


def two_pools(cluster: plan.Cluster) -> bool:
    return cluster.http2 is not None and cluster.http2_for != "all"


def of_listener(http: plan.Http, before: Http2Settings | None) -> Http2Settings | None:
    if http.codec == "http1" or http.x_protocol is not None:
        return None
    return _settings(http.http2, before, max_head_bytes=http.max_head_bytes, max_headers=http.max_headers)


def of_cluster(section: plan.Cluster, before: Http2Settings | None) -> Http2Settings | None:
    return _settings(section.http2, before) if section.http2 is not None else None


def _settings(given: plan.Http2, before: Http2Settings | None, **limits: int) -> Http2Settings:
    """`before` where it says the same: whose settings are the same object goes on as it is."""
    made = Http2Settings(**{field: getattr(given, field) for field in plan.Http2.__struct_fields__}, **limits)
    if before is not None and all(getattr(before, field) == getattr(made, field) for field in _FIELDS):
        return before
    return made
