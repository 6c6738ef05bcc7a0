"""The strict reader against the tables that the codec's own tests have, and against h11."""

from __future__ import annotations

import random

import pytest

from tests.dataplane.protocols.http1 import cases, oracle
from tests.e2e.smuggling import odd_requests, verdict
from tests.e2e.smuggling.strict import Broken, Malformed, read_request, read_response

# The routes of the differential test allow no tunnels, so the reader knows none.
REQUESTS = [case for case in cases.REQUESTS if case.message.line[0] != b"CONNECT"]


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.name)
def test_requests_that_are_well_formed(case: cases.Accepted) -> None:
    message = read_request(case.wire)
    method, target, host = case.message.line
    assert message.line[:2] == (method, target)
    assert (message.host, message.body, message.persistent) == (host, case.message.body, case.message.keep_alive)
    assert message.end == len(case.wire)


@pytest.mark.parametrize("case", cases.REFUSED, ids=lambda case: case.name)
def test_requests_that_are_not(case: cases.Refused) -> None:
    try:
        message = read_request(case.wire)
    except Broken:
        return
    assert message.optional


@pytest.mark.parametrize("case", cases.RESPONSES, ids=lambda case: case.name)
def test_responses_that_are_well_formed(case: cases.Answer) -> None:
    message = read_response(case.wire, 0, b"HEAD" if case.to_head else b"GET", ended=case.closes)
    assert int(message.line[1]) == case.message.line
    assert (message.body, message.persistent) == (case.message.body, case.message.keep_alive)


@pytest.mark.parametrize("case", cases.REFUSED_RESPONSES, ids=lambda case: case.name)
def test_responses_that_are_not(case: cases.Refused) -> None:
    with pytest.raises(Broken):
        read_response(case.wire, 0, b"GET", ended=False)


def test_h11_reads_what_is_well_formed_likewise() -> None:
    """It is the more tolerant of the two: what it refuses, the strict reader has to refuse, and bodies are equal."""
    source = random.Random(3)
    compared = 0
    for case in [*odd_requests.special(), *(odd_requests.mutated(source) for _ in range(2_000))]:
        reading = verdict.read_requests(case)
        if len(reading.messages) != 1 or reading.end != "clean" or reading.messages[0].optional:
            continue
        message = reading.messages[0]
        seen = oracle.read_requests(case[: message.end])
        assert seen is not None, case[:300]
        assert [each.body for each in seen] == [message.body], case[:300]
        compared += 1
    assert compared > 400


def test_what_is_not_said_to_be_optional_is_refused_for_a_reason() -> None:
    with pytest.raises(Malformed, match="Transfer-Encoding and Content-Length"):
        read_request(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
