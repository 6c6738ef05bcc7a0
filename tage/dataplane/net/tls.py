"""TLS contexts, from certificates and keys in memory. Not compiled: a context is made when a plan changes, looked up
once a connection. The TLS itself is OpenSSL's, by way of `ssl`.

A server picks its certificate by the server name before the handshake begins, for the ClientHello has been looked at by
then: each set of names has a context of its own, with a certificate for each kind of key.

Whom to believe is two questions. OpenSSL answers, in the handshake, whether a certificate comes from whom we trust;
`refusal` answers, right after it and before a byte is passed on, whether it is one of those that are expected here.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class TlsError(ValueError):
    """Certificates or parameters that do not serve; the message says why, and never quotes a key."""


class KeyPair(NamedTuple):
    """PEM: the certificate with those that lead from it to the root, and its key."""

    chain: bytes
    key: bytes
    password: bytes = b""


class Parameters(NamedTuple):
    """`ciphers` are those up to TLS 1.2, none: OpenSSL's own choice; those of TLS 1.3 are not chosen."""

    minimum: str = "1.2"
    maximum: str = "1.3"
    ciphers: Sequence[str] = ()
    alpn: Sequence[str] = ()


class Trust(NamedTuple):
    """Whose certificates are believed (PEM), and which of theirs: one of `names`, each a type (dns, uri, email, ip,
    any) and a predicate, where there are any; one of `hashes` (SHA-256, hexadecimal) where there are any."""

    ca: bytes
    crl: bytes = b""
    names: Sequence[tuple[str, Callable[[str], bool]]] = ()
    hashes: Sequence[str] = ()

    def refusal(self, tls: Any) -> str:
        """Why the peer of this connection (an `ssl.SSLObject` after its handshake) is not to be served; empty: it is.
        Of a peer without a certificate nothing is said."""
        der = tls.getpeercert(binary_form=True)
        if der is None:
            return ""
        if self.hashes and hashlib.sha256(der).hexdigest() not in self.hashes:
            return "the peer's certificate is not one of those that are expected"
        if self.names and not any(self._matches(*name) for name in peer_names(tls)):
            return "the peer's certificate has none of the names that are expected"
        return ""

    def _matches(self, kind: str, name: str) -> bool:
        return any(wanted in (kind, "any") and matches(name) for wanted, matches in self.names)


_NAME_TYPES = {"DNS": "dns", "URI": "uri", "email": "email", "IP Address": "ip"}


def peer_names(tls: Any) -> list[tuple[str, str]]:
    """The subject alternative names (type, name) of a peer whose certificate was verified."""
    found = tls.getpeercert() or {}
    return [(_NAME_TYPES[kind], name) for kind, name in found.get("subjectAltName", ()) if kind in _NAME_TYPES]


class ServerTls:
    """What a filter chain's connections are encrypted with."""

    def __init__(
        self, pairs: Sequence[KeyPair], parameters: Parameters, trust: Trust | None = None, required: bool = False
    ) -> None:
        """`required`: a client without a certificate is refused. Raises `TlsError`."""
        self.trust = trust
        self._exact: dict[str, ssl.SSLContext] = {}
        self._wildcard: dict[str, ssl.SSLContext] = {}
        groups: dict[frozenset[str], list[KeyPair]] = {}
        for pair in pairs:
            names = certificate_names(pair.chain) if len(pairs) > 1 else frozenset()
            groups.setdefault(names, []).append(pair)
        contexts = []
        for names, group in groups.items():
            context = _context(ssl.PROTOCOL_TLS_SERVER, parameters)
            for pair in group:
                load_pair(context, pair)
            if trust is not None:
                _load_trust(context, trust)
                context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
            for name in names:
                if name.startswith("*."):
                    self._wildcard.setdefault(name[1:], context)
                else:
                    self._exact.setdefault(name, context)
            contexts.append(context)
        if not contexts:
            raise TlsError("a server needs a certificate")
        self._default = contexts[0]

    def context(self, server_name: str) -> ssl.SSLContext:
        """For a client that asks for this name (lower case; empty: for none)."""
        if not self._exact and not self._wildcard:
            return self._default
        found = self._exact.get(server_name)
        if found is None:
            found = self._wildcard.get(server_name[server_name.find(".") :]) if "." in server_name else None
        return found or self._default


class ClientTls:
    """What a cluster's connections are encrypted with. `sni` empty: none is sent. `second`: where hosts have two pools,
    the same for the second, which asks for another protocol (`upstream.host`)."""

    def __init__(
        self, pair: KeyPair | None, parameters: Parameters, sni: str = "", trust: Trust | None = None
    ) -> None:
        """Without `trust` any server is believed. Raises `TlsError`."""
        self.trust = trust
        self.sni = sni
        self.second: ClientTls | None = None
        self.context = _context(ssl.PROTOCOL_TLS_CLIENT, parameters)
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE if trust is None else ssl.CERT_REQUIRED
        if trust is not None:
            _load_trust(self.context, trust)
        if pair is not None:
            load_pair(self.context, pair)


