"""TLS ClientHellos: real ones, made by OpenSSL through `ssl`, and ones put together by hand, field by field."""

from __future__ import annotations

import ssl
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tage.dataplane.net.client_hello import ClientHelloParser
from tage.dataplane.net.verdict import Verdict

TLS12, TLS13 = 0x0303, 0x0304
HOST_NAME, ALPN, SUPPORTED_VERSIONS, KEY_SHARE = 0, 16, 43, 51
X25519_MLKEM768 = 0x11EC


class Sample(NamedTuple):
    """`versions` None: whatever the library offers."""

    name: str
    wire: bytes
    server_name: str = ""
    alpn: tuple[bytes, ...] = ()
    versions: tuple[int, ...] | None = None


# -- by a real client --------------------------------------------------------------------------------------------------


def from_ssl(
    server_name: str | None = None,
    alpn: Sequence[str] = (),
    lowest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> bytes:
    """What Python's `ssl` sends first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = lowest
    context.maximum_version = highest
    if alpn:
        context.set_alpn_protocols(list(alpn))
    sent = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=server_name)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return sent.read()
    raise AssertionError("the client asks for an answer")


def real() -> list[Sample]:
    v12, v13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    h2, http1 = b"h2", b"http/1.1"
    return [
        Sample("1.2 and 1.3", from_ssl(), versions=(TLS13, TLS12)),
        Sample("1.2", from_ssl(highest=v12), versions=(TLS12,)),
        Sample("1.3", from_ssl(lowest=v13), versions=(TLS13,)),
        Sample("server name", from_ssl("reviews.default.svc.cluster.local"), "reviews.default.svc.cluster.local"),
        Sample("server name in capitals", from_ssl("Reviews.EXAMPLE.org"), "reviews.example.org"),
        Sample("one label, 1.2", from_ssl("reviews", highest=v12), "reviews", (), (TLS12,)),
        Sample("address: no server name", from_ssl("127.0.0.1")),
        Sample("h2", from_ssl("a.b", ["h2"]), "a.b", (h2,)),
        Sample("two protocols", from_ssl("a.b", ["h2", "http/1.1"], lowest=v13), "a.b", (h2, http1), (TLS13,)),
        Sample("protocols, no name, 1.2", from_ssl(None, ["http/1.1", "h2"], highest=v12), "", (http1, h2), (TLS12,)),
        Sample("Istio's between gateways", from_ssl("outbound_.80_._.reviews.default.svc.cluster.local", ["istio"]),
               "outbound_.80_._.reviews.default.svc.cluster.local", (b"istio",)),
    ]  # fmt: skip


# -- by hand -----------------------------------------------------------------------------------------------------------


def u16(n: int) -> bytes:
    return struct.pack("!H", n)


def extension(kind: int, data: bytes) -> bytes:
    return u16(kind) + u16(len(data)) + data


def server_name(name: bytes, kind: int = 0) -> bytes:
    entry = bytes([kind]) + u16(len(name)) + name
    return extension(HOST_NAME, u16(len(entry)) + entry)


def alpn(*names: bytes) -> bytes:
    listed = b"".join(bytes([len(name)]) + name for name in names)
    return extension(ALPN, u16(len(listed)) + listed)


def versions(*offered: int) -> bytes:
    return extension(SUPPORTED_VERSIONS, bytes([2 * len(offered)]) + b"".join(map(u16, offered)))


def key_share(group: int, size: int) -> bytes:
    share = u16(group) + u16(size) + bytes(i % 251 for i in range(size))
    return extension(KEY_SHARE, u16(len(share)) + share)


def message(
    *extensions: bytes,
    version: int = TLS12,
    session: bytes = bytes(32),
    ciphers: bytes = b"\x13\x01\xc0\x2f",
    compression: bytes = b"\0",
    tail: bytes | None = None,
    kind: int = 1,
) -> bytes:
    """A ClientHello with its handshake header. `tail` replaces the extensions, their length included."""
    if tail is None:
        tail = u16(sum(map(len, extensions))) + b"".join(extensions)
    body = u16(version) + bytes(range(32)) + bytes([len(session)]) + session + u16(len(ciphers)) + ciphers
    body += bytes([len(compression)]) + compression + tail
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def record(fragment: bytes, kind: int = 22, version: int = 0x0301) -> bytes:
    return bytes([kind]) + u16(version) + u16(len(fragment)) + fragment


def records(handshake: bytes, sizes: Iterable[int]) -> bytes:
    """`handshake` in records of these sizes; what is left over in one more."""
    wire, at = b"", 0
    for size in sizes:
        if at + size >= len(handshake):
            break
        wire += record(handshake[at : at + size])
        at += size
    return wire + record(handshake[at:])


def hello(*extensions: bytes) -> bytes:
    """In one record."""
    return record(message(*extensions))


GREASE = [0x0A0A + 0x1010 * i for i in range(16)]


def made() -> list[Sample]:
    """Well-formed ones that OpenSSL does not make."""
    like_chrome = message(
        extension(GREASE[3], b""),
        server_name(b"www.example.com"),
        extension(23, b""),
        alpn(b"\x4a\x4a", b"h2", b"http/1.1"),
        key_share(X25519_MLKEM768, 1216),
        versions(GREASE[7], TLS13, TLS12),
        extension(GREASE[9], b"\0"),
        extension(21, bytes(200)),
    )
    large = message(server_name(b"a.b"), key_share(7, 20_000))
    return [
        Sample("no extensions at all", record(message(tail=b"")), versions=(TLS12,)),
        Sample("an empty list of extensions", hello(), versions=(TLS12,)),
        Sample("no session id", record(message(server_name(b"a"), session=b"")), "a", (), (TLS12,)),
        Sample("TLS 1.0, as told by its version", record(message(tail=b"", version=0x0301)), versions=(0x0301,)),
        Sample("browser, post-quantum", record(like_chrome), "www.example.com", (b"h2", b"http/1.1"), (TLS13, TLS12)),
        Sample("the same in small records", records(like_chrome, [1, 2, 3, 500, 1]), "www.example.com",
               (b"h2", b"http/1.1"), (TLS13, TLS12)),
        Sample("a large key share, in two records", records(large, [16_384]), "a.b", (), (TLS12,)),
        Sample("every GREASE version", hello(versions(*GREASE, 0x0A1A, TLS13)), versions=(0x0A1A, TLS13)),
        Sample("nothing but GREASE", hello(versions(GREASE[0]), alpn(b"\xfa\xfa")), versions=()),
        Sample("long protocol", hello(alpn(b"p" * 255)), alpn=(b"p" * 255,), versions=(TLS12,)),
    ]  # fmt: skip


# -- comparing ---------------------------------------------------------------------------------------------------------


def told(verdict: int, parser: ClientHelloParser) -> tuple:
    """All that a parser tells: equal for each way to ask."""
    hello = parser.hello
    if verdict == Verdict.READY:
        return verdict, parser.size, hello.server_name, hello.alpn, hello.versions, hello.legacy_version
    return verdict, parser.error
