"""ClientHellos of real clients and odd ones: what is reported, what is refused, and that no cut changes either."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tage.dataplane.net import errors
from tage.dataplane.net.client_hello import MAX_HELLO, ClientHelloParser
from tage.dataplane.net.verdict import Verdict

from . import hellos
from .hellos import (
    Sample,
    alpn,
    extension,
    from_ssl,
    hello,
    key_share,
    message,
    record,
    records,
    server_name,
    told,
    u16,
    versions,
)
from .prefixes import as_needed, ask, bytewise, in_two, whole

MALFORMED, OTHER, MORE, READY = Verdict.MALFORMED, Verdict.OTHER, Verdict.MORE, Verdict.READY

SAMPLES = [*hellos.real(), *hellos.made()]
BASE = message(server_name(b"a.example"), alpn(b"h2"), versions(0x0304))


def names(sample: Sample) -> str:
    return sample.name


def check(sample: Sample, verdict: int, parser: ClientHelloParser) -> None:
    assert verdict == READY, parser.error
    assert parser.hello.server_name == sample.server_name
    assert parser.hello.alpn == sample.alpn
    if sample.versions is not None:
        assert parser.hello.versions == sample.versions


# -- what is reported --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", SAMPLES, ids=names)
def test_a_hello_is_read_in_any_cut(sample: Sample):
    for ways in (whole, as_needed):
        verdict, parser = ways(ClientHelloParser, sample.wire)
        check(sample, verdict, parser)
        assert parser.size == len(sample.wire)
    check(sample, *bytewise(ClientHelloParser, sample.wire, step=1 if len(sample.wire) < 3000 else 97))
    for at in range(0, len(sample.wire), 1 if len(sample.wire) < 3000 else 97):
        check(sample, *in_two(ClientHelloParser, sample.wire, at))


@pytest.mark.parametrize("sample", SAMPLES, ids=names)
def test_what_follows_the_hello_is_left_alone(sample: Sample):
    early_data = record(bytes(100), kind=23) + b"\xff"
    verdict, parser = whole(ClientHelloParser, sample.wire + early_data)
    check(sample, verdict, parser)
    assert parser.size == len(sample.wire)


@pytest.mark.parametrize("sample", SAMPLES, ids=names)
def test_no_prefix_of_a_hello_is_one(sample: Sample):
    for end in [*range(min(len(sample.wire), 700)), len(sample.wire) - 1]:
        verdict, parser = whole(ClientHelloParser, sample.wire[:end])
        assert verdict == MORE
        assert end < parser.needed <= len(sample.wire)


def test_needed_is_all_that_is_needed():
    """One look at the first byte, at the version, at the record's header, at the message's, at the whole."""
    wire = from_ssl("a.example")
    parser = ClientHelloParser()
    looks = []
    while parser.read(wire[: parser.needed]) == MORE:
        looks.append(parser.needed)
    assert looks == [2, 5, 9, len(wire)]


def test_any_cut_into_records_reads_the_same():
    for size in range(1, len(BASE) + 1):
        verdict, parser = bytewise(lambda: ClientHelloParser(max_records=1000), records(BASE, [size] * len(BASE)))
        assert verdict == READY
        assert parser.hello.server_name == "a.example"
        assert parser.hello.alpn == (b"h2",)


@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0303, 0x0304, 0x03FF])
def test_the_version_of_the_record_layer_means_nothing(version: int):
    assert whole(ClientHelloParser, record(BASE, version=version))[0] == READY


# -- what is not TLS ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wire",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x28",  # an alert
        b"\x17\x03\x03\x00\x01\x00",
        b"\x80\x2e\x01\x03\x01",  # the ClientHello of SSL 2.0
        b"\x16\x02\x00\x00\x05hello",
        b"\x16\x00",
        b"\0",
        b"\xff" * 40,
    ],
)
def test_another_protocol(wire: bytes):
    for ways in (whole, bytewise, as_needed):
        verdict, parser = ways(ClientHelloParser, wire)
        assert verdict == OTHER
        assert parser.error is None


def test_nothing_yet():
    parser = ClientHelloParser()
    assert parser.read(b"") == MORE
    assert parser.needed == 1


# -- what is refused ---------------------------------------------------------------------------------------------------


def cut(handshake: bytes, size: int) -> bytes:
    """The message says and has `size` bytes of its body, the rest is missing."""
    return record(handshake[:1] + size.to_bytes(3, "big") + handshake[4 : 4 + size])


REFUSED = [
    # -- records
    ("empty record", record(b""), errors.BAD_RECORD),
    ("empty second record", record(BASE[:9]) + record(b""), errors.BAD_RECORD),
    ("long record", b"\x16\x03\x01\x40\x01" + BASE, errors.BAD_RECORD),
    ("another type between", record(BASE[:9]) + record(BASE[9:], kind=23), errors.BAD_RECORD),
    ("an alert between", record(BASE[:9]) + record(b"\1\0", kind=21), errors.BAD_RECORD),
    ("odd version later", record(BASE[:9]) + record(BASE[9:], version=0x0201), errors.BAD_RECORD),
    ("more records than the limit", records(BASE, [1] * 40), errors.TOO_MANY_RECORDS),
    # -- the message
    ("a ServerHello", record(message(kind=2)), errors.NO_CLIENT_HELLO),
    ("a HelloRequest", record(bytes(4)), errors.NO_CLIENT_HELLO),
    ("another in four records", records(message(kind=11), [1, 1, 1]), errors.NO_CLIENT_HELLO),
    ("larger than the limit", record(b"\x01\xff\xff\xff"), errors.HELLO_TOO_LARGE),
    ("a byte larger", record(b"\x01\x00\xff\xfd" + bytes(100)), errors.HELLO_TOO_LARGE),
    ("a message behind", record(BASE + b"\x14\x00\x00\x00"), errors.HELLO_NOT_ALONE),
    ("a byte behind", record(BASE + b"\0"), errors.HELLO_NOT_ALONE),
    ("a byte behind, later", records(BASE + b"\0", [5, 5]), errors.HELLO_NOT_ALONE),
    ("nothing in it", record(b"\x01\0\0\0"), errors.BAD_HELLO),
    ("a long session id", record(message(session=bytes(33))), errors.BAD_HELLO),
    ("a session id beyond the end", record(b"\x01\0\0\x25" + bytes(34) + b"\x20ab"), errors.BAD_HELLO),
    ("no cipher suites", record(message(ciphers=b"")), errors.BAD_HELLO),
    ("half a cipher suite", record(message(ciphers=b"\x13\x01\x13")), errors.BAD_HELLO),
    ("no compression methods", record(message(compression=b"")), errors.BAD_HELLO),
    ("a byte in place of extensions", record(message(tail=b"\0")), errors.BAD_HELLO),
    ("extensions too long", record(message(tail=u16(5) + extension(5, b""))), errors.BAD_HELLO),
    ("extensions too short", record(message(tail=u16(3) + extension(5, b""))), errors.BAD_HELLO),
    ("garbage behind extensions", record(message(tail=u16(4) + extension(5, b"") + b"x")), errors.BAD_HELLO),
    ("half an extension", record(message(tail=u16(3) + b"\0\5\0")), errors.BAD_HELLO),
    ("an extension beyond the end", record(message(tail=u16(5) + b"\0\5\0\2x")), errors.BAD_HELLO),
    ("two of a type", hello(extension(5, b""), extension(6, b""), extension(5, b"")), errors.DUPLICATE_EXTENSION),
    ("two server names", hello(server_name(b"a"), server_name(b"a")), errors.DUPLICATE_EXTENSION),
    ("two of a GREASE type", hello(extension(0x0A0A, b""), extension(0x0A0A, b"")), errors.DUPLICATE_EXTENSION),
    ("many extensions", hello(*[extension(1000 + i, b"") for i in range(129)]), errors.TOO_MANY_EXTENSIONS),
    # -- ALPN
    ("ALPN, nothing", hello(extension(16, b"")), errors.BAD_ALPN),
    ("ALPN, empty list", hello(extension(16, b"\0\0")), errors.BAD_ALPN),
    ("ALPN, empty name", hello(alpn(b"h2", b"")), errors.BAD_ALPN),
    ("ALPN, list too long", hello(extension(16, b"\0\4\2h2")), errors.BAD_ALPN),
    ("ALPN, list too short", hello(extension(16, b"\0\2\2h2")), errors.BAD_ALPN),
    ("ALPN, name beyond the end", hello(extension(16, b"\0\3\3h2")), errors.BAD_ALPN),
    ("ALPN, many names", hello(alpn(*[b"h%d" % i for i in range(65)])), errors.BAD_ALPN),
    # -- versions
    ("versions, nothing", hello(extension(43, b"")), errors.BAD_VERSIONS),
    ("versions, empty list", hello(extension(43, b"\0")), errors.BAD_VERSIONS),
    ("versions, half of one", hello(extension(43, b"\3\3\4\3")), errors.BAD_VERSIONS),
    ("versions, list too long", hello(extension(43, b"\4\3\4")), errors.BAD_VERSIONS),
    ("versions, list too short", hello(extension(43, b"\2\3\4\3\3")), errors.BAD_VERSIONS),
    # -- server name
    ("name, nothing", hello(extension(0, b"")), errors.BAD_SERVER_NAME),
    ("name, empty list", hello(extension(0, b"\0\0")), errors.BAD_SERVER_NAME),
    ("name, another type", hello(server_name(b"a", kind=1)), errors.BAD_SERVER_NAME),
    ("name, two", hello(extension(0, b"\0\x08\0\0\1a\0\0\1b")), errors.BAD_SERVER_NAME),
    ("name, list too long", hello(extension(0, b"\0\5\0\0\1a")), errors.BAD_SERVER_NAME),
    ("name beyond the end", hello(extension(0, b"\0\4\0\0\2a")), errors.BAD_SERVER_NAME),
    *[
        (f"name {name!r}", hello(server_name(name)), errors.BAD_SERVER_NAME)
        for name in (
            b"", b".", b"a.", b".a", b"a..b", b"127.0.0.1", b"::1", b"[::1]", b"a:443", b"a b", b"a\0b", b"*.a", b"a/b",
            b"a@b", b"a`b", b"a{b", b"\xc3\xa4.de", b"a" * 64, b"a" * 64 + b".b", b"a." * 127, b"a\n", b"a%62",
        )
    ],
]  # fmt: skip


@pytest.mark.parametrize(("name", "wire", "error"), REFUSED, ids=[name for name, _, _ in REFUSED])
def test_a_hello_is_refused_in_any_cut(name: str, wire: bytes, error: errors.Violation):
    for ways in (whole, bytewise, as_needed):
        verdict, parser = ways(ClientHelloParser, wire)
        assert verdict == MALFORMED
        assert parser.error == error
    for at in range(len(wire)):
        assert in_two(ClientHelloParser, wire, at)[0] == MALFORMED
    # What comes behind changes nothing.
    assert whole(ClientHelloParser, wire + b"\x16\x03\x01")[1].error in (error, errors.BAD_HELLO)


def test_a_hello_cut_short_anywhere_is_refused():
    """The message ends early, and its length says so."""
    for size in range(len(BASE) - 4):
        # Without its extensions it is a hello of TLS 1.2.
        expected = READY if size == 2 + 32 + 33 + 6 + 2 else MALFORMED
        assert whole(ClientHelloParser, cut(BASE, size))[0] == expected


@pytest.mark.parametrize(
    "name",
    [
        b"a",
        b"A-b_c.D9",
        b"-a-.b",
        b"1.2.3",
        b"1.2.3.4.5",
        b"1.2.3.a",
        b"_",
        b"a" * 63,
        (b"a" * 63 + b".") * 3 + b"b" * 61,
    ],
)
def test_a_server_name_is_taken(name: bytes):
    verdict, parser = whole(ClientHelloParser, hello(server_name(name)))
    assert verdict == READY
    assert parser.hello.server_name == name.decode().lower()


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_hello_of_the_limit_passes_and_one_more_does_not():
    room = MAX_HELLO - len(message(server_name(b"a"), key_share(7, 0)))
    for more, expected in ((0, READY), (1, MALFORMED)):
        wire = records(message(server_name(b"a"), key_share(7, room + more)), [16_384] * 8)
        verdict, parser = whole(ClientHelloParser, wire)
        assert verdict == expected
        if expected == MALFORMED:
            assert parser.error == errors.HELLO_TOO_LARGE
    small = message(server_name(b"a"))
    assert whole(lambda: ClientHelloParser(max_hello=len(small)), record(small))[0] == READY
    assert whole(lambda: ClientHelloParser(max_hello=len(small) - 1), record(small))[0] == MALFORMED


def test_max_records():
    for count in (1, 2, 7):
        wire = records(BASE, [10] * (count - 1))
        assert whole(lambda n=count: ClientHelloParser(max_records=n), wire)[0] == READY
        if count > 1:
            verdict, parser = whole(lambda n=count: ClientHelloParser(max_records=n - 1), wire)
            assert verdict == MALFORMED
            assert parser.error == errors.TOO_MANY_RECORDS


def test_the_length_is_refused_before_the_bytes_come():
    parser = ClientHelloParser()
    assert parser.read(b"\x16\x03\x01\x40\x00\x01\x7f\xff\xff") == MALFORMED


def test_pieces_cost_no_more_than_the_whole():
    """Memory at most twice a hello, however it comes; nothing is kept once it is read."""
    wire = records(message(server_name(b"a"), key_share(7, 60_000)), [2100] * 40)
    prefixes = [wire[:end] for end in range(0, len(wire), 400)]
    parser = ClientHelloParser()
    tracemalloc.start()
    try:
        assert ask(parser, prefixes) == MORE
        assert ask(parser, [wire]) == READY
        assert tracemalloc.get_traced_memory()[1] < 3 * MAX_HELLO
        del prefixes, wire
        assert tracemalloc.get_traced_memory()[0] < 10_000
    finally:
        tracemalloc.stop()


# -- properties --------------------------------------------------------------------------------------------------------

wires = st.sampled_from([s.wire for s in SAMPLES if len(s.wire) < 3000] + [w for _, w, _ in REFUSED if len(w) < 3000])


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    wire = bytearray(draw(wires))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(wire) - 1)))
        kind = draw(st.sampled_from("srid"))
        if kind == "s" and wire:
            wire[at] = draw(st.integers(0, 255))
        elif kind == "r":
            del wire[at : at + draw(st.integers(1, 4))]
        elif kind == "i":
            wire[at:at] = draw(st.binary(max_size=5))
        else:
            wire[at:at] = wire[at : at + draw(st.integers(1, 60))]
    return bytes(wire)


@settings(max_examples=400, deadline=None)
@given(mutated(), st.integers(0, 3000))
def test_every_way_to_ask_tells_the_same(wire: bytes, at: int):
    expected = told(*whole(ClientHelloParser, wire))
    assert told(*bytewise(ClientHelloParser, wire)) == expected
    assert told(*as_needed(ClientHelloParser, wire)) == expected
    assert told(*in_two(ClientHelloParser, wire, min(at, len(wire)))) == expected


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_random_bytes_raise_nothing(data: bytes, as_hello: bool):
    wire = record(b"\x01" + len(data).to_bytes(3, "big") + data) if as_hello else data
    assert whole(ClientHelloParser, wire)[0] in (MALFORMED, OTHER, MORE, READY)


def openssl_says(wire: bytes) -> str | None:
    """The server name as OpenSSL's server understands it; None: it did not come so far."""
    seen: list[str] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def servername(_: object, name: str | None, __: object) -> int:
        seen.append(name or "")
        return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR

    context.sni_callback = servername
    incoming = ssl.MemoryBIO()
    incoming.write(wire)
    try:
        context.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True).do_handshake()
    except ssl.SSLError:
        pass
    except UnicodeError:
        return None  # a name that Python cannot hand over
    return seen[0] if seen else None