def load_pair(context: ssl.SSLContext, pair: KeyPair) -> None:
    """Raises `TlsError`."""
    with _as_file(pair.chain) as chain, _as_file(pair.key) as key:
        if not _pem(pair.chain, b"CERTIFICATE-----"):
            raise TlsError("there is no PEM certificate")
        if not _pem(pair.key, b"PRIVATE KEY-----"):
            raise TlsError("there is no PEM key")
        try:
            # A password is always given, or OpenSSL would ask for one on the terminal.
            context.load_cert_chain(chain, key, password=lambda: pair.password)
        except ssl.SSLError as error:
            mismatch = error.reason == "KEY_VALUES_MISMATCH"
            if not mismatch and b"ENCRYPTED" in pair.key:
                raise TlsError("the key's password is wrong or missing") from None
            raise TlsError("the key is not that of the certificate" if mismatch else words(error)) from None
        except (ValueError, OSError) as error:
            raise TlsError(str(error)) from None


def check_pair(pair: KeyPair) -> None:
    """Whether certificate and key serve, and belong together. Raises `TlsError`."""
    load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), pair)


def check_trust(trust: Trust) -> None:
    """Raises `TlsError`."""
    _load_trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust)


def certificate_names(chain: bytes) -> frozenset[str]:
    """The DNS names (lower case) of the first certificate. Raises `TlsError`."""
    with _as_file(chain) as path:
        try:
            # Not in the documentation of `ssl`, but its own tests' way to read a certificate that no peer sent.
            decoded = ssl._ssl._test_decode_cert(path)  # type: ignore[attr-defined]
        except (ssl.SSLError, OSError) as error:
            raise TlsError(f"the certificate cannot be read: {error}") from None
    names = {name.lower() for kind, name in decoded.get("subjectAltName", ()) if kind == "DNS"}
    if not names:
        names = {value.lower() for part in decoded.get("subject", ()) for kind, value in part if kind == "commonName"}
    return frozenset(names)


def _context(protocol: Any, parameters: Parameters) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = _VERSIONS[parameters.minimum]
    context.maximum_version = _VERSIONS[parameters.maximum]
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    if parameters.ciphers:
        try:
            context.set_ciphers(":".join(parameters.ciphers))
        except ssl.SSLError:
            raise TlsError(f"OpenSSL knows none of the ciphers {', '.join(parameters.ciphers)}") from None
    if parameters.alpn:
        context.set_alpn_protocols(list(parameters.alpn))
    return context


def _load_trust(context: ssl.SSLContext, trust: Trust) -> None:
    for what, pem in (("trusted certificates", trust.ca), ("revocation list", trust.crl)):
        if not pem and what != "trusted certificates":
            continue
        with _as_file(pem) as path:
            try:
                context.load_verify_locations(cafile=path)
            except (ssl.SSLError, OSError) as error:
                reason = words(error) if isinstance(error, ssl.SSLError) else str(error)
                raise TlsError(f"the {what} cannot be read: {reason}") from None
    if trust.crl:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """`ssl` reads keys from files only: one in memory, that no other process sees."""
    descriptor = os.memfd_create("pem", os.MFD_CLOEXEC)
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def words(error: ssl.SSLError) -> str:
    """What OpenSSL says, in lower case."""
    return (error.reason or "not valid PEM").replace("_", " ").lower()


def _pem(content: bytes, label: bytes) -> bool:
    return b"-----BEGIN " in content and label in content


def matcher(kind: str, value: str, ignore_case: bool = False) -> Callable[[str], bool]:
    """A predicate for one name, by envoy.type.matcher.v3.StringMatcher; regex is RE2, for the whole name. Raises
    `TlsError`."""
    if kind == "regex":
        import re2

        options = re2.Options()
        options.log_errors = False
        try:
            compiled = re2.compile(value, options)
        except re2.error:
            raise TlsError(f"{value!r} is not a regular expression of RE2") from None
        return lambda name: compiled.fullmatch(name) is not None
    wanted = value.lower() if ignore_case else value
    tests: dict[str, Callable[[str], bool]] = {
        "exact": lambda name: name == wanted,
        "prefix": lambda name: name.startswith(wanted),
        "suffix": lambda name: name.endswith(wanted),
        "contains": lambda name: wanted in name,
    }
    test = tests[kind]
    return (lambda name: test(name.lower())) if ignore_case else test


def names_of(matchers: Iterable[tuple[str, str, str, bool]]) -> list[tuple[str, Callable[[str], bool]]]:
    """`Trust.names` from (type, kind of match, value, ignore case). An exact DNS name is also in a certificate for all
    names of its domain (RFC 6125, 6.4.3)."""
    found = []
    for kind, how, value, ignore_case in matchers:
        if kind in ("dns", "any") and how == "exact":
            found.append(("dns", _dns_name(value)))
            if kind == "dns":
                continue
        found.append((kind, matcher(how, value, ignore_case)))
    return found


def _dns_name(wanted: str) -> Callable[[str], bool]:
    name = wanted.lower()
    below = "*" + name[name.find(".") :] if "." in name else name
    return lambda found: found.lower() in (name, below)
