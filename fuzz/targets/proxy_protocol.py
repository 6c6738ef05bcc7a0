"""The parser of PROXY protocol headers; what it reads is written, and read again."""

from __future__ import annotations

import random
import socket
from collections.abc import Hashable

from fuzz.target import Target, cuts
from tage.dataplane.net import errors
from tage.dataplane.net.proxy_protocol import MAX_LINE, MAX_SIZE, ProxyHeaderParser, encode_v1, encode_v2
from tage.dataplane.net.verdict import Verdict
from tests.dataplane.net import headers
from tests.dataplane.net.prefixes import as_needed, ask, bytewise, whole

_ERRORS = {error for error in vars(errors).values() if isinstance(error, errors.Violation)}
_BYTEWISE = 600  # bytes; a longer input is asked about in larger steps


def seeds() -> list[bytes]:
    return [case.wire for case in (*headers.LINES, *headers.BLOCKS)] + list(headers.ABSENT)


def make(rng: random.Random) -> bytes:
    """A header of either version that we write ourselves, or a block of odd attributes."""
    host = rng.choice((lambda: _host4(rng), lambda: _host6(rng)))
    source, destination = (host(), rng.randrange(65536)), (host(), rng.randrange(65536))
    if rng.random() < 0.3:
        return encode_v1(source, destination)
    if rng.random() < 0.5:
        return encode_v2(source, destination, checksum=True)
    attributes = b"".join(
        headers.attribute(rng.choice((1, 2, 3, 4, 5, 32, 48)), rng.randbytes(rng.choice((0, 1, 4, 4, 130))))
        for _ in range(rng.randrange(5))
    )
    body = rng.choice((headers.BODY4, headers.BODY6, bytes(216), b""))
    return headers.block(body + attributes, rng.choice((0x20, 0x21, 0x21)), rng.choice((0, 0x11, 0x21, 0x12, 0x31)))


def _host4(rng: random.Random) -> str:
    return socket.inet_ntop(socket.AF_INET, rng.randbytes(4))


def _host6(rng: random.Random) -> str:
    return socket.inet_ntop(socket.AF_INET6, bytes(rng.randrange(17)).ljust(16, rng.randbytes(1)))


def check(data: bytes) -> Hashable:
    verdict, parser = whole(ProxyHeaderParser, data)
    told = headers.told(verdict, parser)
    assert headers.told(*bytewise(ProxyHeaderParser, data, step=1 if len(data) <= _BYTEWISE else 61)) == told
    assert headers.told(*as_needed(ProxyHeaderParser, data)) == told
    in_pieces = ProxyHeaderParser()
    pieces = cuts(data)
    assert headers.told(ask(in_pieces, (b"".join(pieces[:n]) for n in range(len(pieces) + 1))), in_pieces) == told
    if verdict == Verdict.MALFORMED:
        assert parser.error in _ERRORS
    if verdict != Verdict.READY:
        return verdict, parser.error
    header = parser.header
    assert 0 < parser.size <= min(len(data), MAX_LINE if header.version == 1 else MAX_SIZE)
    assert headers.told(*whole(ProxyHeaderParser, data[: parser.size])) == told, "depends on what is behind"
    assert (header.source is None) == (header.destination is None) == (header.family == socket.AF_UNSPEC)
    if header.source is not None:
        assert not header.local
        for wire in (encode_v1(header.source, header.destination), encode_v2(header.source, header.destination)):
            _, again = whole(ProxyHeaderParser, wire)
            assert (again.header.source, again.header.destination) == (header.source, header.destination)
            assert again.header.family == header.family
    return verdict, header.version, header.local, header.family, parser.size.bit_length()


def consume(data: bytes) -> None:
    whole(ProxyHeaderParser, data)


TARGET = Target(
    name="proxy_protocol",
    seeds=seeds,
    check=check,
    consume=consume,
    max_memory=16_384,
    tokens=[
        headers.SIGNATURE, b"PROXY ", b"TCP4 ", b"TCP6 ", b"UNKNOWN", b"\r\n", b"\r", b"\n", b" ", b"::", b":", b".",
        b"0", b"255", b"256", b"65535", b"65536", b"ffff", b"::ffff:1.2.3.4", b"\x21\x11", b"\x20\0", b"\x03\0\4",
        b"\4\0\0", b"\0\x0c", b"\0\x24", b"\0\xd8", b"\x0f\xf0",
    ],
    make=make,
    max_size=6000,
)  # fmt: skip
