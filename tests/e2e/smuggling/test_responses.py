"""Odd responses: the client gets exactly the one that is there, or an error; the next request gets its own answer."""

from __future__ import annotations

import random

import pytest

from tests.e2e.smuggling import odd_responses
from tests.e2e.smuggling.conftest import CASES, Report, Sample, whole_or_cut
from tests.e2e.smuggling.exchange import Responses
from tests.e2e.smuggling.lane import Lane
from tests.e2e.smuggling.odd import DONE, HELLO
from tests.e2e.smuggling.odd_responses import STOLEN, Script, build

pytestmark = pytest.mark.processes

SPECIAL = 800
MUTATED = CASES or 600

_CHUNKED, _LENGTH = b"Transfer-Encoding: chunked", b"Content-Length: 5"
EVERY_CUT = [
    Script(b"GET", build(_LENGTH, body=b"hello") + STOLEN, "open"),
    Script(b"GET", build(_CHUNKED, body=HELLO) + STOLEN, "open"),
    Script(b"GET", build(_CHUNKED, body=b'2;a="b"\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n'), "open"),
    Script(b"GET", build(_CHUNKED, body=b"%x\r\n%b\r\n" % (len(STOLEN), STOLEN) + DONE), "open"),
    Script(b"GET", build(body=b"hello\r\n" + STOLEN), "end"),
    Script(b"GET", build(body=b"hello"), "reset"),
    Script(b"HEAD", build(_LENGTH) + STOLEN, "open"),
    Script(b"HEAD", build(_CHUNKED) + HELLO, "open"),
    Script(b"GET", build(line=b"HTTP/1.1 204 No") + STOLEN, "open"),
    Script(b"GET", build(_LENGTH, line=b"HTTP/1.1 304 No") + b"hello", "open"),
    Script(b"GET", b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\n\r\n" + build(_LENGTH, body=b"hello"), "open"),
    Script(b"GET", build(_LENGTH, line=b"HTTP/1.1 100 C") + b"hello" + STOLEN, "open"),
    Script(b"GET", build(line=b"HTTP/1.1 101 S") + STOLEN, "open"),
    Script(b"GET", b"\r\n" + build(_LENGTH, body=b"hello"), "open"),
    Script(b"GET", build(_LENGTH, _CHUNKED, body=HELLO) + STOLEN, "open"),
    Script(b"GET", build(_LENGTH, b"Content-Length: 6", body=b"hello") + STOLEN, "open"),
    Script(b"GET", build(b"Transfer-Encoding: xchunked", body=HELLO), "end"),
    Script(b"GET", build(b"Transfer-Encoding : chunked", body=HELLO), "end"),
    Script(b"GET", build(b"X: y\rTransfer-Encoding: chunked", body=HELLO), "end"),
    Script(b"GET", build(_CHUNKED, line=b"HTTP/1.0 200 OK", body=HELLO), "end"),
    Script(b"GET", build(_LENGTH, line=b"HTTP/1.0 200 OK", body=b"hello" + STOLEN), "open"),
    Script(b"GET", build(b"Content-Length: 500", body=b"hello" + STOLEN), "end"),
    Script(b"GET", build(_CHUNKED, body=b"5 \r\nhello\r\n" + DONE), "open"),
    Script(b"GET", build(_CHUNKED, body=b"5\r\nhello\r\n0\r\n"), "end"),
    Script(b"GET", build(_CHUNKED, body=b"5;\nxx\r\nhello\r\n" + DONE), "open"),
]


def test_special_cases(lane: Lane, report: Report, source: random.Random, sample: Sample) -> None:
    """One thing is odd in each."""
    responses = Responses(lane)
    for case in sample(list(dict.fromkeys(odd_responses.special())), SPECIAL):
        for cuts in whole_or_cut(source, len(case.data)):
            report.add(case, cuts, responses.play(case, cuts))
    assert responses.accepted > report.cases // 10


def test_mutations(lane: Lane, report: Report, source: random.Random) -> None:
    responses = Responses(lane)
    for _ in range(MUTATED):
        case = odd_responses.mutated(source)
        cuts = [source.randrange(len(case.data) + 1) for _ in range(source.choice([0, 1, 1, 2, 3]))]
        report.add(case, cuts, responses.play(case, cuts))
    assert responses.accepted > report.cases // 10


@pytest.mark.parametrize("case", EVERY_CUT, ids=lambda case: None)
def test_every_cut(lane: Lane, report: Report, case: Script) -> None:
    responses = Responses(lane)
    for at in range(1, len(case.data)):
        report.add(case, at, responses.play(case, [at]))
