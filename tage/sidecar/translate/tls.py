"""Transport sockets -> `plan.DownstreamTls`, `plan.UpstreamTls`, and the certificates and trust that they name.

Files are read here, so that one that is missing or holds something else is told with its field's path; the agent reads
them again when they change (`tage.sidecar.secrets`). A secret is named by where it comes from: contexts that use the
same files share it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Literal

from envoy.config.core.v3 import base_pb2, proxy_protocol_pb2
from envoy.extensions.transport_sockets.proxy_protocol.v3 import upstream_proxy_protocol_pb2
from envoy.extensions.transport_sockets.raw_buffer.v3 import raw_buffer_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, tls_pb2

from tage.sidecar import plan
from tage.sidecar.secrets import SecretError, load
from tage.sidecar.translate.draft import DataSource, SecretDraft
from tage.sidecar.translate.match import STRING, string
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Extension, Only, Shape, leaf, type_name, unpack

Secrets = dict[plan.SectionKey, SecretDraft]

_PACKAGE = "envoy.extensions.transport_sockets.tls.v3"
_SOURCE = Shape("envoy.config.core.v3.DataSource", ("filename", "inline_bytes", "inline_string"))
_WATCHED = "Tage reads every file of a secret again when it changes"
_CERTIFICATE = Shape(
    f"{_PACKAGE}.TlsCertificate",
    {"certificate_chain": _SOURCE, "private_key": _SOURCE, "password": _SOURCE},
    harmless={"watched_directory": _WATCHED},
)
_PARAMETERS = Shape(
    f"{_PACKAGE}.TlsParameters",
    {
        "tls_minimum_protocol_version": Only("TLSv1_2", "TLSv1_3"),
        "tls_maximum_protocol_version": Only("TLSv1_2", "TLSv1_3"),
        "cipher_suites": leaf,
    },
)
_VALIDATION = Shape(
    f"{_PACKAGE}.CertificateValidationContext",
    {
        "trusted_ca": _SOURCE,
        "verify_certificate_hash": leaf,
        "match_typed_subject_alt_names": Shape(
            f"{_PACKAGE}.SubjectAltNameMatcher",
            {"san_type": Only("DNS", "URI", "EMAIL", "IP_ADDRESS"), "matcher": STRING},
        ),
        "match_subject_alt_names": STRING,
        "crl": _SOURCE,
        "allow_expired_certificate": Only(False),
        "trust_chain_verification": Only("VERIFY_TRUST_CHAIN"),
        "only_verify_leaf_cert_crl": Only(True),
    },
    harmless={"watched_directory": _WATCHED},
)
_COMMON = Shape(
    f"{_PACKAGE}.CommonTlsContext",
    {
        "tls_params": _PARAMETERS,
        "tls_certificates": _CERTIFICATE,
        "validation_context": _VALIDATION,
        "alpn_protocols": leaf,
    },
)
_DOWNSTREAM = Shape(
    f"{_PACKAGE}.DownstreamTlsContext",
    {"common_tls_context": _COMMON, "require_client_certificate": leaf, "require_sni": Only(False)},
    harmless={
        "full_scan_certs_on_sni_mismatch": "Tage always looks at all certificates for the server name",
        "session_timeout": "OpenSSL's own, two hours, bounds how long a session can be taken up again",
    },
)
_UPSTREAM = Shape(
    f"{_PACKAGE}.UpstreamTlsContext",
    {"common_tls_context": _COMMON, "sni": leaf, "allow_renegotiation": Only(False)},
    harmless={"max_session_keys": "sessions with upstreams are not taken up again; every handshake is a full one"},
)
_RAW = Shape("envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer")
_SOCKET = Shape("envoy.config.core.v3.TransportSocket", ("name", "typed_config"))
DOWNSTREAM_SOCKET = Extension(
    "transport socket", _SOCKET, (raw_buffer_pb2.RawBuffer, _RAW), (tls_pb2.DownstreamTlsContext, _DOWNSTREAM)
)
"""The rule for a filter chain's field `transport_socket`."""
_UPSTREAM_KINDS = ((raw_buffer_pb2.RawBuffer, _RAW), (tls_pb2.UpstreamTlsContext, _UPSTREAM))
_PROXY_HEADER = Shape(
    "envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
    {
        "config": Shape("envoy.config.core.v3.ProxyProtocolConfig", ("version",)),
        "transport_socket": Extension("transport socket", _SOCKET, *_UPSTREAM_KINDS),
    },
)
UPSTREAM_SOCKET = Extension(
    "transport socket",
    _SOCKET,
    *_UPSTREAM_KINDS,
    (upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport, _PROXY_HEADER),
)
"""The rule for a cluster's field `transport_socket`."""

