"""Certificates of one run, made anew in its folder: an authority, a server's and a client's, all ECDSA P-256.

All proxies, the backend and the load generators use the same files. A key stands beside its certificate with `.key`
added, where HAProxy looks for it by itself.

`openssl.cnf` leaves the load generators (through OPENSSL_CONF) one version, one cipher suite and one group to offer, so
that every proxy can only choose the same, whatever its own order of preference.
"""

from __future__ import annotations

import datetime
import enum
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVER_NAMES = ("www.bench.test", "shop.bench.test", "reviews.bench.test")
VERSION = "TLSv1.3"
CIPHER = "TLS_AES_128_GCM_SHA256"
GROUP = "X25519"
VALID = datetime.timedelta(days=2)

OPENSSL = f"""\
openssl_conf = library
[library]
ssl_conf = modules
[modules]
system_default = tls
[tls]
MinProtocol = {VERSION}
Ciphersuites = {CIPHER}
Groups = {GROUP}
"""


class Tls(enum.Enum):
    """Where a row has TLS."""

    NONE = "none"
    DOWNSTREAM = "downstream"
    """To the proxy; the backend is asked in plain text."""
    MUTUAL = "mutual"
    """To the proxy and to the backend, with client certificates that both demand."""


@dataclass(frozen=True)
class Certificates:
    directory: Path

    @property
    def authority(self) -> Path:
        return self.directory / "authority.pem"

    @property
    def server(self) -> Path:
        return self.directory / "server.pem"

    @property
    def client(self) -> Path:
        return self.directory / "client.pem"

    @property
    def openssl_config(self) -> Path:
        return self.directory / "openssl.cnf"

    def values(self, tls: Tls) -> dict[str, object]:
        """What the templates under `peers/` ask about TLS."""
        bind = f"ssl crt {self.server} ssl-min-ver {VERSION} alpn http/1.1" if tls is not Tls.NONE else ""
        return {
            "CERTIFICATES": self.directory,
            "CIPHER": CIPHER,
            "DOWNSTREAM_TLS": tls is not Tls.NONE,
            "MUTUAL_TLS": tls is Tls.MUTUAL,
            # Words within a line: of nginx's `listen` and `proxy_pass`, of HAProxy's `bind`.
            "DOWNSTREAM_SSL": "ssl" if tls is not Tls.NONE else "",
            "UPSTREAM_SSL": "ssl" if tls is Tls.MUTUAL else "",
            "UPSTREAM_SCHEME": "https" if tls is Tls.MUTUAL else "http",
            "BIND_TLS": f"{bind} verify required ca-file {self.authority}" if tls is Tls.MUTUAL else bind,
        }


def key_of(certificate: Path) -> Path:
    return certificate.with_name(f"{certificate.name}.key")


def make_certificates(directory: Path) -> Certificates:
    """Makes the folder and all files in it; keys are readable by their owner only."""
    directory.mkdir()
    made = Certificates(directory)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _builder("bench authority", None, authority_key)
    authority = authority.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    authority_certificate = authority.sign(authority_key, hashes.SHA256())
    made.authority.write_bytes(authority_certificate.public_bytes(serialization.Encoding.PEM))
    names = x509.SubjectAlternativeName([x509.DNSName(name) for name in SERVER_NAMES])
    client = x509.SubjectAlternativeName([x509.UniformResourceIdentifier("spiffe://bench.test/load")])
    for path, alternative, usage in (
        (made.server, names, ExtendedKeyUsageOID.SERVER_AUTH),
        (made.client, client, ExtendedKeyUsageOID.CLIENT_AUTH),
    ):
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = _builder(path.stem, authority_certificate.subject, key)
        leaf = leaf.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        leaf = leaf.add_extension(alternative, critical=False)
        leaf = leaf.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        path.write_bytes(leaf.sign(authority_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        _write_key(key_of(path), key)
    made.openssl_config.write_text(OPENSSL)
    return made


def _builder(name: str, issuer: x509.Name | None, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    """A certificate to be signed; without an issuer it is its own."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + VALID)
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
