"""Odd requests: exactly the ones that are there reach the origin, or none and the client is told so."""

# ruff: noqa: E501  (a table)

from __future__ import annotations

import random

import pytest

from tests.e2e.smuggling import odd_requests
from tests.e2e.smuggling.conftest import CASES, Report, Sample, whole_or_cut
from tests.e2e.smuggling.exchange import Requests
from tests.e2e.smuggling.lane import Lane, pieces
from tests.e2e.smuggling.odd import DONE, HELLO, HIDDEN
from tests.e2e.smuggling.odd_requests import build

pytestmark = pytest.mark.processes

SPECIAL = 1_600
MUTATED = CASES or 1_600

_CHUNKED, _LENGTH = b"Transfer-Encoding: chunked", b"Content-Length: 5"
EVERY_CUT = [
    build(_LENGTH, body=b"hello" + HIDDEN),
    build(_CHUNKED, body=HELLO + HIDDEN),
    build(_CHUNKED, body=b'2;a="b"\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n' + HIDDEN),
    build(_CHUNKED, body=b"%x\r\n%b\r\n" % (len(HIDDEN), HIDDEN) + DONE),
    build(b"Content-Length: %d" % len(HIDDEN), body=HIDDEN),
    build(b"Connection: close", _LENGTH, body=b"hello" + HIDDEN),
    build(b"Expect: 100-continue", _LENGTH, body=b"hello"),
    build(method=b"HEAD") + HIDDEN,
    build(method=b"GET", target=b"http://h/x?y") + HIDDEN,
    build(_LENGTH, version=b"HTTP/1.0", body=b"hello" + HIDDEN),
    b"\r\n" + build(method=b"GET") + b"\r\n" + HIDDEN,
    build(_LENGTH, _CHUNKED, body=HELLO + HIDDEN),
    build(_CHUNKED, _LENGTH, body=HELLO + HIDDEN),
    build(_LENGTH, _LENGTH, body=b"hello" + HIDDEN),
    build(b"Content-Length: 5", b"Content-Length: 6", body=b"hello" + HIDDEN),
    *[build(b"Content-Length: " + value, body=b"hello" + HIDDEN) for value in (b"+5", b"5,5", b"0x5", b"5 5", b"\x0b5", b"18446744073709551621")],
    *[
        build(b"Transfer-Encoding: " + value, body=HELLO + HIDDEN)
        for value in (b"\x0bchunked", b"xchunked", b"chunked, identity", b"identity, chunked", b"chunked,", b"chun\0ked", b"\r\n chunked", b"chunked\r")
    ],
    build(b"Transfer-Encoding : chunked", body=HELLO + HIDDEN),
    build(b"X: y\nTransfer-Encoding: chunked", body=HELLO + HIDDEN),
    build(b"X: y\rTransfer-Encoding: chunked", body=HELLO + HIDDEN),
    build(b"X: y", b" z", _LENGTH, body=b"hello" + HIDDEN),
    build(_CHUNKED, version=b"HTTP/1.0", body=HELLO + HIDDEN),
    *[
        build(_CHUNKED, body=size + b"\r\nhello\r\n" + DONE + HIDDEN)
        for size in (b"5 ", b"0x5", b"+5", b"5;\n", b"5;a\rb", b"100000005", b"10000000000000005", b"6", b"4", b"5\r", b"5\n")
    ],
    *[build(_CHUNKED, body=b"5\r\nhello\r\n" + last + HIDDEN) for last in (b"0\r\n", b"0\n\n", b"0\r\n\n", b"0\r\r\n", b"0\r\nX : y\r\n\r\n", b"0\r\nX: y\r\n z\r\n\r\n", b"0\r\nX: y\n\r\n")],
    build(ends=(b"\n", b"\n", b"\n")) + HIDDEN,
    build(method=b"GET", host=(b"Host: a", b"Host: b")) + HIDDEN,
]  # fmt: skip


def test_special_cases(lane: Lane, report: Report, source: random.Random, sample: Sample) -> None:
    """One thing is odd in each."""
    requests = Requests(lane)
    for case in sample(list(dict.fromkeys(odd_requests.special())), SPECIAL):
        for cuts in whole_or_cut(source, len(case)):
            report.add(case, cuts, requests.play(pieces(case, cuts)))
    assert requests.accepted > report.cases // 10


def test_mutations(lane: Lane, report: Report, source: random.Random) -> None:
    requests = Requests(lane)
    for _ in range(MUTATED):
        case = odd_requests.mutated(source)
        cuts = [source.randrange(len(case)) for _ in range(source.choice([0, 1, 1, 2, 3]))]
        report.add(case, cuts, requests.play(pieces(case, cuts)))
    assert requests.accepted > report.cases // 10


@pytest.mark.parametrize("case", sorted(EVERY_CUT), ids=lambda case: None)
def test_every_cut(lane: Lane, report: Report, case: bytes) -> None:
    requests = Requests(lane)
    for at in range(1, len(case)):
        report.add(case, at, requests.play(pieces(case, [at])))
