"""A certificate authority for tests: everything in memory, PEM."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from tage.dataplane.net.tls import KeyPair

_VALID = datetime.timedelta(days=2)


class Authority:
    def __init__(self, name: str = "tests") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        signed = (
            self._builder(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.KeyUsage(True, False, False, False, False, True, True, False, False), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = signed.public_bytes(serialization.Encoding.PEM)
        """The authority's own certificate: what to trust."""

    def issue(
        self,
        *names: str,
        uris: Iterable[str] = (),
        addresses: Iterable[str] = (),
        use_rsa: bool = False,
        password: bytes = b"",
        expired: bool = False,
    ) -> KeyPair:
        key = rsa.generate_private_key(65537, 2048) if use_rsa else ec.generate_private_key(ec.SECP256R1())
        alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
        alternatives += [x509.UniformResourceIdentifier(uri) for uri in uris]
        alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        builder = self._builder(_name(names[0] if names else "leaf"), key, expired=expired)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        signed = builder.sign(self._key, hashes.SHA256())
        secrecy = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        return KeyPair(
            signed.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secrecy),
            password,
        )

    def revoke(self, pair: KeyPair) -> bytes:
        """A revocation list, PEM, with this certificate in it."""
        now = datetime.datetime.now(datetime.UTC)
        serial = x509.load_pem_x509_certificate(pair.chain).serial_number
        revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
        made = x509.CertificateRevocationListBuilder().issuer_name(self._name).last_update(now - _VALID)
        signed = made.next_update(now + _VALID).add_revoked_certificate(revoked).sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, *, expired: bool = False
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _VALID)
            .not_valid_after(now - _VALID / 2 if expired else now + _VALID)
        )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
