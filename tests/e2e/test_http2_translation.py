"""Smuggling by translation: HTTP/2 requests whose parts would mean something else as bytes of HTTP/1.1, and the other
way round. What is wrong is refused and reaches no backend; what is allowed arrives as one request that h11, or h2,
takes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.e2e.backend import Backend, RawBackend
from tests.e2e.bootstraps import bootstrap, cluster, listener, route, virtual_host
from tests.e2e.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PROTOCOL_ERROR,
    Fields,
    Peer,
    frame,
)
from tests.e2e.http2_backend import Answer, Http2Backend
from tests.e2e.http2_backend import Request as Http2Request
from tests.e2e.ports import free_port
from tests.e2e.sidecar import Sidecar, sidecar
from tests.e2e.wire import Client
from tests.interop.grpc.sidecars import http2_cluster

pytestmark = pytest.mark.processes

_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_TRAILERS = {"http_protocol_options": {"enable_trailers": True}}
"""HTTP/1.1 has them where it is told to."""
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: a.test\r\n\r\n"
PSEUDO = {":method": "GET", ":scheme": "http", ":authority": "a.test", ":path": "/"}


def changed(**pseudo: str | bytes | None) -> list[tuple[str | bytes, str | bytes]]:
    """A request's pseudo-headers; None leaves one out."""
    fields: dict[str, str | bytes | None] = {**PSEUDO, **{f":{name}": value for name, value in pseudo.items()}}
    return [(name, value) for name, value in fields.items() if value is not None]


def with_field(name: str | bytes, value: str | bytes) -> list[tuple[str | bytes, str | bytes]]:
    return [*changed(), (name, value)]


MALFORMED: dict[str, Fields] = {
    # RFC 9113, 8.2.1: what a field may not have.
    "value with CRLF": with_field("x-a", "1\r\nx-b: 2"),
    "value with a request": with_field("x-a", b"1\r\n\r\n" + SMUGGLED),
    "value with LF": with_field("x-a", "1\nx-b: 2"),
    "value with CR": with_field("x-a", "1\rx-b: 2"),
    "value with NUL": with_field("x-a", "1\x002"),
    "value that begins with a space": with_field("x-a", " 1"),
    "value that ends with a tab": with_field("x-a", "1\t"),
    "name with CRLF": with_field("x-a: 1\r\nx-b", "2"),
    "name with a colon": with_field("x-a:b", "2"),
    "name with a space": with_field("x-a ", "2"),
    "name in upper case": with_field("X-A", "2"),
    "name with NUL": with_field("x\x00a", "2"),
    "name beyond ASCII": with_field(b"x-\xc3\xa4", "2"),
    "empty name": with_field("", "2"),
    # 8.2.2: connection-specific fields.
    "transfer-encoding": with_field("transfer-encoding", "chunked"),
    "connection": with_field("connection", "close"),
    "keep-alive": with_field("keep-alive", "timeout=5"),
    "proxy-connection": with_field("proxy-connection", "keep-alive"),
    "upgrade": with_field("upgrade", "h2c"),
    "te of another kind": with_field("te", "gzip"),
    # 8.3.1: pseudo-headers.
    "path with CRLF": changed(path=b"/ HTTP/1.1\r\nhost: b.test\r\n\r\nGET /smuggled"),
    "path with a space": changed(path="/ HTTP/1.1"),
    "path without its slash": changed(path="admin"),
    "empty path": changed(path=""),
    "no path": changed(path=None),
    "method with a space": changed(method="GET /smuggled HTTP/1.1\r\nx-a:"),
    "empty method": changed(method=""),
    "no method": changed(method=None),
    "no scheme": changed(scheme=None),
    "scheme with CRLF": changed(scheme="http\r\nx-a: b"),
    "authority with CRLF": changed(authority="a.test\r\nx-a: b"),
    "authority with a space": changed(authority="a.test b.test"),
    "authority with userinfo": changed(authority="b.test@a.test"),
    "authority with a path": changed(authority="a.test/b"),
    "host that differs": with_field("host", "b.test"),
    "two hosts": [*changed(authority=None), ("host", "a.test"), ("host", "b.test")],
    "pseudo-header twice": [*changed(), (":path", "/smuggled")],
    "pseudo-header at the end": [*changed(path=None), ("x-a", "1"), (":path", "/")],
    "pseudo-header that is none": [*changed(), (":smuggled", "1")],
    "pseudo-header of answers": [*changed(), (":status", "200")],
    # 8.1.1: lengths.
    "length that is no number": with_field("content-length", "1x"),
    "length with a sign": with_field("content-length", "+0"),
    "length below zero": with_field("content-length", "-1"),
    "length twice": [*changed(), ("content-length", "0"), ("content-length", "5")],
    "lengths as a list": with_field("content-length", "0, 5"),
    "length of hexadecimal digits": with_field("content-length", "0x0"),
    "length without a body": with_field("content-length", str(len(SMUGGLED))),
}


