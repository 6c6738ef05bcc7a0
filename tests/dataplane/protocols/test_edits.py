import pytest

from tage.dataplane.protocols.edits import HeaderEdits, copied_response, edited_request, line_value, protected
from tage.dataplane.protocols.http1.encoder import write_request
from tage.dataplane.protocols.http1.request import RequestDecoder
from tage.dataplane.protocols.http1.response import ResponseDecoder
from tage.dataplane.protocols.writer import ByteWriter


@pytest.fixture
def decoder() -> RequestDecoder:
    decoder = RequestDecoder()
    decoder.feed(
        b"GET /a?b HTTP/1.1\r\nHost: shop\r\nX-One: 1\r\nx-two: 2\r\nX-ONE: 1b\r\nConnection: x-hop\r\nx-hop: h\r\n\r\n"
    )
    decoder.read_head()
    return decoder


def written(decoder: RequestDecoder, edits: HeaderEdits) -> list[bytes]:
    out = ByteWriter()
    write_request(out, decoder.head, edits, False)
    return out.take().split(b"\r\n")[:-2]


def test_a_removed_header_stays_behind_in_every_spelling(decoder: RequestDecoder) -> None:
    edits = HeaderEdits()
    edits.remove(b"x-one")
    assert written(decoder, edits) == [b"GET /a?b HTTP/1.1", b"Host: shop", b"x-two: 2"]
    assert edits.value(decoder.head.block, b"x-one") is None


def test_an_added_header_stands_beside_those_that_came(decoder: RequestDecoder) -> None:
    edits = HeaderEdits()
    edits.add(b"x-one", b"mine")
    assert written(decoder, edits)[-1] == b"x-one: mine"
    assert edits.value(decoder.head.block, b"x-one") == b"1,1b,mine"


def test_a_put_header_replaces_those_that_came_and_were_added(decoder: RequestDecoder) -> None:
    edits = HeaderEdits()
    edits.add(b"x-one", b"mine")
    edits.put(b"x-one", b"last")
    assert [line for line in written(decoder, edits) if line.lower().startswith(b"x-one")] == [b"x-one: last"]
    assert edits.value(decoder.head.block, b"x-one") == b"last"
    edits.remove(b"x-one")
    assert edits.value(decoder.head.block, b"x-one") is None
    assert edits.extra == b""


def test_hop_by_hop_headers_are_not_there(decoder: RequestDecoder) -> None:
    assert HeaderEdits().value(decoder.head.block, b"x-hop") is None
    assert HeaderEdits().value(decoder.head.block, b"x-two") == b"2"


def test_method_path_and_authority_are_replaced(decoder: RequestDecoder) -> None:
    edits = HeaderEdits()
    edits.method, edits.path, edits.authority = b"PUT", b"/new", b"other:80"
    assert written(decoder, edits)[:2] == [b"PUT /new HTTP/1.1", b"host: other:80"]
    assert b"Host: shop" not in written(decoder, edits)


def test_an_edited_request_is_matched_as_it_will_go_out(decoder: RequestDecoder) -> None:
    edits = HeaderEdits()
    edits.put(b"x-two", b"  spaced ")
    edits.path = b"/other"
    head = edited_request(decoder.head, edits, ByteWriter())
    decoder.feed(b"")
    assert (head.method, head.path, head.authority) == (b"GET", b"/other", b"shop")
    assert head.header(b"x-two") == b"spaced"
    assert head.header(b"x-one") == b"1,1b"
    assert head.header(b"host") == b"shop"


def test_a_copied_response_does_not_change_with_its_connection() -> None:
    decoder = ResponseDecoder()
    decoder.feed(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nX-A: b\r\n\r\nno")
    decoder.read_head()
    copy = copied_response(decoder.head, ByteWriter())
    decoder.read_body()
    decoder.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    decoder.read_head()
    assert (copy.status, copy.body_length) == (404, 2)
    assert copy.headers() == [(b"Content-Length", b"2"), (b"X-A", b"b")]


@pytest.mark.parametrize(
    "name", [b"", b":path", b"host", b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"te"]
)
def test_headers_of_the_codec_are_protected(name: bytes) -> None:
    assert protected(name)


@pytest.mark.parametrize("name", [b"x-request-id", b"x-forwarded-for", b"expect", b"cookie"])
def test_others_are_not(name: bytes) -> None:
    assert not protected(name)


def test_line_values_are_found_by_whole_names() -> None:
    lines = b"x-ab: 1\r\nx-a: 2\r\nx-a: 3\r\n"
    assert line_value(lines, b"x-a") == b"2"
    assert line_value(lines, b"x") is None
