"""The ClientHello parser."""

from __future__ import annotations

import random
import re
from collections.abc import Hashable

from fuzz.target import Target, cuts
from tage.dataplane.net import errors
from tage.dataplane.net.client_hello import MAX_HELLO, MAX_RECORDS, ClientHelloParser
from tage.dataplane.net.verdict import Verdict
from tests.dataplane.net import hellos
from tests.dataplane.net.prefixes import as_needed, ask, bytewise, whole

_ERRORS = {error for error in vars(errors).values() if isinstance(error, errors.Violation)}
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_BYTEWISE = 600  # bytes; a longer input is asked about in larger steps


def seeds() -> list[bytes]:
    return [sample.wire for sample in (*hellos.real(), *hellos.made())]


def make(rng: random.Random) -> bytes:
    """A hello of odd extensions, cut into records at random."""
    kinds = [
        lambda: hellos.server_name(rng.choice((b"a", b"A.b", b"1.2.3.4", b"a.", b"a" * 63)), rng.choice((0, 0, 0, 1))),
        lambda: hellos.alpn(*rng.choices((b"h2", b"http/1.1", b"\x0a\x0a", b""), (5, 5, 2, 1), k=rng.randrange(4))),
        lambda: hellos.versions(*rng.choices((0x0304, 0x0303, 0x1A1A), k=rng.randrange(4))),
        lambda: hellos.key_share(hellos.X25519_MLKEM768, rng.choice((32, 1216))),
        lambda: hellos.extension(rng.randrange(65536), rng.randbytes(rng.randrange(8))),
    ]
    message = hellos.message(
        *[rng.choice(kinds)() for _ in range(rng.randrange(6))],
        session=bytes(rng.choice((0, 32, 32, 33))),
        ciphers=bytes(2 * rng.randrange(1, 40)),
        tail=rng.choice((None, None, None, b"", b"\0")),
    )
    return hellos.records(message, [rng.choice((1, 4, 50, 500, 5000)) for _ in range(rng.randrange(40))])


def check(data: bytes) -> Hashable:
    verdict, parser = whole(ClientHelloParser, data)
    told = hellos.told(verdict, parser)
    assert hellos.told(*bytewise(ClientHelloParser, data, step=1 if len(data) <= _BYTEWISE else 61)) == told
    assert hellos.told(*as_needed(ClientHelloParser, data)) == told
    in_pieces = ClientHelloParser()
    pieces = cuts(data)
    assert hellos.told(ask(in_pieces, (b"".join(pieces[:n]) for n in range(len(pieces) + 1))), in_pieces) == told
    if verdict == Verdict.MALFORMED:
        assert parser.error in _ERRORS
    if verdict != Verdict.READY:
        return verdict, parser.error
    hello = parser.hello
    assert 0 < parser.size <= min(len(data), MAX_HELLO + 5 * MAX_RECORDS)
    assert not hello.server_name or _NAME.fullmatch(hello.server_name)
    protocols: tuple[bytes, ...] = hello.alpn
    versions: tuple[int, ...] = hello.versions
    assert all(1 <= len(protocol) <= 255 for protocol in protocols)
    assert all(0 <= version <= 0xFFFF for version in versions)
    assert hellos.told(*whole(ClientHelloParser, data[: parser.size])) == told, "depends on what is behind"
    return verdict, bool(hello.server_name), len(protocols), len(versions), parser.size.bit_length()


def consume(data: bytes) -> None:
    whole(ClientHelloParser, data)


TARGET = Target(
    name="client_hello",
    seeds=seeds,
    check=check,
    consume=consume,
    max_memory=3 * MAX_HELLO,
    tokens=[
        hellos.server_name(b"a.example"), hellos.server_name(b"127.0.0.1"), hellos.alpn(b"h2"),
        hellos.alpn(b"\x0a\x0a"), hellos.versions(0x0304), hellos.extension(0x0A0A, b""), b"\x16\x03\x01",
        b"\x16\x03\x03\0\1", b"\x01\0\0", b"\0\0", b"\xff\xff", b"\0\x10", b"\0\x2b", b"\x40\0", b"\x40\1", b".",
        b"a" * 64,
    ],
    make=make,
    max_size=30_000,
)  # fmt: skip