class Setup:
    def __init__(self) -> None:
        self.port = free_port()
        self.app, self.raw, self.app2 = Backend(), RawBackend(), Http2Backend(self._answer)
        self.answer2 = Answer(body=b"two")
        self.sidecar: Sidecar

    def _answer(self, request: Http2Request) -> Answer:
        return self.answer2

    def bootstrap(self) -> dict[str, object]:
        hosts = [
            virtual_host("a.test", route("app")),
            virtual_host("raw.test", route("raw")),
            virtual_host("two.test", route("two")),
        ]
        typed = {"@type": f"type.googleapis.com/{_OPTIONS}", "explicit_http_config": _TRAILERS}
        options = {"typed_extension_protocol_options": {_OPTIONS: typed}}
        clusters = [
            cluster("app", self.app.port, **options),
            cluster("raw", self.raw.port, **options),
            http2_cluster("two", self.app2.port),
        ]
        return bootstrap(free_port(), [listener("l", self.port, hosts, **_TRAILERS)], clusters)

    def close(self) -> None:
        self.app.close()
        self.raw.close()
        self.app2.close()


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    with contextlib.closing(Setup()) as made, sidecar(tmp_path_factory.mktemp("http2"), made.bootstrap()) as running:
        made.sidecar = running
        with Peer(made.port) as peer:
            assert peer.get("a.test").status == 200
        yield made


@contextlib.contextmanager
def nothing_smuggled(setup: Setup, expected: int = 0) -> Iterator[Peer]:
    """What the backend gets, beside `expected` requests, is the one that is sent at the end: on a kept connection it
    would follow whatever was left in it."""
    before = len(setup.app.requests)
    with Peer(setup.port) as peer:
        yield peer
    with Peer(setup.port) as peer:
        assert peer.get("a.test", "/honest").status == 200
    got = [request.target for request in setup.app.requests[before:]]
    assert len(got) == expected + 1, got
    assert got[-1] == "/honest"
    assert "/smuggled" not in got


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_requests_reach_nobody(setup: Setup, case: str) -> None:
    with nothing_smuggled(setup) as peer:
        answer = peer.answer(peer.headers(MALFORMED[case]))
        assert answer.reset == PROTOCOL_ERROR or 400 <= answer.status < 500, answer
        # The connection is none the worse for it.
        assert not peer.closed
        peer.ping()


@pytest.mark.parametrize("said", [0, 4, len(SMUGGLED) - 1, len(SMUGGLED) + 1, 1 << 40])
def test_a_length_that_the_data_do_not_have(setup: Setup, said: int) -> None:
    """H2.CL: what is too much would be the next request of a kept connection."""
    with nothing_smuggled(setup) as peer:
        fields = [*changed(method="POST"), ("content-length", str(said))]
        answer = peer.answer(peer.headers(fields, body=SMUGGLED))
        assert answer.reset == PROTOCOL_ERROR or 400 <= answer.status < 500, answer


