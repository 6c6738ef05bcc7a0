"""A head's headers as a mapping."""

from __future__ import annotations

import pytest

from tage.dataplane.filters.offline import OfflineExchange
from tage.dataplane.filters.python.messages import Request, Response

LINES = [(b"Host", b"example.com"), (b"X-Key", b"k1"), (b"Accept", b"a"), (b"accept", b"b"), (b"Connection", b"close")]


def request(*lines: tuple[bytes, bytes]) -> tuple[OfflineExchange, Request]:
    exchange = OfflineExchange(headers=lines or LINES)
    return exchange, Request(exchange)


def test_get_is_without_regard_to_case():
    _, asked = request()
    assert asked.headers.get("x-key") == asked.headers.get("X-KEY") == asked.headers["X-Key"] == "k1"
    assert asked.headers.get("x-other") is None
    assert asked.headers.get("x-other", "none") == "none"
    assert "x-KEY" in asked.headers
    assert "x-other" not in asked.headers
    assert 7 not in asked.headers
    with pytest.raises(KeyError, match="x-other"):
        asked.headers["x-other"]


def test_several_lines_of_a_name():
    _, asked = request()
    assert asked.headers["accept"] == "a,b"
    assert asked.headers.getall("Accept") == ["a", "b"]
    assert asked.headers.getall("x-other") == []
    asked.headers.add("accept", "c")
    assert asked.headers["accept"] == "a,b,c"
    asked.headers["accept"] = "d"
    assert asked.headers.getall("accept") == ["d"]


def test_what_is_set_is_what_goes_on():
    exchange, asked = request()
    asked.headers["X-User"] = "ann"
    asked.headers["x-user"] = "bob"
    assert exchange.edits.extra == b"x-user: bob\r\n"
    assert exchange.edits.value(exchange.head.block, b"x-user") == b"bob"
    asked.headers["x-key"] = "k2"
    assert exchange.edits.value(exchange.head.block, b"x-key") == b"k2"
    del asked.headers["X-Key"]
    assert exchange.edits.value(exchange.head.block, b"x-key") is None
    assert "x-key" not in asked.headers


def test_removing():
    _, asked = request()
    with pytest.raises(KeyError):
        del asked.headers["x-other"]
    assert asked.headers.pop("x-key") == "k1"
    assert asked.headers.pop("x-key") is None
    assert asked.headers.pop("x-key", "gone") == "gone"


def test_iteration_is_in_order_each_name_once_without_the_connections_own():
    _, asked = request()
    asked.headers["x-user"] = "ann"
    assert list(asked.headers) == asked.headers.keys() == ["host", "x-key", "accept", "x-user"]
    assert len(asked.headers) == 4
    assert dict(asked.headers.items()) == {"host": "example.com", "x-key": "k1", "accept": "a,b", "x-user": "ann"}
    assert asked.headers.values() == ["example.com", "k1", "a,b", "ann"]
    assert repr(asked.headers).startswith("Headers([('host', 'example.com')")


def test_update():
    _, asked = request()
    asked.headers.update({"a": "1"})
    asked.headers.update([("b", "2")])
    asked.headers.set("c", "3")
    assert [asked.headers[name] for name in "abc"] == ["1", "2", "3"]


def test_the_host_is_the_authority():
    exchange, asked = request()
    assert asked.headers["host"] == asked.authority == "example.com"
    asked.headers["Host"] = "other.example"
    assert exchange.edits.authority == b"other.example"
    assert exchange.edits.extra == b""
    assert asked.headers["host"] == asked.authority == "other.example"
    assert asked.headers.getall("host") == ["other.example"]
    for change in (lambda: asked.headers.add("host", "x"), lambda: asked.headers.pop("host")):
        with pytest.raises(ValueError, match="host"):
            change()
    with pytest.raises(ValueError, match="cannot be removed"):
        del asked.headers["host"]


@pytest.mark.parametrize("name", ["content-length", "Transfer-Encoding", "connection", "upgrade", "te", "keep-alive"])
def test_framing_and_hop_by_hop_headers_are_the_connections(name):
    exchange, asked = request()
    for change in (
        lambda: asked.headers.__setitem__(name, "1"),
        lambda: asked.headers.add(name, "1"),
        lambda: asked.headers.__delitem__(name),
        lambda: asked.headers.pop(name),
    ):
        with pytest.raises(ValueError, match="connection's own"):
            change()
    assert exchange.edits.extra == b""


@pytest.mark.parametrize("name", ["", "a b", "a:b", ":path", "ä", "a\r\nb", "\u212a", "x" * 257])
def test_names_that_cannot_be(name):
    _, asked = request()
    for change in (lambda: asked.headers.__setitem__(name, "1"), lambda: asked.headers.get(name)):
        with pytest.raises(ValueError, match="not a header's name"):
            change()


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb", "a\0b", "\x7f", "\u20ac"])
def test_values_that_cannot_be(value):
    exchange, asked = request()
    with pytest.raises(ValueError, match="value"):
        asked.headers["x-user"] = value
    assert exchange.edits.extra == b""


def test_types_that_cannot_be():
    _, asked = request()
    for change in (
        lambda: asked.headers.__setitem__("x", 7),
        lambda: asked.headers.__setitem__(b"x", "7"),
        lambda: asked.headers.get(None),
    ):
        with pytest.raises(TypeError):
            change()


def test_texts_are_latin_1():
    exchange, asked = request((b"x-name", "Zoë".encode("latin-1")))
    assert asked.headers["x-name"] == "Zoë"
    asked.headers["x-name"] = " Zoë2 "
    assert exchange.edits.extra == "x-name: Zoë2\r\n".encode("latin-1")


def test_names_are_remembered_within_bounds():
    _, asked = request()
    for number in range(3000):
        assert asked.headers.get(f"x-{number}") is None
    assert asked.headers["x-key"] == "k1"


def test_over_is_over():
    _, asked = request()
    headers = asked.headers
    asked.close()
    for use in (lambda: headers.get("x-key"), lambda: headers.__setitem__("x", "1"), lambda: list(headers)):
        with pytest.raises(RuntimeError, match="the request is over"):
            use()
    with pytest.raises(RuntimeError, match="the request is over"):
        asked.headers.get("x-key")
    assert "over" in repr(headers)


def test_an_answer_of_tages_own_has_headers_that_are_not_here():
    """They are left out by name where a filter sets them."""
    exchange = OfflineExchange()
    exchange.tell(404)
    response = Response(exchange)
    response.headers["server"] = "mine"
    assert exchange.answer_edits.names == [b"server"]
    assert exchange.answer_edits.extra == b"server: mine\r\n"


def test_an_answers_headers():
    exchange = OfflineExchange()
    exchange.tell(
        200, [(b"Server", b"app"), (b"Set-Cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"Content-Length", b"2")]
    )
    response = Response(exchange)
    assert response.status == 200
    assert response.headers.getall("set-cookie") == ["a=1", "b=2"]
    assert response.headers["content-length"] == "2"
    response.headers["server"] = "tage"
    assert exchange.answer_edits.extra == b"server: tage\r\n"
    assert response.headers["server"] == "tage"
    with pytest.raises(ValueError, match="connection's own"):
        response.headers["content-length"] = "3"
    response.close()
    with pytest.raises(RuntimeError, match="the answer has gone on"):
        response.headers.get("server")
    with pytest.raises(RuntimeError, match="the answer has gone on"):
        _ = response.status
