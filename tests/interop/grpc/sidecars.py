"""Two sidecars in a row between client and server, over HTTP/2: outbound in plain text by prior knowledge, between the
two in plain text or over mutual TLS with ALPN, inbound in plain text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.authority import Authority
from tests.e2e.bootstraps import Json, bootstrap, cluster, listener, route, virtual_host
from tests.e2e.ports import free_port
from tests.e2e.sidecar import Sidecar, sidecar

_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
INSTANCE = "instance.test"
CALLER = "spiffe://cluster.local/ns/default/sa/caller"
MANY = 100_000
"""Requests at a time that circuit breakers allow; Envoy's own default is 1,024."""


def http2_cluster(name: str, *ports: int, options: Json | None = None, **fields: object) -> Json:
    typed = {"@type": f"type.googleapis.com/{_OPTIONS}"}
    typed |= {"explicit_http_config": {"http2_protocol_options": options or {}}}
    breakers = {"thresholds": [{"max_requests": MANY, "max_pending_requests": MANY}]}
    found = cluster(name, *ports, typed_extension_protocol_options={_OPTIONS: typed}, circuit_breakers=breakers)
    return {**found, **fields}


def http2_listener(name: str, port: int, target: str, **fields: object) -> Json:
    """Everything to one cluster, for as long as it takes."""
    routes = [virtual_host("*", route(target, timeout="0s"))]
    return listener(name, port, routes, codec_type="HTTP2", **fields)


@dataclass
class Identity:
    """Certificates of both sidecars, as files."""

    directory: Path
    authority: Authority = field(default_factory=Authority)

    def _certificate(self, name: str, *names: str, uris: tuple[str, ...] = ()) -> Json:
        pair = self.authority.issue(*names, uris=uris)
        (self.directory / "ca.pem").write_bytes(self.authority.pem)
        (self.directory / f"{name}.pem").write_bytes(pair.chain)
        (self.directory / f"{name}.key").write_bytes(pair.key)
        return {
            "alpn_protocols": ["h2"],
            "tls_certificates": [
                {
                    "certificate_chain": {"filename": str(self.directory / f"{name}.pem")},
                    "private_key": {"filename": str(self.directory / f"{name}.key")},
                }
            ],
            "validation_context": {"trusted_ca": {"filename": str(self.directory / "ca.pem")}},
        }

    def server(self) -> Json:
        common = self._certificate("instance", INSTANCE)
        typed = {"@type": f"{_TLS}.DownstreamTlsContext", "common_tls_context": common}
        return {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {**typed, "require_client_certificate": True},
        }

    def client(self) -> Json:
        common = self._certificate("caller", uris=(CALLER,))
        typed = {"@type": f"{_TLS}.UpstreamTlsContext", "common_tls_context": common, "sni": INSTANCE}
        return {"name": "envoy.transport_sockets.tls", "typed_config": typed}


@dataclass(frozen=True)
class Pair:
    """`port` is where the client calls; `front` and `back` are the sidecars' bootstraps."""

    port: int
    front: Json
    back: Json

    @contextmanager
    def run(self, directory: Path, name: str) -> Iterator[tuple[Sidecar, Sidecar]]:
        with (
            sidecar(directory, self.back, name=f"back-{name}") as back,
            sidecar(directory, self.front, name=f"front-{name}") as front,
        ):
            yield front, back


def pair(server: int, identity: Identity | None = None) -> Pair:
    """In front of a server's port; over TLS between the two with an identity."""
    outbound, inbound = free_port(), free_port()
    entrance = http2_listener("inbound", inbound, "instance")
    callee = http2_cluster("callee", inbound)
    if identity is not None:
        entrance["filter_chains"][0]["transport_socket"] = identity.server()
        callee["transport_socket"] = identity.client()
    return Pair(
        outbound,
        bootstrap(free_port(), [http2_listener("outbound", outbound, "callee")], [callee]),
        bootstrap(free_port(), [entrance], [http2_cluster("instance", server)]),
    )