def test_a_body_without_a_length(setup: Setup) -> None:
    """It is framed anew, whatever it looks like."""
    before = len(setup.app.requests)
    with nothing_smuggled(setup, expected=2) as peer:
        for body in (b"0\r\n\r\n" + SMUGGLED, b"5\r\nhello\r\n0\r\n\r\n"):
            answer = peer.answer(peer.request(method="POST", body=body))
            assert answer.status == 200
    assert [request.body for request in setup.app.requests[before:][:2]] == [
        b"0\r\n\r\n" + SMUGGLED,
        b"5\r\nhello\r\n0\r\n\r\n",
    ]


@pytest.mark.parametrize(
    "trailer",
    [
        (":path", "/smuggled"),
        ("x-a", "1\r\nx-b: 2"),
        ("X-A", "1"),
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
    ],
    ids=lambda trailer: trailer[0],
)
def test_malformed_trailers(setup: Setup, trailer: tuple[str, str]) -> None:
    """The request may have begun by then, but is not completed."""
    before = len(setup.app.requests)
    with Peer(setup.port) as peer:
        stream = peer.request(method="POST", path="/trailers", body=b"body", end=False)
        peer.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, peer.block([trailer])))
        answer = peer.answer(stream)
        assert answer.reset == PROTOCOL_ERROR or 400 <= answer.status < 500, answer
    with Peer(setup.port) as peer:
        assert peer.get("a.test", "/honest").status == 200
    assert [request.target for request in setup.app.requests[before:]] == ["/honest"]


def test_trailers_that_frame_or_route_are_left_out(setup: Setup) -> None:
    before = len(setup.app.requests)
    with nothing_smuggled(setup, expected=1) as peer:
        stream = peer.request(method="POST", path="/trailers", body=b"body", end=False)
        fields = [("content-length", "7"), ("host", "b.test"), ("authorization", "x"), ("x-sum", "1")]
        peer.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, peer.block(fields)))
        answer = peer.answer(stream)
        if answer.reset is not None:  # refused is as good
            assert answer.reset == PROTOCOL_ERROR
            return
        assert answer.status == 200
    request = setup.app.requests[before]
    assert request.body == b"body"
    assert request.trailers == {"x-sum": "1"}


def test_what_is_odd_but_allowed_arrives(setup: Setup) -> None:
    with nothing_smuggled(setup, expected=1) as peer:
        fields = [
            *changed(method="PURGE", path="/a?b=%0d%0a&c=\\'\"|{}"),
            ("te", "trailers"),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
            ("x-empty", ""),
            ("x-bytes", b"\xe4\xff\x80"),
            ("x-tab", "a\tb"),
            ("x!#$%&'*+.^_`|~", "token"),
        ]
        answer = peer.answer(peer.headers(fields))
    request = setup.app.requests[-2]
    assert answer.status == 200
    assert request.method == "PURGE"
    assert request.target == "/a?b=%0d%0a&c=\\'\"|{}"
    assert request.headers["host"] == "a.test"
    assert request.headers["cookie"] == "a=1; b=2"
    assert request.headers["x-empty"] == ""
    assert request.headers["x-bytes"] == "\xe4\xff\x80"
    assert request.headers["x-tab"] == "a\tb"
    assert request.headers["x!#$%&'*+.^_`|~"] == "token"


def test_a_large_body_split_oddly(setup: Setup) -> None:
    """Padding, empty frames, single bytes."""
    content = bytes(range(256)) * 16
    with nothing_smuggled(setup, expected=1) as peer:
        stream = peer.request(method="POST", path="/split", end=False)
        peer.send(frame(DATA, 8, stream, b"\x05" + content[:100] + bytes(5)))
        peer.send(frame(DATA, 0, stream))
        peer.send(b"".join(frame(DATA, 0, stream, content[at : at + 1]) for at in range(100, 200)))
        peer.send(frame(DATA, 0, stream, content[200:]) + frame(DATA, END_STREAM | 8, stream, b"\x00"))
        assert peer.answer(stream).status == 200
    assert setup.app.requests[-2].body == content