Version = Literal["1.2", "1.3"]
_VERSIONS: dict[int, Version] = {
    common_pb2.TlsParameters.TLSv1_2: "1.2",
    common_pb2.TlsParameters.TLSv1_3: "1.3",
}
SanType = Literal["dns", "uri", "email", "ip", "any"]
_SAN_TYPES: dict[int, SanType] = {
    common_pb2.SubjectAltNameMatcher.DNS: "dns",
    common_pb2.SubjectAltNameMatcher.URI: "uri",
    common_pb2.SubjectAltNameMatcher.EMAIL: "email",
    common_pb2.SubjectAltNameMatcher.IP_ADDRESS: "ip",
}
_HASH_SIZE = 64


def downstream(
    message: base_pb2.TransportSocket, path: str, problems: Problems, secrets: Secrets
) -> plan.DownstreamTls | None:
    """None: plain TCP. Adds what it names to `secrets`."""
    context = _unpack(message, tls_pb2.DownstreamTlsContext, path, problems)
    if context is None:
        return None
    at = f"{path}.typed_config"
    certificates, trust, alpn, parameters = _common(context.common_tls_context, at, problems, secrets)
    if not certificates:
        problems.add(f"{at}.common_tls_context.tls_certificates", "a server needs at least one")
    if context.require_client_certificate.value and not trust:
        problems.add(
            f"{at}.require_client_certificate", "true needs common_tls_context.validation_context: whom to trust"
        )
    return plan.DownstreamTls(certificates, trust, context.require_client_certificate.value, alpn, parameters)


def behind_proxy_header(
    message: base_pb2.TransportSocket, path: str, problems: Problems
) -> tuple[Literal[0, 1, 2], base_pb2.TransportSocket, str]:
    """The version of the PROXY protocol's header with which connections begin (0: none), and the transport socket
    behind it with its path."""
    outer = _unpack(message, upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport, path, problems)
    if outer is None:
        return 0, message, path
    at = f"{path}.typed_config.transport_socket"
    if not outer.HasField("transport_socket"):
        problems.add(at, "is missing")
    return 2 if outer.config.version == proxy_protocol_pb2.ProxyProtocolConfig.V2 else 1, outer.transport_socket, at


def upstream(
    message: base_pb2.TransportSocket, path: str, problems: Problems, secrets: Secrets
) -> plan.UpstreamTls | None:
    """None: plain TCP. Adds what it names to `secrets`."""
    context = _unpack(message, tls_pb2.UpstreamTlsContext, path, problems)
    if context is None:
        return None
    at = f"{path}.typed_config"
    certificates, trust, alpn, parameters = _common(context.common_tls_context, at, problems, secrets)
    if len(certificates) > 1:
        problems.add(f"{at}.common_tls_context.tls_certificates", "a client has at most one")
    if len(context.sni) > 255 or "\0" in context.sni:
        problems.add(f"{at}.sni", "is not a host name")
    return plan.UpstreamTls(certificates, trust, context.sni, alpn, parameters)


def _unpack(message: base_pb2.TransportSocket, kind: Any, path: str, problems: Problems) -> Any:
    if type_name(message.typed_config) != kind.DESCRIPTOR.full_name:
        return None  # plain, or refused by its shape
    return unpack(message.typed_config, kind, f"{path}.typed_config", problems)


def _common(
    context: tls_pb2.CommonTlsContext, path: str, problems: Problems, secrets: Secrets
) -> tuple[list[str], str, list[str], plan.TlsParameters]:
    """Names of certificates and of trust, application protocols, parameters."""
    at = f"{path}.common_tls_context"
    certificates = [
        _certificate(each, f"{at}.tls_certificates[{i}]", problems, secrets)
        for i, each in enumerate(context.tls_certificates)
    ]
    trust = ""
    if context.HasField("validation_context"):
        trust = _trust(context.validation_context, f"{at}.validation_context", problems, secrets)
    for i, protocol in enumerate(context.alpn_protocols):
        if not 0 < len(protocol.encode()) < 256:
            problems.add(f"{at}.alpn_protocols[{i}]", "must have 1 to 255 bytes")
    parameters = _parameters(context.tls_params, f"{at}.tls_params", problems)
    return certificates, trust, list(context.alpn_protocols), parameters


