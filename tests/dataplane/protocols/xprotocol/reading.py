"""What a reader makes of bytes: whole, in pieces, damaged. The tests of the protocols share it."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import NamedTuple

from tage.dataplane.protocols.writer import ByteWriter
from tage.dataplane.protocols.xprotocol.protocol import Protocol
from tage.dataplane.protocols.xprotocol.reader import FrameReader
from tage.dataplane.protocols.xprotocol.shape import Shape, put_frame

MORE, READY, BEGUN, DATA, FAILED = range(5)


class Read(NamedTuple):
    kind: int
    id: int
    frame: bytes
    shape: Shape


def read(protocol: Protocol, pieces: Iterable[bytes], whole: int = 262_144, limit: int = 16 << 20) -> list[Read]:
    """The frames in `pieces`, large ones put together again. Raises ValueError with what the reader says."""
    reader = FrameReader(protocol, whole, limit)
    frames: list[Read] = []
    for piece in pieces:
        reader.feed(piece)
        while (what := reader.read()) != MORE:
            if what == FAILED:
                raise ValueError(reader.error)
            if what == DATA:
                last = frames.pop()
                frames.append(last._replace(frame=last.frame + reader.frame))
            else:
                frames.append(Read(reader.kind, reader.id, bytes(reader.frame), reader.shape))
    return frames


def one(protocol: Protocol, frame: bytes) -> Read:
    """`frame` is exactly one frame; so it is byte by byte, and cut in two at every place."""
    (result,) = read(protocol, [frame])
    expected = (result.kind, result.id, frame)
    assert result[:3] == expected
    assert [r[:3] for r in read(protocol, [frame[i : i + 1] for i in range(len(frame))])] == [expected]
    for i in range(1, len(frame)):
        assert [r[:3] for r in read(protocol, [frame[:i], frame[i:]])] == [expected]
    return result


def several(protocol: Protocol, frames: list[bytes]) -> None:
    """Frames one after the other come out as they are, whatever the pieces; a part of one never does."""
    data = b"".join(frames)
    for step in (1, 7, 64, 4096, len(data)):
        got = read(protocol, [data[i : i + step] for i in range(0, len(data), step)])
        assert [r.frame for r in got] == frames
    for i in range(len(frames[0])):
        assert read(protocol, [frames[0][:i]]) == []


def damaged(protocol: Protocol, frames: list[bytes], rounds: int = 3000) -> None:
    """Changed and random bytes: nothing but ValueError comes out of reader, names, headers, status and reply."""
    chance = random.Random(1)
    for _ in range(rounds):
        data = bytearray(chance.choice(frames))
        for _ in range(chance.randrange(1, 8)):
            data[chance.randrange(min(len(data), 200))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        _ask(protocol, bytes(data))
        _ask(protocol, chance.randbytes(chance.randrange(64)))


def _ask(protocol: Protocol, data: bytes) -> None:
    try:
        got = read(protocol, [data, data[:50]], limit=1 << 20)
    except ValueError:
        return
    for r in got:
        for question in (protocol.names, protocol.headers, protocol.response_status, protocol.timeout_of):
            try:
                question(r.frame, r.shape)
            except ValueError:
                continue
        try:
            protocol.reply(r.frame, r.shape, 503, b"no")
        except ValueError:
            continue


def with_id(protocol: Protocol, result: Read, id: int) -> bytes:
    """The frame as it goes out with another id."""
    out = ByteWriter()
    put_frame(out, result.frame, result.shape, protocol, id)
    return bytes(out.take())
