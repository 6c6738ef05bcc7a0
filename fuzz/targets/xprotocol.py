"""The codecs of RPC protocols: the reader with each protocol's declaration, and all methods of the protocol on what is
read. One target a protocol."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

from fuzz.target import Target, cuts
from tage.cli.protocol import source
from tage.dataplane.protocols.xprotocol.reader import FrameReader, Progress
from tage.dataplane.protocols.xprotocol.registry import BUILTIN
from tage.xprotocol import Kind, Protocol
from tage.xprotocol_testing import frames
from tage.xprotocol_testing.frames import REQUESTS, One, Told
from tage.xprotocol_testing.methods import call_everything
from tage.xprotocol_testing.subject import Subject
from tests.dataplane.protocols.xprotocol import vectors

LEDGER = Path(__file__).parents[2] / "examples" / "protocols" / "ledger.py"
"""A declared protocol, as `tage protocol new` makes them."""

_LIMIT = 64 << 10
_WHOLE = 192
"""Bytes: so small that inputs are larger, and come in parts."""
_STREAM = _LIMIT
_BYTEWISE = 400  # bytes; a longer input is read in larger pieces

_TOKENS = [
    b"\0\0\0\0", b"\0\0\0\1", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\1\0\0",
    b"\xff\xff", b"\0\0",
    b"service", b"method", b"version", b"\0\0\0\7service", b"\x05group", b"N", b"H", b"Z", b"M", b"S", b"R", b"\x4e",
]  # fmt: skip


def _pieces(data: bytes) -> list[bytes]:
    step = 1 if len(data) <= _BYTEWISE else 37
    return [data[at : at + step] for at in range(0, len(data), step)]


def _check(subject: Subject, data: bytes) -> Hashable:
    """The input's checksum says whether large frames come in parts."""
    protocol = subject.protocol
    whole = _WHOLE if zlib.adler32(data) & 1 else _LIMIT
    told, _ = frames.told(protocol, [data], whole, _LIMIT)
    assert frames.alike(frames.told(protocol, _pieces(data), whole, _LIMIT)[0], told)
    assert frames.alike(frames.told(protocol, cuts(data), whole, _LIMIT)[0], told)
    assert not any(each.error for each in told[:-1]), "a refusal was not the last"
    for each in told:
        if not each.error:
            _frame(subject, each)
    return tuple((each.kind, len(each.frame).bit_length(), each.error[:40]) for each in told[:3])


def _frame(subject: Subject, told: Told) -> None:
    """What was read is read again, with another id too; everything may be asked of it, and what is changed in it is
    there when it is read again."""
    protocol = subject.protocol
    reader = frames.first(protocol, told.frame)
    assert reader[:3] == told[:3]
    shape = reader.shape
    if shape.has_id:
        other = (told.id ^ 0x55) & shape.id_most
        again = frames.first(protocol, frames.with_id(protocol, told.frame, shape, other))
        assert (again.kind, again.id, len(again.frame)) == (told.kind, other, len(told.frame))
    call_everything(subject, told.frame, shape, Kind(told.kind))
    if told.kind in (*REQUESTS, Kind.RESPONSE):
        _headers(protocol, reader)
    if told.kind in REQUESTS:
        _reply(protocol, reader)
        _names(protocol, reader)
        frames.request_head(protocol, reader)
    if told.kind == Kind.RESPONSE:
        assert 100 <= frames.status_of(protocol, reader) <= 599


def _headers(protocol: Protocol, reader: One) -> None:
    try:
        headers = [*(protocol.headers(reader.frame, reader.shape) or []), (b"x-fuzz", b"1")]
        changed = protocol.with_headers(reader.frame, reader.shape, headers)
    except (ValueError, NotImplementedError):
        return
    again = frames.first(protocol, changed)
    assert (again.kind, again.id) == (reader.kind, reader.id)
    if changed != reader.frame:  # else it takes none
        read = protocol.headers(changed, again.shape)
        assert sorted(map(_text, read)) == sorted(map(_text, headers)), "headers are read back as others"


