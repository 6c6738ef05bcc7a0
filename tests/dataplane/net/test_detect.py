"""Protocol detection: whole, byte by byte, and that an answer never changes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tage.dataplane.net.detect import LIMIT, Protocol, detect

from ..protocols.http1.cases import REQUESTS
from . import hellos

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

CASES = [
    # -- TLS
    (Protocol.TLS, b"\x16\x03\x01\x02\x00\x01"),
    (Protocol.TLS, b"\x16\x03"),
    (Protocol.UNKNOWN, b"\x16\x02\x01"),
    (Protocol.UNKNOWN, b"\x16G"),
    (Protocol.UNKNOWN, b"\x15\x03\x01\x00\x02\x02\x28"),
    # -- HTTP/2
    (Protocol.HTTP2, PREFACE),
    (Protocol.UNKNOWN, PREFACE[:-1] + b"x"),
    (Protocol.UNKNOWN, b"PRI * HTTP/2.0\r\n\r\nSN"),
    (Protocol.UNKNOWN, b"PRI * HTTP/3.0\r\n"),
    # -- HTTP/1
    (Protocol.HTTP1, b"GET / HTTP/1.1\r\n\r\n"),
    (Protocol.HTTP1, b"GET / HTTP/1."),
    (Protocol.HTTP1, b"\r\nGET / HTTP/1.0\r\n"),
    (Protocol.HTTP1, b"PRI * HTTP/1.1\r\n"),
    (Protocol.HTTP1, b"PRI /a HTTP/1.1\r\n"),
    (Protocol.HTTP1, b"PR /a HTTP/1.1\r\n"),
    (Protocol.HTTP1, b"OPTIONS * HTTP/1.1\r\n"),
    (Protocol.HTTP1, b"GET /a/long/path/without/end"),
    (Protocol.HTTP1, b"GET /exactly/20/bytes/ab HTTP/1.1\r\n"),
    (Protocol.HTTP1, b"GET http://reviews/ HTTP/1.1"),
    (Protocol.HTTP1, b"GET HTTPS://a/b HTTP/1.1"),
    (Protocol.HTTP1, b"CONNECT a.example:443 HTTP/1.1"),
    (Protocol.HTTP1, b"CONNECT [::1]:443 HTTP/1.1"),
    (Protocol.HTTP1, b"BASELINE-CONTROL /a HTTP/1.1"),
    (Protocol.HTTP1, b"get /a HTTP/1.1"),
    (Protocol.HTTP1, b"M-SEARCH * HTTP/1.1\r\n"),
    # -- others
    (Protocol.UNKNOWN, b" GET / HTTP/1.1\r\n"),
    (Protocol.UNKNOWN, b"\r\n\r\nGET / HTTP/1.1\r\n"),
    (Protocol.UNKNOWN, b"\rGET"),
    (Protocol.UNKNOWN, b"\n"),
    (Protocol.UNKNOWN, b"GET /\r\n"),
    (Protocol.UNKNOWN, b"GET  / HTTP/1.1\r\n"),
    (Protocol.UNKNOWN, b"GET / HTTP/2.0\r\n"),
    (Protocol.UNKNOWN, b"GET / http/1.1\r\n"),
    (Protocol.UNKNOWN, b"OPTIONS * RTSP/1.0\r\n"),
    (Protocol.UNKNOWN, b"OPTIONS ** HTTP/1.1\r\n"),
    (Protocol.UNKNOWN, b"OPTIONS rtsp://a RTSP/1.0\r\n"),
    (Protocol.UNKNOWN, b"INVITE sip:a@b SIP/2.0\r\n"),
    (Protocol.UNKNOWN, b"HTTP/1.1 200 OK\r\n"),
    (Protocol.UNKNOWN, b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n"),
    (Protocol.UNKNOWN, b"SSH-2.0-a\r\n"),
    (Protocol.UNKNOWN, b"EHLO a\r\n"),
    (Protocol.UNKNOWN, b"USER http\r\n"),
    (Protocol.UNKNOWN, b"CONNECT\naccept-version:1.2\n"),
    (Protocol.UNKNOWN, b"CONNECT  HTTP/1.1"),
    (Protocol.UNKNOWN, b"CONNECTS a:1 HTTP/1.1"),
    (Protocol.UNKNOWN, b"get /key\r\n"),
    (Protocol.UNKNOWN, b"set /key 0 0 5\r\n"),
    (Protocol.UNKNOWN, b"*1\r\n$4\r\nPING\r\n"),
    (Protocol.UNKNOWN, b"PING\r\n"),
    (Protocol.UNKNOWN, b"\xda\xbb\xc2\x00"),  # Dubbo
    (Protocol.UNKNOWN, b"\x01\x01\x00\x01"),  # bolt
    (Protocol.UNKNOWN, b"GET /\xff HTTP/1.1"),
    (Protocol.UNKNOWN, b"A" * 24),
    (Protocol.UNKNOWN, b"A" * 23 + b" /"),
    (Protocol.UNKNOWN, b"A" * 22 + b" \0"),
    (Protocol.HTTP1, b"A" * 22 + b" /"),
    # -- too short to tell
    (Protocol.UNDECIDED, b""),
    (Protocol.UNDECIDED, b"\x16"),
    (Protocol.UNDECIDED, b"P"),
    (Protocol.UNDECIDED, PREFACE[:23]),
    (Protocol.UNDECIDED, b"GET / HTTP/1"),
    (Protocol.UNDECIDED, b"GET /a/long/path"),
    (Protocol.UNDECIDED, b"GET http:/"),
    (Protocol.UNDECIDED, b"\r"),
    (Protocol.UNDECIDED, b"GET "),
]


def steps(wire: bytes) -> int:
    """The answer byte by byte. Checks that it is final."""
    answer: int = Protocol.UNDECIDED
    for end in range(len(wire) + 1):
        before, answer = answer, detect(wire[:end])
        assert before in (Protocol.UNDECIDED, answer)
    return answer


@pytest.mark.parametrize(("protocol", "wire"), CASES)
def test_a_protocol_is_told(protocol: Protocol, wire: bytes):
    assert detect(wire) == protocol
    assert steps(wire) == protocol
    if protocol != Protocol.UNDECIDED:
        assert detect(wire + b"\0" * 100) == protocol


@pytest.mark.parametrize("sample", [*hellos.real(), *hellos.made()], ids=lambda sample: sample.name)
def test_a_client_hello_is_tls(sample: hellos.Sample):
    assert detect(sample.wire) == Protocol.TLS


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.name)
def test_every_request_that_the_decoder_takes_is_http1(case):
    line = case.wire.removeprefix(b"\r\n").partition(b" ")
    odd = len(line[0]) > 21  # longer than the name of any method
    assert detect(case.wire) == (Protocol.UNKNOWN if odd else Protocol.HTTP1)


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=40),
        st.lists(
            st.sampled_from(
                [b"GET", b"CONNECT", b" ", b"/", b"*", b"http", b"s", b"://", b"HTTP/1.", b"a", b"\r\n", b"\x16\3"]
            )
        ).map(b"".join),
        st.tuples(st.sampled_from([wire for _, wire in CASES]), st.integers(0, 30), st.binary(max_size=3)).map(
            lambda t: t[0][: t[1]] + t[2] + t[0][t[1] :]
        ),
    )
)
def test_an_answer_never_changes_and_24_bytes_decide(wire: bytes):
    answer = steps(wire)
    assert answer == detect(wire) == detect(wire[:LIMIT])
    if len(wire) >= LIMIT:
        assert answer != Protocol.UNDECIDED
