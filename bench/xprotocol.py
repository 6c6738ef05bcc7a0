"""`python -m bench.xprotocol`: what a frame costs.

Frames of small calls, as a worker meets them: 64 of them in a read, then each is read, made a request of, its names are
found, its headers, and it is put into the output with another id. No sockets, no routes, no other work. A figure is the
best of several rounds, in nanoseconds of CPU time for one frame, the call from Python included.

`declared` is a protocol of fixed fields alone, `pairs` one whose names stand among its metadata (as bolt's do); the
protocols of the package come with their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from bench import micro
from tage.dataplane.protocols.writer import ByteWriter
from tage.dataplane.protocols.xprotocol.build import built
from tage.dataplane.protocols.xprotocol.message import new_request
from tage.dataplane.protocols.xprotocol.reader import FrameReader
from tage.dataplane.protocols.xprotocol.registry import BUILTIN, builtin
from tage.dataplane.protocols.xprotocol.shape import put_frame
from tage.xprotocol import Frame, Kind, Protocol, pairs, u16, u32

HEADINGS = ("protocol", "bytes", "read", "+ request", "+ names", "+ put", "headers")
FRAMES = 64
BODY = b"x" * 128


class Declared(Protocol):
    name = "declared"
    _parts = {"service": u16(12), "method": u16(14), "metadata": u32(16), "body": u32(20)}
    request = Frame({0: b"LG\x01", 3: 1}, header=24, id=u32(4), timeout=u32(8), parts=_parts)
    response = Frame({0: b"LG\x01", 3: 0}, header=24, id=u32(4), status=u16(8), parts=_parts)
    metadata = pairs(u16)


class Pairs(Protocol):
    name = "pairs"
    request = Frame(
        {0: b"PA", 2: 1}, header=16, id=u32(4), timeout=u32(8), parts={"metadata": u16(12), "body": u16(14)}
    )
    response = Frame(
        {0: b"PA", 2: 0}, header=16, id=u32(4), status=u16(8), parts={"metadata": u16(12), "body": u16(14)}
    )
    metadata = pairs(u32, null=0xFFFFFFFF)
    service_keys = ("service",)
    method_keys = ("method",)


METADATA = [(b"app", b"bench"), (b"protocol", b"x"), (b"version", b"1.0"), (b"type", b"sync")]


def examples() -> Iterator[tuple[Protocol, bytes]]:
    """A small call of each protocol."""
    declared = Declared()
    names = {"service": b"com.example.bookshop.Stock", "method": b"reserve"}
    encoding: Any = declared.metadata
    parts = names | {"metadata": encoding.write(METADATA), "body": BODY}
    yield declared, built(declared.shapes[0], 1, 0, 3000, parts)
    paired = Pairs()
    encoding = paired.metadata
    named = [(b"service", names["service"]), (b"method", names["method"]), *METADATA]
    yield paired, built(paired.shapes[0], 1, 0, 3000, {"metadata": encoding.write(named), "body": BODY})
    for name in BUILTIN:
        protocol = builtin(name)
        if protocol is not None and (frame := protocol.example(Kind.REQUEST)) is not None:
            yield protocol, frame


def steps(protocol: Protocol, frame: bytes) -> list[Callable[[], None]]:
    """Each does to FRAMES frames what the one before does, and one thing more; the last is headers alone."""
    data = frame * FRAMES
    reader, out = FrameReader(protocol), ByteWriter(1 << 17)
    ids = range(FRAMES)

    def read() -> None:
        reader.feed(data)
        for _ in ids:
            reader.read()

    def request() -> None:
        reader.feed(data)
        for _ in ids:
            reader.read()
            new_request(protocol, reader)

    def names() -> None:
        reader.feed(data)
        for _ in ids:
            reader.read()
            new_request(protocol, reader).names()

    def put() -> None:
        reader.feed(data)
        for id in ids:
            reader.read()
            new_request(protocol, reader).names()
            put_frame(out, reader.frame, reader.shape, protocol, id)
        out.take()

    reader.feed(frame)
    reader.read()

    def headers() -> None:
        for _ in ids:
            new_request(protocol, reader).header(b"version")

    return [read, request, names, put, headers]


def cells(rounds: int) -> Iterator[tuple[str, ...]]:
    for protocol, frame in examples():
        took = [micro.measure(step, rounds) / FRAMES for step in steps(protocol, frame)]
        yield protocol.name, str(len(frame)), *(f"{each:,.0f}" for each in took)


if __name__ == "__main__":
    micro.run("xprotocol", "What a frame costs", HEADINGS, cells, ["Nanoseconds a frame."])
