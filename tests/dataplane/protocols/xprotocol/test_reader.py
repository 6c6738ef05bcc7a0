"""Bytes -> frames: in any cut, large ones in pieces, and everything that is none."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tage.dataplane.protocols.xprotocol.build import built
from tage.dataplane.protocols.xprotocol.reader import FrameReader, Progress
from tage.xprotocol import Frame, Kind, Protocol, u16

from .protocols import Bolted, Flagged, Ledger, Little, Ordered, Varying, flagged, varying

MORE, READY, BEGUN, DATA, FAILED = Progress.MORE, Progress.READY, Progress.BEGUN, Progress.DATA, Progress.FAILED


def stream(protocol: Protocol) -> list[bytes]:
    """Some frames of a protocol."""
    if isinstance(protocol, Flagged):
        return [flagged(0xC2, 1, b"a\nb\nc"), flagged(0xE2, 2, b"N"), flagged(0x02, 1, b"", 20),
                flagged(0x82, 3, b"x" * 300), flagged(0xA2, 9, b"R")]  # fmt: skip
    if isinstance(protocol, Varying):
        return [varying(b"name", 1, b"x" * 70), varying(b"", 0xFFFFFF), varying(b"n" * 40, 3, b"x" * 90, 2)]
    frames = []
    for size in (0, 1, 300):
        for shape in protocol.shapes:
            parts = dict.fromkeys(shape.part_names, b"") | {"body": b"b" * size}
            frames.append(built(shape, len(frames) + 1, 0, 0, parts))
    return frames


def read(reader: FrameReader, data: bytes) -> list[tuple[Any, ...]]:
    """What comes of `data`; pieces of a frame are joined."""
    found: list[tuple[Any, ...]] = []
    reader.feed(data)
    while (progress := reader.read()) != MORE:
        if progress == FAILED:
            found.append(("failed",))
            break
        if progress == DATA:
            found.append(("data", reader.frame, reader.left))
            continue
        name = reader.shape.name
        found.append((int(progress), name, Kind(reader.kind), reader.id, reader.size, reader.left, reader.frame))
    return found


def joined(found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """With the pieces of data put together."""
    result: list[tuple[Any, ...]] = []
    for each in found:
        if each[0] == "data" and result[-1][0] == "data":
            result[-1] = ("data", result[-1][1] + each[1], each[2])
        else:
            result.append(each)
    return result


@pytest.mark.parametrize("cls", [Bolted, Flagged, Ledger, Little, Ordered, Varying])
@pytest.mark.parametrize("whole", [64, 262_144])
def test_in_any_cut(cls: type[Protocol], whole: int):
    protocol = cls()
    frames = stream(protocol)
    data = b"".join(frames)
    expected = joined(read(FrameReader(protocol, whole), data))
    assert [each[4] for each in expected if each[0] in (READY, BEGUN)] == [len(frame) for frame in frames]
    if whole > 300:
        assert [each[6] for each in expected] == frames
    reader = FrameReader(protocol, whole)
    found = []
    for at in range(len(data)):
        found += read(reader, data[at : at + 1])
    assert joined(found) == expected
    assert reader.buffered() == 0
    draw = random.Random(1)
    for _ in range(50):
        reader, found, at = FrameReader(protocol, whole), [], 0
        while at < len(data):
            step = draw.choice((1, 2, 3, 7, 20, 64, 65, 400))
            found += read(reader, data[at : at + step])
            at += step
        assert joined(found) == expected


def test_every_cut_in_two():
    protocol = Ledger()
    frames = stream(protocol)[:4]
    data = b"".join(frames)
    for cut in range(len(data) + 1):
        reader = FrameReader(protocol)
        found = read(reader, data[:cut]) + read(reader, data[cut:])
        assert [each[6] for each in found] == frames


def test_what_was_not_read_stays_in_front():
    protocol = Ledger()
    one, two = stream(protocol)[:2]
    reader = FrameReader(protocol)
    reader.feed(one + two[:5])
    assert reader.buffered() == len(one) + 5
    assert reader.read() == READY
    reader.feed(two[5:])
    assert reader.buffered() == len(two)
    assert reader.read() == READY
    assert reader.frame == two
    assert reader.read() == MORE


def test_a_read_that_is_one_frame_is_that_frame():
    protocol = Ledger()
    data = bytes(bytearray(stream(protocol)[0]))
    reader = FrameReader(protocol)
    reader.feed(data)
    assert reader.read() == READY
    assert reader.frame is data


def large(size: int = 1000) -> bytes:
    return built(Ledger().shapes[0], 7, 0, 0, {"service": b"s", "body": bytes(i & 0xFF for i in range(size))})


@pytest.mark.parametrize("step", [1, 7, 100, 128, 10_000])
def test_large_frames_begin_with_whole_bytes(step: int):
    frame = large()
    reader = FrameReader(Ledger(), 128)
    data = frame + frame
    found = []
    for at in range(0, len(data), step):
        found += read(reader, data[at : at + step])
    found = joined(found)
    assert [each[0] for each in found] == [BEGUN, "data", BEGUN, "data"]
    for begun, rest in (found[:2], found[2:]):
        assert begun[1:] == ("request", Kind.REQUEST, 7, len(frame), len(frame) - 128, frame[:128])
        assert rest == ("data", frame[128:], 0)


@pytest.mark.parametrize("step", [7, 100, 5000])
def test_a_frame_with_a_crc_is_always_whole(step: int):
    protocol = Bolted()
    frame = built(protocol.shapes[2], 7, parts={"body": bytes(3000)})
    reader = FrameReader(protocol, 128, 4096)
    found = []
    for at in range(0, len(frame), step):
        found += read(reader, frame[at : at + step])
    assert [(each[0], each[6]) for each in found] == [(READY, frame)]
    reader = FrameReader(protocol, 128, 3000)
    assert read(reader, frame) == [("failed",)]


def test_a_frame_of_whole_bytes_is_whole():
    frame = large(100)
    reader = FrameReader(Ledger(), len(frame))
    assert [each[0] for each in read(reader, frame)] == [READY]
    reader = FrameReader(Ledger(), len(frame) - 1)
    assert [each[0] for each in read(reader, frame)] == [BEGUN, "data"]


def test_a_header_is_always_whole():
    reader = FrameReader(Ledger(), 1)
    found = read(reader, large())
    assert found[0][6] == large()[:24]


def test_whole_may_change_between_frames():
    frame = large()
    reader = FrameReader(Ledger(), 128)
    assert read(reader, frame)[0][0] == BEGUN
    reader.whole = 4096
    assert [each[0] for each in read(reader, frame)] == [READY]


def test_the_limit():
    frame = large()
    reader = FrameReader(Ledger(), limit=len(frame))
    assert [each[0] for each in read(reader, frame)] == [READY]
    reader = FrameReader(Ledger(), limit=len(frame) - 1)
    assert read(reader, frame[:23]) == []
    assert read(reader, frame[23:24]) == [("failed",)]  # the header is enough to tell
    assert reader.error == f"a frame of {len(frame)} bytes; at most {len(frame) - 1} are taken"


@pytest.mark.parametrize("length", [b"\xff\xff\xff\xff", b"\x80\0\0\0", b"\x7f\xff\xff\xff", b"\x01\0\0\0"])
def test_lengths_that_lead_far_outside(length: bytes):
    frame = b"LG\1\1" + bytes(12) + length + length
    reader = FrameReader(Ledger())
    assert read(reader, frame) == [("failed",)]
    assert "at most 16777216 are taken" in reader.error
    assert reader.buffered() == 0


def test_a_reader_that_failed_stays_so():
    reader = FrameReader(Ledger())
    assert read(reader, b"GET / HTTP/1.1\r\n") == [("failed",)]
    assert reader.error == "no frame of the protocol ledger begins with 47 45 54 20 2f 20 48 54"
    assert not reader.faulty
    assert read(reader, large()) == [("failed",)]
    assert reader.read() == FAILED
    assert reader.buffered() == 0
    assert reader.frame == b""


def test_frames_before_the_error_are_read():
    reader = FrameReader(Ledger())
    found = read(reader, large(10) + large(11) + b"LG\1\x09")
    assert [each[0] for each in found] == [READY, READY, "failed"]


@pytest.mark.parametrize("data", [b"X", b"LX", b"LG\2", b"LG\1\0\1LG\1\x09", b"LG\1\x06"])
def test_what_is_no_frame_fails_with_its_first_wrong_byte(data: bytes):
    if data.startswith(b"LG\1\0"):
        return
    reader = FrameReader(Ledger())
    for at in range(len(data)):
        assert reader.read() == MORE
        reader.feed(data[at : at + 1])
        if at < len(data) - 1:
            assert reader.read() == MORE
    assert reader.read() == FAILED


def test_lengths_that_contradict_each_other():
    reader = FrameReader(Little())
    frame = bytearray(built(Little().shapes[0], 1, parts={"service": b"s"}))
    frame[0] -= 1
    assert read(reader, bytes(frame)) == [("failed",)]
    assert reader.error == "the lengths of a request contradict each other"


# -- what methods tell -------------------------------------------------------------------------------------------------


def test_events_are_classified():
    protocol = Flagged()
    found = read(FrameReader(protocol), b"".join(stream(protocol)))
    assert [each[2] for each in found] == [
        Kind.REQUEST, Kind.HEARTBEAT, Kind.RESPONSE, Kind.ONE_WAY, Kind.GO_AWAY
    ]  # fmt: skip
    reader = FrameReader(protocol)
    assert read(reader, flagged(0xA2, 1, b"?")) == [("failed",)]
    assert reader.error == "flagged: an event of 17 bytes that is none"
    assert not reader.faulty


@pytest.mark.parametrize("method", ["size", "id_at", "classify"])
def test_a_method_that_raises_harms_its_own_connection_and_is_named(method: str):
    def broken(self: object, *args: object) -> int:
        raise KeyError("oops")

    base: Any = Flagged if method == "classify" else Varying
    protocol = type("Mine", (base,), {method: broken})()
    data = flagged(0xE2, 1, b"N") if method == "classify" else varying(b"n", 1)
    reader = FrameReader(protocol)
    assert read(reader, data) == [("failed",)]
    assert reader.faulty
    assert reader.error == f"{protocol.name}: {method}() raised KeyError: 'oops'"


@pytest.mark.parametrize("answer", [None, "3", 1 << 80, 1.5])
def test_a_method_that_answers_what_is_no_size(answer: object):
    protocol = type("Mine", (Varying,), {"size": lambda *args: answer})()
    reader = FrameReader(protocol)
    assert read(reader, varying(b"n", 1) * 20) == [("failed",)]


@pytest.mark.parametrize("size", [-1, 2, 1])
def test_sizes_that_cannot_be(size: int):
    reader = FrameReader(type("Mine", (Varying,), {"size": lambda *args: size})())
    assert read(reader, varying(b"n", 1)) == [("failed",)]
    assert "which is less than its header" in reader.error or "bytes" in reader.error


def test_a_size_that_is_never_told():
    reader = FrameReader(type("Mine", (Varying,), {"size": lambda *args: 0})())
    reader.feed(b"V\1\0")
    for _ in range(18):
        if reader.read() == FAILED:
            break
        reader.feed(bytes(1000))
    assert reader.error == "a request whose size is not told by 17003 bytes"


@pytest.mark.parametrize("at", [-1, 8, 1 << 40])
def test_ids_outside_the_frame(at: int):
    reader = FrameReader(type("Mine", (Varying,), {"id_at": lambda *args: at})())
    assert read(reader, varying(b"n", 1)) == [("failed",)]
    assert reader.error == f"varying: the id would stand at {at}, outside the frame"


def test_nothing_is_asked_of_python_where_all_is_declared():
    """Methods that a class has not are not looked for: setting one on the object changes nothing."""
    protocol = Ledger()
    protocol.classify = protocol.size = protocol.id_at = None  # type: ignore[assignment,method-assign]
    assert [each[0] for each in read(FrameReader(protocol), b"".join(stream(protocol)))] == [READY] * 18


def test_tests_behind_the_eighth_byte():
    base = Frame({0: b"ab"}, header=12, length=u16(2), status=u16(4), id=u16(6))
    cls = type("Mine", (Ledger,), {
        "request": base.but({10: 1}), "one_way": base.but({10: 2}), "response": base.but({10: 3}),
        "heartbeat": base.but({11: 9, 10: 4}), "heartbeat_ack": None, "go_away": None, "metadata": None,
    })  # fmt: skip
    protocol = cls()
    kinds = []
    for ten, eleven in ((1, 0), (2, 0), (3, 1), (4, 9)):
        reader = FrameReader(protocol)
        data = b"ab\0\1\0\0\0\7\0\0" + bytes([ten, eleven]) + b"x"
        assert [each[6] for each in read(reader, data)] == [data]
        kinds.append(reader.kind)
        reader = FrameReader(protocol)
        found = []
        for at in range(len(data)):
            found += read(reader, data[at : at + 1])
        assert [each[6] for each in found] == [data]
    assert kinds == [Kind.REQUEST, Kind.ONE_WAY, Kind.RESPONSE, Kind.HEARTBEAT]
    assert read(FrameReader(protocol), b"ab\0\1\0\0\0\7\0\0\4\x08x") == [("failed",)]


def test_random_bytes_fail_or_wait():
    draw = random.Random(7)
    for cls in (Bolted, Flagged, Ledger, Little, Ordered, Varying):
        protocol = cls()
        seeds = stream(protocol)
        for _ in range(400):
            data = bytearray(draw.choice(seeds) + draw.choice(seeds))
            for _ in range(draw.randrange(4)):
                data[draw.randrange(min(len(data), 40))] = draw.choice((0, 1, 2, 127, 128, 255, draw.randrange(256)))
            whole, parts = FrameReader(protocol, 64, 1000), FrameReader(protocol, 64, 1000)
            expected = joined(read(whole, bytes(data)))
            found = []
            cut = draw.randrange(len(data))
            for piece in (data[:cut], data[cut:]):
                found += read(parts, bytes(piece))
                if parts.error is not None:
                    break
            assert joined(found) == expected
            assert whole.buffered() <= 1000
