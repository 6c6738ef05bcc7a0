"""Certificates, and whose are believed."""

from __future__ import annotations

from typing import Literal

import msgspec

from tage.sidecar.plan.base import Section, StringMatch


class Certificate(Section, frozen=True, tag=True):
    """A certificate and its key, PEM. Source: envoy.extensions.transport_sockets.tls.v3.TlsCertificate."""

    chain: bytes
    key: bytes
    password: bytes = b""

    def __repr__(self) -> str:
        return f"Certificate({self.name!r})"  # a plan is logged, a key never


class SanMatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """One subject alternative name that will do. Source: SubjectAltNameMatcher."""

    type: Literal["dns", "uri", "email", "ip", "any"]
    value: StringMatch


class Trust(Section, frozen=True, tag=True):
    """Whose certificates are believed, and which names of theirs. Source: CertificateValidationContext."""

    ca: bytes = b""
    """PEM."""
    crl: bytes = b""
    names: list[SanMatch] = []
    """Empty: any name will do."""
    hashes: list[str] = []
    """SHA-256 of the certificate (DER), lower-case hexadecimal. Empty: any."""


class TlsParameters(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: TlsParameters. `ciphers` are those up to TLS 1.2, OpenSSL's names; TLS 1.3 has its own, all of them."""

    minimum: Literal["1.2", "1.3"] = "1.2"
    maximum: Literal["1.2", "1.3"] = "1.3"
    ciphers: list[str] = []


class DownstreamTls(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: DownstreamTlsContext. `certificates` and `trust` name sections."""

    certificates: list[str]
    """Several: the one that has the server name that the client asks for, else the first."""
    trust: str = ""
    """Empty: clients are not asked for a certificate."""
    require_client_certificate: bool = False
    alpn: list[str] = []
    parameters: TlsParameters = TlsParameters()


class UpstreamTls(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: UpstreamTlsContext. `certificates` and `trust` name sections."""

    certificates: list[str] = []
    trust: str = ""
    """Empty: the server's certificate is not verified, as in Envoy."""
    sni: str = ""
    alpn: list[str] = []
    parameters: TlsParameters = TlsParameters()
