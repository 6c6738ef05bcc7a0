"""A declared frame as integers: fields, parts, sizes; frames with another id."""

from __future__ import annotations

import random
import zlib

import pytest

from tage.dataplane.protocols.writer import ByteWriter
from tage.dataplane.protocols.xprotocol.shape import put_frame
from tage.xprotocol import Frame, Kind, Protocol, Shape, u8, u16, u32, u64

from .protocols import DECLARED, Bolted, Flagged, Ledger, Little, Ordered, Varying, flagged, varying


def shape(frame: Frame, kind: Kind = Kind.REQUEST) -> Shape:
    return Shape(int(kind), "frame", 0, frame)


def put(protocol: Protocol, shape: Shape, frame: bytes, id: int) -> bytes:
    out = ByteWriter()
    out.put(b"before")
    put_frame(out, frame, shape, protocol, id)
    out.put(b"behind")
    taken = out.take()
    assert taken.startswith(b"before")
    assert taken.endswith(b"behind")
    return taken[6:-6]


@pytest.mark.parametrize("cls", DECLARED)
@pytest.mark.parametrize("kind", list(Kind)[:5])
def test_what_is_read_is_what_the_fields_say(cls: type[Protocol], kind: Kind):
    protocol = cls()
    for each in protocol.shapes:
        if each.kind != kind:
            continue
        frame = bytes(random.Random(3).randbytes(each.header + 40))
        declared = each.frame
        assert each.id(frame) == declared.id.get(frame)
        if declared.status is not None:
            assert each.status(frame) == declared.status.get(frame)
        if declared.timeout is not None:
            assert each.timeout(frame) == max(0, declared.timeout.get(frame))


def test_fields_that_are_not_declared():
    none = shape(Frame({0: 1}, header=4))
    assert (none.id(bytes(4)), none.status(bytes(4)), none.timeout(bytes(4))) == (0, 0, 0)
    assert none.size_of(bytes(4)) == 4


def test_a_header_that_is_not_all_there():
    each = shape(Ledger.request)
    for ask in (each.id, each.timeout, each.size_of, lambda frame: each.part(frame, 0)):
        with pytest.raises(ValueError, match="23 bytes: the header of a frame has 24"):
            ask(bytes(23))


@pytest.mark.parametrize(
    ("field", "frame", "id"),
    [
        (u8(0), b"\xfe\0\0\0", 0xFE),
        (u16(1).little, b"\0\1\2\0", 0x201),
        (u64(0), b"\xff" * 7 + b"\xfe", (1 << 64) - 2),
        (u32(0).masked(0x7FFFFFFF), b"\xff\xff\xff\xff", 0x7FFFFFFF),
        (u32(0).little.masked(0xFFF), b"\x01\xf2\0\0", 0x201),
    ],
)
def test_ids(field: object, frame: bytes, id: int):
    each = shape(Frame({}, header=8, id=field))  # type: ignore[arg-type]
    assert each.id(frame.ljust(8, b"\0")) == id


def test_parts():
    protocol = Ledger()
    each, frame = protocol.shapes[0], protocol.example(Kind.REQUEST)
    names = ("service", "method", "metadata", "body")
    assert each.part_names == names
    found = {name: frame[slice(*each.part(frame, name))] for name in names}
    assert found["service"] == b"com.example.Service"
    assert (found["method"], found["body"]) == (b"call", b"body")
    assert [each.part(frame, i) for i in range(4)] == [each.part(frame, name) for name in names]
    assert each.part(frame, 3)[1] == len(frame) == each.size_of(frame)
    for name in ("other", 4, -1):
        with pytest.raises(KeyError):
            each.part(frame, name)
    for end in range(24, len(frame)):
        with pytest.raises(ValueError, match="the part body of a request is not all there"):
            each.part(frame[:end], "body")


def test_a_part_that_leads_far_outside():
    each = shape(Frame({}, header=32, parts={"a": u64(0), "b": u64(8), "c": u64(16), "d": u64(24)}))
    for frame in (b"\xff" * 32, bytes(24) + b"\xff" * 8, b"\x7f" + b"\xff" * 31, b"\x80" + bytes(31)):
        assert each.size_of(frame) > 1 << 40
        with pytest.raises(ValueError):
            each.part(frame, "d")


def test_lengths_that_contradict_each_other():
    each = shape(Frame({}, header=8, length=u32(0), parts={"a": u16(4), "b": u16(6)}))
    assert each.size_of(b"\0\0\0\5\0\2\0\3") == 13
    assert each.size_of(b"\0\0\0\6\0\2\0\3") == 14
    for frame in (b"\0\0\0\4\0\2\0\3", b"\0\0\0\0\0\0\0\1"):
        with pytest.raises(ValueError, match="the lengths of a frame contradict each other"):
            each.size_of(frame)
    counted = shape(Frame({}, header=8, length=u32(0).plus(-8)))
    assert counted.size_of(b"\0\0\0\x08" + bytes(4)) == 8
    with pytest.raises(ValueError, match="contradict"):
        counted.size_of(b"\0\0\0\7" + bytes(4))