# -- answers of HTTP/1.1 as HTTP/2 -------------------------------------------------------------------------------------

ANSWERS = {
    "keep-alive and lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\n"
    b"Keep-Alive: timeout=5\r\nX-Kept: 1\r\n\r\nok",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Kept: 1\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "chunks and trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Kept: 1\r\nTrailer: x-sum\r\n\r\n"
    b"2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n",
    "until the end": b"HTTP/1.1 200 OK\r\nX-Kept: 1\r\n\r\nok",
    "after interim answers": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 Sure\r\nContent-Length: 2\r\n"
    b"X-Kept: 1\r\n\r\nok",
}


@pytest.mark.parametrize("case", ANSWERS)
def test_answers_become_http2(setup: Setup, case: str) -> None:
    setup.raw.answers(ANSWERS[case])
    with Peer(setup.port) as peer:
        answer = peer.get("raw.test")
    assert (answer.status, answer.body, answer.reset) == (200, b"ok", None)
    assert answer.headers["x-kept"] == "1"
    assert all(name == name.lower() for name in answer.headers)
    gone = {"connection", "keep-alive", "x-hop", "transfer-encoding"}
    assert not gone & answer.headers.keys()
    assert answer.trailers.get("x-sum") == ("7" if "trailers" in case else None)


BROKEN_ANSWERS = {
    "cut within its body": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok",
    "cut within a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nok",
    "a chunk of no number": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok",
}


@pytest.mark.parametrize("case", BROKEN_ANSWERS)
def test_an_answer_that_breaks_is_reset(setup: Setup, case: str) -> None:
    """It does not look complete."""
    setup.raw.answers(BROKEN_ANSWERS[case])
    with Peer(setup.port) as peer:
        answer = peer.get("raw.test")
        assert answer.reset is not None or answer.status >= 500, answer
        assert peer.get("a.test").status == 200


def test_a_value_that_http2_does_not_allow(setup: Setup) -> None:
    """In an answer of HTTP/1.1: refused or cleaned, but never sent on."""
    setup.raw.answers(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-A: a\x00b\r\n\r\n")
    with Peer(setup.port) as peer:
        answer = peer.get("raw.test")
        assert "\0" not in answer.headers.get("x-a", "")
        assert answer.over


# -- HTTP/1.1 to HTTP/2 ------------------------------------------------------------------------------------------------


def test_a_request_of_http1_becomes_http2(setup: Setup) -> None:
    before = len(setup.app2.requests)
    with Client(setup.port) as client:
        client.send(
            b"POST /a?b=c HTTP/1.1\r\nHost: two.test\r\nX-Mixed-Case: Value\r\nConnection: keep-alive, x-hop\r\n"
            b"X-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: gzip, trailers\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n"
        )
        assert client.response().body == b"two"
    [request] = setup.app2.requests[before:]
    headers = request.headers
    assert [headers[name] for name in (":method", ":path", ":authority", ":scheme")] == [
        "POST",
        "/a?b=c",
        "two.test",
        "http",
    ]
    assert headers["x-mixed-case"] == "Value"
    assert not {"connection", "x-hop", "keep-alive", "transfer-encoding", "host"} & headers.keys()
    assert headers.get("te", "trailers") == "trailers"
    assert request.body == b"hello"
    assert request.trailers == {"x-sum": "7"}


def test_an_answer_of_http2_becomes_http1(setup: Setup) -> None:
    setup.answer2 = Answer(body=b"ok", headers=[("x-kept", "1")], trailers=[("x-sum", "7")])
    with Client(setup.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: two.test\r\nTE: trailers\r\n\r\n")
        answer = client.response()
    assert (answer.status, answer.body) == (200, b"ok")
    assert answer.headers["x-kept"] == "1"
    assert not [name for name in answer.headers if name.startswith(":")]
