"""What Tage reads in bytes: for tests of protocols (`read`), and for the checks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from tage.dataplane.protocols.writer import ByteWriter
from tage.dataplane.protocols.xprotocol.message import RpcResponse, new_request
from tage.dataplane.protocols.xprotocol.reader import FrameReader, Progress
from tage.dataplane.protocols.xprotocol.shape import Shape, put_frame
from tage.xprotocol import Kind, Protocol

WHOLE = 256 << 10
LIMIT = 16 << 20
"""Bytes: what frames are read whole up to, and what is refused, where nothing else is said."""

REQUESTS = (Kind.REQUEST, Kind.ONE_WAY)


class Seen(NamedTuple):
    """A frame as Tage sees it. `service` and `method` are empty where they cannot be told; `status` is HTTP's, 0 but in
    responses; `timeout` ms, 0: none."""

    kind: Kind
    id: int
    service: bytes
    method: bytes
    headers: list[tuple[bytes, bytes]]
    status: int
    timeout: int
    frame: bytes


class Told(NamedTuple):
    """One frame, or how it ended: `error` is empty but where the bytes are refused."""

    kind: int
    id: int
    frame: bytes
    error: str = ""


class One(NamedTuple):
    """A frame that was read, and the reader that stands behind it."""

    kind: int
    id: int
    frame: bytes
    shape: Shape
    reader: FrameReader


def read(protocol: Protocol, data: bytes) -> list[Seen]:
    """All frames in `data`. Raises ValueError where the bytes are refused, or end within a frame."""
    reader: Any = FrameReader(protocol, LIMIT, LIMIT)
    reader.feed(data)
    seen: list[Seen] = []
    while True:
        progress = reader.read()
        if progress == Progress.READY:
            seen.append(_seen(protocol, One(reader.kind, reader.id, reader.frame, reader.shape, reader)))
        elif progress == Progress.FAILED:
            raise ValueError(f"behind {len(seen)} frames: {reader.error}")
        elif reader.buffered():
            raise ValueError(f"behind {len(seen)} frames: {reader.buffered()} bytes are not a whole frame")
        else:
            return seen


def _seen(protocol: Protocol, one: One) -> Seen:
    kind, frame, shape = Kind(one.kind), one.frame, one.shape
    service = method = b""
    headers: list[tuple[bytes, bytes]] = []
    status = timeout = 0
    if kind in REQUESTS:
        names = protocol.names(frame, shape)
        service, method = names if names is not None else (b"", b"")
        headers = protocol.headers(frame, shape)
        timeout = protocol.timeout_of(frame, shape)
    elif kind == Kind.RESPONSE:
        status = status_of(protocol, one)
        headers = protocol.headers(frame, shape)
    return Seen(kind, one.id, service, method, headers, status, timeout, frame)


def told(
    protocol: Protocol, pieces: Iterable[bytes], whole: int = WHOLE, limit: int = LIMIT
) -> tuple[list[Told], FrameReader]:
    """What the reader tells of these bytes, fed in these pieces, and the reader behind them. Frames that come in parts
    are put together."""
    reader: Any = FrameReader(protocol, whole, limit)
    result: list[Told] = []
    begun: tuple[int, int] | None = None
    parts: list[bytes] = []
    for piece in pieces:
        reader.feed(piece)
        while True:
            progress = reader.read()
            if progress == Progress.MORE:
                break
            if progress == Progress.FAILED:
                _blame(reader)
                result.append(Told(-1, 0, b"", reader.error))
                return result, reader
            if progress == Progress.READY:
                result.append(Told(reader.kind, reader.id, reader.frame))
                continue
            if progress == Progress.BEGUN:
                begun, parts = (reader.kind, reader.id), []
            parts.append(reader.frame)
            if begun is not None and reader.left == 0:
                result.append(Told(*begun, b"".join(parts)))
                begun = None
    return result, reader


def alike(one: list[Told], other: list[Told]) -> bool:
    """Whether the same was told. The words of a refusal may differ: they show what had come by then."""
    return [(*each[:3], not each.error) for each in one] == [(*each[:3], not each.error) for each in other]


def first(protocol: Protocol, frame: bytes) -> One:
    """What is read of exactly this frame. Raises ValueError where it is none, or more than one."""
    reader: Any = FrameReader(protocol, LIMIT, LIMIT)
    reader.feed(frame)
    progress = reader.read()
    if progress == Progress.FAILED:
        _blame(reader)
        raise ValueError(reader.error)
    if progress != Progress.READY:
        raise ValueError("not a whole frame")
    if reader.buffered():
        raise ValueError(f"{reader.buffered()} bytes too many")
    return One(reader.kind, reader.id, reader.frame, reader.shape, reader)


def _blame(reader: FrameReader) -> None:
    """A refusal that is the protocol's own fault, not that of the bytes."""
    if reader.faulty:
        raise RuntimeError(reader.error)


def with_id(protocol: Protocol, frame: bytes, shape: Shape, id: int) -> bytes:
    out = ByteWriter()
    put_frame(out, frame, shape, protocol, id)
    return out.take()


def status_of(protocol: Protocol, one: One) -> int:
    """HTTP's."""
    response = RpcResponse()
    response.load(protocol, one.reader)
    return response.status


def request_head(protocol: Protocol, one: One) -> Any:
    """The head that routes, filters and edits see, with all that there is in it."""
    head = new_request(protocol, one.reader)
    head.names()
    head.complete()
    return head


def differs(one: bytes, other: bytes) -> int:
    """Where the first byte stands that is another; the length of `one` where none is."""
    return next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(one))