def test_matching():
    each = shape(Frame({0: b"LG", 9: (0xF0, 0x30)}, header=10))
    data = b"xxLG1234567\x3f"
    for end in range(2, 12):
        assert each.matches(data, 2, end) == (2 if end == 12 else 1)
    assert each.matches(data, 2, 12) == 2
    assert each.matches(b"LX", 0, 2) == 0
    assert each.matches(b"LG1234567\x4f", 0, 10) == 0
    assert shape(Frame({}, header=1)).matches(b"", 0, 0) == 2
    for start, end in ((-1, 1), (2, 1), (0, 13)):
        with pytest.raises(IndexError):
            each.matches(data, start, end)


@pytest.mark.parametrize("cls", DECLARED)
def test_a_frame_with_another_id(cls: type[Protocol]):
    protocol = cls()
    for kind in list(Kind)[:6]:
        frame = protocol.example(kind)
        if frame is None:
            continue
        each = next(s for s in protocol.shapes if s.kind == kind)
        for id in (0, 1, 2, 0xABCDEF, each.id_most):
            other = put(protocol, each, frame, id)
            assert each.id(other) == id
            restored = put(protocol, each, other, 1)
            assert restored == frame
            at = each.frame.id.at
            assert other[:at] == frame[:at]
            assert other[at + each.frame.id.width :] == frame[at + each.frame.id.width :]
        with pytest.raises(ValueError, match="cannot carry the id"):
            put(protocol, each, frame, each.id_most + 1)


def test_bits_beside_the_id_stay():
    protocol = Little()
    each, frame = protocol.shapes[0], bytearray(protocol.example(Kind.REQUEST))
    frame[7] = 0xA5
    other = put(protocol, each, bytes(frame), 0x123456)
    assert other[4:8] == b"\x56\x34\x12\xa5"
    assert each.id(other) == 0x123456


def test_frames_without_ids_go_as_they_are():
    protocol = Ordered()
    assert put(protocol, protocol.shapes[0], b"\0\0\0\1\1x", 77) == b"\0\0\0\1\1x"


def test_ids_at_places_of_their_own():
    protocol = Varying()
    frame = varying(b"name", 5, b"body")
    assert put(protocol, protocol.shapes[0], frame, 0xABCDEF) == varying(b"name", 0xABCDEF, b"body")
    with pytest.raises(ValueError, match="the id of a request does not stand in its 6 bytes"):
        put(protocol, protocol.shapes[0], frame[:6], 7)
    with pytest.raises(ValueError, match="cannot carry"):
        put(protocol, protocol.shapes[0], frame, 1 << 24)


def test_ids_of_64_bits():
    protocol = Flagged()
    frame = flagged(0xC2, 5, b"x")
    assert put(protocol, protocol.shapes[0], frame, (1 << 64) - 1) == flagged(0xC2, (1 << 64) - 1, b"x")


def crc_frame(body: bytes = b"body") -> tuple[Bolted, Shape, bytes]:
    protocol = Bolted()
    each = protocol.shapes[2]
    head = b"\2\2\1\0\1\1\0\0\0\x09\1\1\0\0\x0b\xb8\0\0\0\0" + len(body).to_bytes(4, "big")
    return protocol, each, head + body + zlib.crc32(head + body).to_bytes(4, "big")


def test_a_crc_is_that_of_the_frame_with_its_new_id():
    protocol, each, frame = crc_frame()
    assert each.crc
    assert each.matches(frame, 0, len(frame)) == 2
    other = put(protocol, each, frame, 0x01020304)
    assert other[6:10] == b"\1\2\3\4"
    assert int.from_bytes(other[-4:], "big") == zlib.crc32(other[:-4])
    assert put(protocol, each, other, 9) == frame


def test_a_wrong_crc_stays_wrong():
    protocol, each, frame = crc_frame()
    spoilt = bytearray(frame)
    spoilt[25] ^= 4  # in the body, on the way here
    other = put(protocol, each, bytes(spoilt), 77)
    assert int.from_bytes(other[-4:], "big") != zlib.crc32(other[:-4])
    other = bytearray(other)
    other[25] ^= 4
    assert int.from_bytes(other[-4:], "big") == zlib.crc32(other[:-4])


def test_the_crc_of_a_part_of_a_frame_cannot_be_mended():
    protocol, each, frame = crc_frame(b"x" * 100)
    for end in (28, 60, len(frame) - 1):
        with pytest.raises(ValueError, match="not all there has no CRC"):
            put(protocol, each, frame[:end], 77)
        assert put(protocol, each, frame[:end], 9) == frame[:end]  # its own id
    without = Bolted().shapes[1]
    other = put(protocol, without, frame[:30], 77)  # no CRC in this kind of frame
    assert other[6:10] == b"\0\0\0\x4d"
