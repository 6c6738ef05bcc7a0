"""Protocols told apart: every prefix, and that an answer never changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tage.dataplane.net.inspection import LIMIT, MORE, NO, YES, application

from .test_detect import CASES
from .test_detect import Protocol as Http


def begins(*starts: bytes):
    """What matches of a protocol whose frames begin with one of these."""

    def matches(prefix: bytes) -> int:
        if any(prefix.startswith(start) for start in starts):
            return YES
        return MORE if any(start.startswith(prefix) for start in starts) else NO

    return matches


BOLT = ("x-bolt", begins(b"\x01\x01", b"\x02\x01", b"\x02\x02"))
DUBBO = ("x-dubbo", begins(b"\xda\xbb"))
LEDGER = ("x-ledger", begins(b"LG\x01"))
LOG = ("x-log", begins(b"LG"))
LATE = ("x-late", begins(b"LG" + b"\x01" * 70))
ALL = (BOLT, DUBBO, LEDGER)


def steps(wire: bytes, http: bool, candidates) -> str | None:
    """The answer byte by byte. Checks that it is final."""
    answer = None
    for end in range(len(wire) + 1):
        before, answer = answer, application(wire[:end], http, candidates)
        assert before is None or before == answer
    return answer


@pytest.mark.parametrize(
    ("candidates", "wire", "expected"),
    [
        (ALL, b"\x01\x01\x00\x01", "x-bolt"),
        (ALL, b"\x02\x02", "x-bolt"),
        (ALL, b"\xda\xbb\xc2\x00", "x-dubbo"),
        (ALL, b"LG\x01\x01", "x-ledger"),
        (ALL, b"GET / HTTP/1.1\r\n", "http/1.1"),
        (ALL, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "h2c"),
        (ALL, b"\x01\x02", ""),
        (ALL, b"LG\x02", ""),
        (ALL, b"SSH-2.0-a\r\n", ""),
        (ALL, b"\xda", None),
        (ALL, b"L", None),
        (ALL, b"", None),
        ((LEDGER, LOG), b"LG", None),
        ((LEDGER, LOG), b"LG\x01", "x-ledger"),
        ((LEDGER, LOG), b"LG\x02", "x-log"),
        ((LOG, LEDGER), b"LG\x01", "x-log"),
        ((LATE, LOG), b"LG" + b"\x01" * (LIMIT - 3), None),
        ((LATE, LOG), b"LG" + b"\x01" * 100, "x-log"),
        ((), b"\x01", ""),
    ],
)
def test_which_it_is(candidates, wire: bytes, expected: str | None):
    assert application(wire, True, candidates) == expected
    assert steps(wire, True, candidates) == expected
    if expected is not None:
        assert application(wire + b"\0" * 100, True, candidates) == expected


@pytest.mark.parametrize(("protocol", "wire"), CASES)
def test_of_http_it_says_what_detection_says(protocol: Http, wire: bytes):
    names = {Http.HTTP1: "http/1.1", Http.HTTP2: "h2c", Http.UNDECIDED: None}
    assert application(wire, True) == names.get(protocol, "")


def test_http_is_not_looked_for_unasked():
    assert application(b"GET / HTTP/1.1\r\n", False, ALL) == ""
    assert application(b"G", False, ALL) == ""


@given(st.binary(max_size=100), st.permutations([BOLT, DUBBO, LEDGER, LOG, LATE]), st.booleans())
def test_a_longer_prefix_never_changes_an_answer(wire: bytes, candidates, http: bool):
    answer = steps(wire, http, candidates)
    assert answer is not None or len(wire) < LIMIT