@settings(max_examples=300, deadline=None)
@given(mutated())
def test_what_we_take_openssl_understands_the_same(wire: bytes):
    verdict, parser = whole(ClientHelloParser, wire)
    name = openssl_says(wire) if verdict == READY else None
    if name is not None:
        assert name.lower() == parser.hello.server_name


def test_openssl_is_asked():
    assert openssl_says(from_ssl("Reviews.example")) == "Reviews.example"
    assert openssl_says(from_ssl()) == ""


# -- a real client over a real socket ----------------------------------------------------------------------------------


@pytest.mark.processes
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize(
    ("options", "server_name", "alpn", "versions"),
    [
        (["-servername", "A.example", "-alpn", "h2,http/1.1", "-tls1_3"], "a.example", (b"h2", b"http/1.1"), (0x0304,)),
        (["-noservername", "-tls1_2"], "", (), (0x0303,)),
        (["-servername", "b.example"], "b.example", (), (0x0304, 0x0303)),
        (["-servername", "c.example", "-groups", "P-521:ffdhe8192:X25519", "-tls1_3"], "c.example", (), (0x0304,)),
    ],
)
def test_openssl_s_client_is_understood_while_peeking(
    options: list[str], server_name: str, alpn: tuple[bytes, ...], versions: tuple[int, ...]
):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        client = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{server.getsockname()[1]}", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            peer, _ = server.accept()
            with peer:
                peer.settimeout(10)
                parser = ClientHelloParser()
                while True:
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, parser.needed)
                    # One byte too many is asked for, so that a MORE with what is needed at hand would show.
                    if parser.read(peer.recv(parser.needed + 1, socket.MSG_PEEK)) != MORE:
                        break
                assert parser.error is None
                assert (parser.hello.server_name, parser.hello.alpn) == (server_name, alpn)
                assert tuple(v for v in parser.hello.versions if v >= 0x0303) == versions
                assert len(peer.recv(parser.size)) == parser.size
        finally:
            client.terminate()
            client.wait(10)
