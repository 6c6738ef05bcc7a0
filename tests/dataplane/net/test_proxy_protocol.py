"""PROXY protocol headers: what is taken, what is refused, what is written, and that no cut changes any of it."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tage.dataplane.net import errors
from tage.dataplane.net.proxy_protocol import (
    MAX_LINE,
    ProxyHeaderParser,
    encode_v1,
    encode_v1_unknown,
    encode_v2,
    encode_v2_local,
)
from tage.dataplane.net.verdict import Verdict

from . import headers
from .headers import (
    ABSENT,
    BLOCKS,
    BODY4,
    LINES,
    NONE,
    REFUSED_BLOCKS,
    REFUSED_LINES,
    V4,
    V6,
    Accepted,
    Refused,
    block,
    told,
)
from .prefixes import as_needed, bytewise, in_two, whole

MALFORMED, OTHER, MORE, READY = Verdict.MALFORMED, Verdict.OTHER, Verdict.MORE, Verdict.READY

ACCEPTED = LINES + BLOCKS
REFUSED = REFUSED_LINES + REFUSED_BLOCKS


def names(case: Accepted | Refused) -> str:
    return case.name


def check(case: Accepted, verdict: int, parser: ProxyHeaderParser) -> None:
    assert verdict == READY, parser.error
    header = parser.header
    assert (header.family, header.source, header.destination) == (case.family, case.source, case.destination)
    assert header.local is case.local
    assert header.version == (1 if case.wire.startswith(b"P") else 2)
    assert parser.size == len(case.wire)


# -- reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ACCEPTED, ids=names)
def test_a_header_is_read_in_any_cut(case: Accepted):
    for behind in (b"", b"\r\n", b"GET / HTTP/1.1\r\n\r\n", b"PROXY UNKNOWN\r\n", b"\xff" * 5000):
        check(case, *whole(ProxyHeaderParser, case.wire + behind))
    check(case, *bytewise(ProxyHeaderParser, case.wire + b"\r\nGET"))
    check(case, *as_needed(ProxyHeaderParser, case.wire + b"\r\nGET"))
    for at in range(len(case.wire)):
        check(case, *in_two(ProxyHeaderParser, case.wire, at))


@pytest.mark.parametrize("case", ACCEPTED, ids=names)
def test_no_prefix_of_a_header_is_one(case: Accepted):
    for end in range(len(case.wire)):
        verdict, parser = whole(ProxyHeaderParser, case.wire[:end])
        assert verdict == MORE
        assert end < parser.needed <= len(case.wire)


@pytest.mark.parametrize("case", REFUSED, ids=names)
def test_a_header_is_refused_in_any_cut(case: Refused):
    for ways in (whole, bytewise, as_needed):
        for wire in (case.wire, case.wire + b"GET / HTTP/1.1\r\n"):
            verdict, parser = ways(ProxyHeaderParser, wire)
            assert verdict == MALFORMED
            assert parser.error == case.error
    for at in range(len(case.wire)):
        assert in_two(ProxyHeaderParser, case.wire, at)[0] == MALFORMED


@pytest.mark.parametrize("wire", ABSENT)
def test_something_else_is_told_apart(wire: bytes):
    for ways in (whole, bytewise, as_needed):
        verdict, parser = ways(ProxyHeaderParser, wire)
        assert verdict == (MORE if wire == b"P" else OTHER)
        assert parser.error is None


def test_nothing_yet():
    parser = ProxyHeaderParser()
    assert parser.read(b"") == MORE
    assert parser.needed == 1


def test_the_size_of_version_2_is_limited_before_it_is_there():
    for limit, expected in ((4096, MORE), (4095, MALFORMED)):
        assert whole(lambda n=limit: ProxyHeaderParser(max_size=n), block(length=4080))[0] == expected
    largest = block(BODY4 + headers.attribute(4, bytes(65_535 - 15)))
    verdict, parser = whole(lambda: ProxyHeaderParser(max_size=16 + 65_535), largest)
    assert verdict == READY
    assert parser.size == len(largest) == 16 + 65_535
    # It is not a limit of the line.
    assert whole(lambda: ProxyHeaderParser(max_size=16), LINES[0].wire)[0] == READY


def test_errors_tell_something():
    for case in REFUSED:
        assert case.error.code.startswith("proxy.")
        assert case.error.reason


# -- writing -----------------------------------------------------------------------------------------------------------


def test_written_as_the_specification_has_it():
    source, destination = ("192.168.0.1", 56324), ("192.168.0.11", 443)
    assert encode_v1(source, destination) == b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"
    assert encode_v1(("2001:DB8::1", 1, 0, 0), ("::1", 2, 0, 0)) == b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n"
    assert encode_v1_unknown() == b"PROXY UNKNOWN\r\n"
    assert encode_v2(("127.0.0.1", 40_000), ("10.1.2.3", 443)) == block(BODY4)
    assert encode_v2(("127.0.0.1", 40_000), ("10.1.2.3", 443), checksum=True) == block(BODY4 + headers.CRC4)
    assert encode_v2(("::1", 65_535), ("2001:db8::2", 0)) == block(headers.BODY6, family=0x21)
    assert encode_v2_local() == block(command=0x20, family=0)


def test_mixed_families_are_written_as_ipv6():
    for source, destination in ((("1.2.3.4", 5), ("::1", 6)), (("::1", 5), ("1.2.3.4", 6))):
        mapped = tuple((f"::ffff:{host}" if "." in host else host, port) for host, port in (source, destination))
        for wire in (encode_v1(source, destination), encode_v2(source, destination)):
            _, parser = whole(ProxyHeaderParser, wire)
            assert (parser.header.source, parser.header.destination) == mapped
            assert parser.header.family == V6
    # In version 1 without the IPv4 tail, which its grammar does not have.
    assert encode_v1(("1.2.3.4", 5), ("::1.2.3.4", 6)) == b"PROXY TCP6 ::ffff:102:304 ::102:304 5 6\r\n"


def test_a_scope_is_left_out():
    assert encode_v1(("fe80::1%eth0", 1, 0, 2), ("fe80::2", 2)) == b"PROXY TCP6 fe80::1 fe80::2 1 2\r\n"


@pytest.mark.parametrize(
    ("source", "destination", "culprit"),
    [
        (("localhost", 1), ("::1", 2), "localhost"),
        (("1.2.3.4", 1), ("1.2.3", 2), "1.2.3"),
        (("1.2.3.4", 1), ("", 2), "''"),
        (("1.2.3.4", 1), ("::1\0", 2), "::1"),
        (("1.2.3.4", -1), ("1.2.3.4", 2), "-1"),
        (("1.2.3.4", 1), ("1.2.3.4", 65_536), "65536"),
    ],
)
def test_what_is_no_address_is_not_written(source: tuple, destination: tuple, culprit: str):
    for encode in (encode_v1, encode_v2):
        with pytest.raises(ValueError, match="PROXY protocol") as raised:
            encode(source, destination)
        assert culprit in str(raised.value)


# -- properties --------------------------------------------------------------------------------------------------------

ports = st.integers(0, 65_535)
hosts = st.one_of(
    st.binary(min_size=4, max_size=4).map(lambda packed: str(ipaddress.IPv4Address(packed))),
    st.binary(min_size=16, max_size=16).map(lambda packed: str(ipaddress.IPv6Address(packed))),
    st.sampled_from(["::", "::1", "::ffff:1.2.3.4", "::1.2.3.4", "1:0:0:2::", "0.0.0.0", "255.255.255.255"]),
)
addresses = st.tuples(hosts, ports)


@settings(max_examples=200, deadline=None)
@given(addresses, addresses, st.sampled_from([encode_v1, encode_v2, lambda s, d: encode_v2(s, d, True)]), st.binary())
def test_what_is_written_is_read(source: tuple, destination: tuple, encode, behind: bytes):
    wire = encode(source, destination)
    for ways in (whole, bytewise, as_needed):
        verdict, parser = ways(ProxyHeaderParser, wire + behind)
        assert verdict == READY
        assert parser.size == len(wire)
        assert len(wire) <= MAX_LINE
        for written, read in ((source, parser.header.source), (destination, parser.header.destination)):
            assert ipaddress.ip_address(read[0]) in (
                ipaddress.ip_address(written[0]),
                ipaddress.ip_address(f"::ffff:{written[0]}") if "." in written[0] and ":" not in written[0] else None,
            )
            assert read[1] == written[1]


@settings(max_examples=200, deadline=None)
@given(addresses, addresses, st.integers(0), st.integers(1, 255))
def test_a_checksum_finds_any_changed_byte(source: tuple, destination: tuple, at: int, change: int):
    wire = bytearray(encode_v2(source, destination, checksum=True))
    start = 16  # what stands before says what the rest means
    at = start + at % (len(wire) - start)
    if at in range(len(wire) - 7, len(wire) - 4):
        return  # the attribute's own type and length
    wire[at] ^= change
    verdict, parser = whole(ProxyHeaderParser, bytes(wire))
    assert verdict == MALFORMED
    assert parser.error == errors.BAD_CHECKSUM


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    wire = bytearray(draw(st.sampled_from([c.wire for c in (*ACCEPTED, *REFUSED) if len(c.wire) < 500])))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(wire)))
        gone = draw(st.sampled_from([0, 1, 1, 2, 7]))
        wire[at : at + gone] = draw(
            st.sampled_from([b"", b" ", b"\r", b"\n", b"\0", b"\xff", b"1", b"TCP4", b"::", b"."])
        )
    return bytes(wire)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(mutated(), st.binary(max_size=200), st.binary(max_size=60).map(headers.SIGNATURE.__add__)), st.integers(0)
)
def test_every_way_to_ask_tells_the_same(wire: bytes, at: int):
    expected = told(*whole(ProxyHeaderParser, wire))
    assert told(*bytewise(ProxyHeaderParser, wire)) == expected
    assert told(*as_needed(ProxyHeaderParser, wire)) == expected
    assert told(*in_two(ProxyHeaderParser, wire, at % (len(wire) + 1))) == expected
    if expected[0] == READY and expected[4] != NONE:
        family, source, destination = expected[4:]
        assert all(
            ipaddress.ip_address(host).version == (4 if family == V4 else 6) for host, _ in (source, destination)
        )