def _text(header: tuple[bytes, bytes]) -> tuple[str, str]:
    """Strings of Hessian are text: what is no UTF-8 in them is written as U+FFFD."""
    return header[0].decode(errors="replace"), header[1].decode(errors="replace")


def _names(protocol: Protocol, reader: One) -> None:
    try:
        if protocol.names(reader.frame, reader.shape) is None:
            return
        changed = protocol.with_names(reader.frame, reader.shape, b"com.fuzz.Other", b"call")
    except ValueError:
        return
    again = frames.first(protocol, changed)
    assert (again.kind, again.id) == (reader.kind, reader.id)
    names = protocol.names(again.frame, again.shape)
    assert names is not None
    assert names[0] == b"com.fuzz.Other"
    assert names[1] in (b"call", b""), "names are read back as others"


def _reply(protocol: Protocol, reader: One) -> None:
    try:
        answer = protocol.reply(reader.frame, reader.shape, 503, b"no healthy upstream")
    except ValueError:
        return
    if answer is not None:
        again = frames.first(protocol, answer)
        assert (again.kind, again.id) == (Kind.RESPONSE, reader.id)


def _consume(protocol: Protocol, data: bytes) -> None:
    """`data` again and again, read and forgotten."""
    reader = FrameReader(protocol, _WHOLE, _LIMIT)
    piece = data * (1024 // max(len(data), 1) + 1)
    for _ in range(_STREAM // max(len(piece), 1024)):
        reader.feed(piece)
        while (progress := reader.read()) != Progress.MORE:
            if progress == Progress.FAILED:
                return


def _make(protocol: Protocol, samples: Sequence[bytes]) -> Callable[[random.Random], bytes]:
    """One to three frames with metadata of their own, lengths right and all."""

    def make(rng: random.Random) -> bytes:
        return b"".join(_varied(protocol, rng, rng.choice(samples)) for _ in range(rng.choice((1, 1, 2, 3))))

    return make


def _varied(protocol: Protocol, rng: random.Random, frame: bytes) -> bytes:
    reader = frames.first(protocol, frame)
    if reader.kind in (*REQUESTS, Kind.RESPONSE):
        headers = [
            (rng.randbytes(rng.randrange(1, 9)), rng.randbytes(rng.randrange(20))) for _ in range(rng.randrange(4))
        ]
        try:
            reader = frames.first(protocol, protocol.with_headers(frame, reader.shape, headers))
        except (ValueError, NotImplementedError):
            return frame
    if not reader.shape.has_id:
        return reader.frame
    return frames.with_id(protocol, reader.frame, reader.shape, rng.getrandbits(64) & reader.shape.id_most)


def target(protocol: Protocol, recorded: Sequence[bytes] = ()) -> Target:
    """`recorded`: what real clients and servers have written, for seeds besides the protocol's examples."""
    subject = Subject(protocol, 1, recorded)
    samples = [sample.frame for sample in subject.samples()]
    return Target(
        name=protocol.name.replace("-", "_"),
        seeds=lambda: [*samples, b"".join(samples[:6])],
        check=lambda data: _check(subject, data),
        consume=lambda data: _consume(protocol, data),
        # A frame with a CRC is whole before it is given, whatever its size: its pieces, and they joined.
        max_memory=3 * _LIMIT if any(shape.crc for shape in protocol.shapes) else _LIMIT // 2,
        tokens=_TOKENS,
        make=_make(protocol, samples),
        max_size=2048,
    )


_RECORDED = {
    "bolt": [*vectors.load("bolt1").values(), *vectors.load("bolt2").values()],
    "dubbo": list(vectors.load("dubbo2").values()),
}

TARGETS = [target(source.find(name), _RECORDED.get(name, ())) for name in (*BUILTIN, str(LEDGER))]
