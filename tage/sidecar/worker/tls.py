"""TLS of the plan -> contexts. Raises `net.tls.TlsError` for what does not serve, `KeyError` for what is not there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tage.dataplane.net import tls
from tage.sidecar import plan
from tage.sidecar.worker import http2

Sections = Mapping[plan.SectionKey, plan.Section]


def needs(settings: plan.DownstreamTls | plan.UpstreamTls | None) -> set[plan.SectionKey]:
    """The sections that it names."""
    if settings is None:
        return set()
    keys = {("certificate", name) for name in settings.certificates}
    return keys | {("trust", settings.trust)} if settings.trust else keys


def server(chain: plan.FilterChain, sections: Sections) -> tls.ServerTls:
    """Of a chain that has TLS."""
    settings = chain.tls
    assert settings is not None
    return tls.ServerTls(
        [_pair(name, sections) for name in settings.certificates],
        _parameters(settings.parameters, http2.offered(chain, settings.alpn)),
        _trust(settings.trust, sections),
        settings.require_client_certificate,
    )


def client(cluster: plan.Cluster, sections: Sections) -> tls.ClientTls:
    """Of a cluster that has TLS."""
    settings = cluster.tls
    assert settings is not None
    pair = _pair(settings.certificates[0], sections) if settings.certificates else None
    trust = _trust(settings.trust, sections)

    def made(asked: list[str]) -> tls.ClientTls:
        return tls.ClientTls(pair, _parameters(settings.parameters, asked), settings.sni, trust)

    first = made(http2.asked(cluster))
    if http2.two_pools(cluster):
        first.second = made(http2.asked(cluster, second=True))
    return first


def _pair(name: str, sections: Sections) -> tls.KeyPair:
    section = sections["certificate", name]
    assert isinstance(section, plan.Certificate)
    return tls.KeyPair(section.chain, section.key, section.password)


def _trust(name: str, sections: Sections) -> tls.Trust | None:
    if not name:
        return None
    section = sections["trust", name]
    assert isinstance(section, plan.Trust)
    names = tls.names_of(
        (each.type, each.value.kind, each.value.value, each.value.ignore_case) for each in section.names
    )
    return tls.Trust(section.ca, section.crl, names, section.hashes)


def _parameters(parameters: plan.TlsParameters, alpn: Iterable[str]) -> tls.Parameters:
    return tls.Parameters(parameters.minimum, parameters.maximum, parameters.ciphers, list(alpn))
