"""Frames from declarations, and frames with other parts."""

from __future__ import annotations

import zlib

import pytest

from tage.dataplane.protocols.xprotocol.build import built
from tage.dataplane.protocols.xprotocol.reader import FrameReader, Progress
from tage.dataplane.protocols.xprotocol.shape import with_part
from tage.xprotocol import Kind, Protocol, Shape

from .protocols import DECLARED, Bolted, Ledger, Little, Ordered, Varying


def replaced(shape: Shape, frame: bytes, parts: dict[int, bytes]) -> bytes:
    for index, new in parts.items():
        frame = with_part(shape, frame, index, new)
    return frame


@pytest.mark.parametrize("cls", [*DECLARED, Ordered])
def test_what_is_built_is_read_as_what_it_was_built_as(cls: type[Protocol]):
    protocol = cls()
    for shape in protocol.shapes:
        parts = dict.fromkeys(shape.part_names, b"") | {"service": b"s" * 20, "body": b"b" * 200}
        frame = built(shape, 77, 3, 99, parts)
        reader = FrameReader(protocol)
        reader.feed(frame + b"\0")
        assert reader.read() == Progress.READY, reader.error
        assert (reader.shape, reader.frame) == (shape, frame)
        assert reader.id == (77 if shape.has_id else 0)
        assert shape.status(frame) == (3 if shape.has_status else 0)
        assert shape.timeout(frame) == (99 if shape.has_timeout else 0)
        if shape.crc:
            assert int.from_bytes(frame[-4:], "big") == zlib.crc32(frame[:-4])


def test_what_does_not_fit_is_refused():
    shape = Ledger().shapes[0]
    with pytest.raises(ValueError, match="the part service: 65,536 does not fit the field u16"):
        built(shape, parts={"service": bytes(65_536)})
    with pytest.raises(ValueError, match="id: 4,294,967,296 does not fit"):
        built(shape, 1 << 32)
    with pytest.raises(ValueError, match="cannot be built from its declaration"):
        built(Varying().shapes[0])


@pytest.mark.parametrize("cls", DECLARED)
def test_other_parts(cls: type[Protocol]):
    protocol = cls()
    for shape in protocol.shapes:
        names = [name for name in shape.part_names if name != "body"]
        before = built(shape, 7, 0, 0, {name: name.encode() for name in names} | {"body": b"rest"})
        for name in names:
            for new in (b"", b"x", b"longer than it was"):
                after = replaced(shape, before, {shape.part_names.index(name): new})
                parts = {each: each.encode() for each in names} | {"body": b"rest", name: new}
                assert after == built(shape, 7, 0, 0, parts)
        assert replaced(shape, before, {}) == before


def test_a_part_that_is_too_long():
    protocol = Little()
    shape, frame = protocol.shapes[0], protocol.example(Kind.REQUEST)
    with pytest.raises(ValueError, match=r"the part service: 64 does not fit the field u8\(8\)\.masked\(0x3f\)"):
        replaced(shape, frame, {0: bytes(64)})


def test_the_beginning_of_a_larger_frame():
    protocol = Ledger()
    shape = protocol.shapes[0]
    frame = built(shape, 1, parts={"service": b"old", "body": bytes(1000)})
    assert replaced(shape, frame[:100], {0: b"newer"}) + frame[100:] == replaced(shape, frame, {0: b"newer"})
    with pytest.raises(ValueError, match="the part service of a request is not all there"):
        replaced(shape, frame[:26], {0: b"newer"})


def test_crcs():
    shape = Bolted().shapes[2]
    frame = built(shape, 1, parts={"class": b"C", "body": b"body"})
    other = replaced(shape, frame, {0: b"Other"})
    assert other == built(shape, 1, parts={"class": b"Other", "body": b"body"})
    wrong = frame[:-1] + bytes([frame[-1] ^ 1])
    assert replaced(shape, wrong, {0: b"Other"}) == other[:-1] + bytes([other[-1] ^ 1])
    with pytest.raises(ValueError, match="its CRC is yet to come"):
        replaced(shape, frame[:-1], {0: b"Other"})


def test_a_trailer_that_is_no_crc_goes_along():
    cls = type("Mine", (Ledger,), {"request": Ledger.request.but(trailer=3)})
    shape = cls().shapes[0]
    frame = built(shape, 1, parts={"service": b"s"})
    assert frame.endswith(b"s\0\0\0")
    assert replaced(shape, frame[:-3] + b"abc", {0: b"other"}).endswith(b"otherabc")
