"""Frames as header edits have them."""

from __future__ import annotations

from typing import Any

import pytest

from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.protocols.xprotocol.edits import edited_frame
from tage.dataplane.protocols.xprotocol.message import new_request
from tage.xprotocol import Kind

from .protocols import Bolted, Ledger
from .test_message import ITEMS, reader_of, request, response


def edits(*, path: bytes | None = None, authority: bytes | None = None) -> HeaderEdits:
    made = HeaderEdits()
    made.path, made.authority = path, authority
    return made


def headers(head: Any, made: HeaderEdits) -> list[tuple[bytes, bytes]]:
    frame = edited_frame(head, made)
    reader = reader_of(head.protocol, frame)
    assert (reader.id, reader.shape) == (head.id, head.shape)
    assert frame.endswith(b"body")
    return head.protocol.headers(frame, reader.shape)


def test_what_changes_nothing_is_the_frame_itself():
    for head in (request(), response()):
        if head.kind == Kind.REQUEST:
            head.names()
        assert edited_frame(head, HeaderEdits()) is head.frame
        made = HeaderEdits()
        made.remove(b"absent")
        assert edited_frame(head, made) is head.frame
        made = HeaderEdits()
        made.add(b"x-request-id", b"1")
        made.add(b"x-forwarded-for", b"1")
        made.put(b"x-forwarded-proto", b"1")
        assert edited_frame(head, made) is head.frame
        made = HeaderEdits()
        made.put(b"version", b"1.0")
        assert edited_frame(head, made) == head.frame
        assert edited_frame(head, edits(path=b"/a.B/m", authority=b"a.B")) is head.frame


def test_headers_are_removed_whatever_their_case():
    made = HeaderEdits()
    made.remove(b"x-user")
    assert headers(request(), made) == [ITEMS[0], ITEMS[2], ITEMS[3]]
    assert headers(response(), made) == [ITEMS[0], ITEMS[2], ITEMS[3]]


def test_a_header_is_put_where_one_was_and_spelt_as_it_was():
    made = HeaderEdits()
    made.put(b"x-user", b"eve")
    assert headers(request(), made) == [ITEMS[0], (b"X-User", b"eve"), ITEMS[2], ITEMS[3]]


def test_headers_are_added_in_the_spelling_that_is_there():
    made = HeaderEdits()
    made.add(b"x-user", b"eve")
    made.add(b"new", b"1")
    made.add(b"uniqueid", b"2")
    made.add(b"x-request-id", b"never")
    assert headers(request(), made) == [*ITEMS, (b"X-User", b"eve"), (b"new", b"1"), (b"uniqueId", b"2")]


def test_several_in_place_of_one():
    made = HeaderEdits()
    made.put(b"version", b"2")
    made.add(b"version", b"3")
    assert headers(request(), made) == [(b"version", b"2"), *ITEMS[1:], (b"version", b"3")]


@pytest.mark.parametrize(
    ("path", "authority", "names"),
    [
        (b"/a.B/other", None, (b"a.B", b"other")),
        (b"/c.D/other", None, (b"c.D", b"other")),
        (b"/a.B/", None, (b"a.B", b"")),
        (None, b"c.D", (b"c.D", b"m")),
        (b"/a.B/other", b"c.D", (b"c.D", b"other")),
        (b"/c.D/other", b"a.B", (b"c.D", b"other")),
        (b"/a/b/other", None, (b"a/b", b"other")),
    ],
)
def test_other_names(path: bytes | None, authority: bytes | None, names: tuple[bytes, bytes]):
    head = request()
    head.names()
    frame = edited_frame(head, edits(path=path, authority=authority))
    reader = reader_of(head.protocol, frame)
    assert head.protocol.names(frame, reader.shape) == names
    assert head.protocol.headers(frame, reader.shape) == ITEMS


@pytest.mark.parametrize("path", [b"", b"/", b"m", b"a.B/m", b"//m", b"/m"])
def test_paths_that_are_none(path: bytes):
    head = request()
    head.names()
    with pytest.raises(ValueError, match="is not /service/method"):
        edited_frame(head, edits(path=path))


def test_names_and_headers_together():
    head = request()
    head.names()
    made = edits(path=b"/c.D/x")
    made.remove(b"connection")
    frame = edited_frame(head, made)
    reader = reader_of(head.protocol, frame)
    assert head.protocol.names(frame, reader.shape) == (b"c.D", b"x")
    assert len(head.protocol.headers(frame, reader.shape)) == 4


def test_a_frame_with_no_place_for_it():
    made = HeaderEdits()
    made.add(b"big", bytes(70_000).replace(b"\0", b"x"))
    with pytest.raises(ValueError, match="metadata: 70,000 bytes"):
        edited_frame(request(), made)
    protocol = Ledger()
    from tage.dataplane.protocols.xprotocol.build import built

    broken = built(protocol.shapes[0], 1, parts={"service": b"s", "metadata": b"\0\1a"})
    with pytest.raises(ValueError, match="do not end where their part does"):
        edited_frame(new_request(protocol, reader_of(protocol, broken)), made)


def test_keys_that_name_the_service_keep_their_spelling():
    protocol = Bolted()
    head = new_request(protocol, reader_of(protocol, protocol.example(Kind.REQUEST)))
    head.names()
    made = edits(authority=b"b.C")
    made.add(b"sofa_head_target_service", b"b.C")
    frame = edited_frame(head, made)
    found = protocol.headers(frame, head.shape)
    assert found[0] == (b"service", b"b.C")
    assert found[-1] == (b"sofa_head_target_service", b"b.C")