def _parameters(message: common_pb2.TlsParameters, path: str, problems: Problems) -> plan.TlsParameters:
    lowest = _VERSIONS.get(message.tls_minimum_protocol_version, "1.2")
    highest = _VERSIONS.get(message.tls_maximum_protocol_version, "1.3")
    if lowest > highest:
        problems.add(f"{path}.tls_minimum_protocol_version", "is above tls_maximum_protocol_version")
    # Envoy's "[a|b]", ciphers of equal preference, is BoringSSL's alone; the order that is written serves as well.
    ciphers = [name for each in message.cipher_suites for name in each.strip("[]").split("|")]
    for name in ciphers:
        if not name.replace("-", "").replace("_", "").isalnum():
            problems.add(f"{path}.cipher_suites", f"'{name}' is not the name of a cipher")
    return plan.TlsParameters(lowest, highest, ciphers)


# -- secrets -----------------------------------------------------------------------------------------------------------


def _certificate(message: common_pb2.TlsCertificate, path: str, problems: Problems, secrets: Secrets) -> str:
    sources = _sources(
        (
            ("chain", message.certificate_chain, f"{path}.certificate_chain"),
            ("key", message.private_key, f"{path}.private_key"),
            ("password", message.password if message.HasField("password") else None, ""),
        ),
        problems,
    )
    return _add(plan.Certificate(_name(sources, ""), b"", b""), sources, path, problems, secrets)


def _trust(message: common_pb2.CertificateValidationContext, path: str, problems: Problems, secrets: Secrets) -> str:
    sources = _sources(
        (
            ("ca", message.trusted_ca if message.HasField("trusted_ca") else None, f"{path}.trusted_ca"),
            ("crl", message.crl if message.HasField("crl") else None, f"{path}.crl"),
        ),
        problems,
    )
    names = [
        plan.SanMatch(
            _SAN_TYPES.get(each.san_type, "any"),
            string(each.matcher, f"{path}.match_typed_subject_alt_names[{i}].matcher", problems),
        )
        for i, each in enumerate(message.match_typed_subject_alt_names)
    ]
    names += [
        plan.SanMatch("any", string(each, f"{path}.match_subject_alt_names[{i}]", problems))
        for i, each in enumerate(message.match_subject_alt_names)
    ]
    hashes = []
    for i, each in enumerate(message.verify_certificate_hash):
        digest = each.replace(":", "").lower()
        if len(digest) != _HASH_SIZE or any(c not in "0123456789abcdef" for c in digest):
            problems.add(f"{path}.verify_certificate_hash[{i}]", "is not a SHA-256 in hexadecimal")
        hashes.append(digest)
    if not message.HasField("trusted_ca"):
        problems.add(f"{path}.trusted_ca", "is missing: what a certificate says counts if its issuer is trusted")
    trust = plan.Trust(_name(sources, repr((names, hashes))), names=names, hashes=hashes)
    return _add(trust, sources, path, problems, secrets)


def _sources(
    fields: Iterable[tuple[str, base_pb2.DataSource | None, str]], problems: Problems
) -> dict[str, DataSource]:
    found = {}
    for field, message, path in fields:
        if message is None:
            continue
        kind = message.WhichOneof("specifier")
        if kind is None:
            problems.add(path, "needs one of filename, inline_string and inline_bytes")
        elif kind == "filename":
            found[field] = DataSource(file=message.filename)
        else:
            inline = message.inline_bytes if kind == "inline_bytes" else message.inline_string.encode()
            found[field] = DataSource(inline=inline)
    return found


def _name(sources: dict[str, DataSource], more: str) -> str:
    """The files where there are any, for a reader; and a digest of everything, for it to be unique."""
    files = ",".join(source.file for source in sources.values() if source.file)
    content = repr(sorted((field, source.file, source.inline) for field, source in sources.items())) + more
    return f"{files or 'inline'}#{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _add(
    section: plan.Certificate | plan.Trust,
    sources: dict[str, DataSource],
    path: str,
    problems: Problems,
    secrets: Secrets,
) -> str:
    """Gives the section's name."""
    required = {"chain", "key"} if isinstance(section, plan.Certificate) else {"ca"}
    if not required <= sources.keys():
        return section.name  # which is a problem already
    try:
        secret = load(SecretDraft(section, sources))
    except SecretError as error:
        problems.add(path, str(error))
        return section.name
    kind = "certificate" if isinstance(section, plan.Certificate) else "trust"
    secrets[kind, section.name] = secret
    return section.name
