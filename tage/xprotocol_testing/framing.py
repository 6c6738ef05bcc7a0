"""Checks of framing: where frames begin and end, whatever pieces they come in, and what is refused."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from tage.dataplane.protocols.xprotocol.reader import FrameReader, Progress
from tage.xprotocol import Kind
from tage.xprotocol_testing import frames
from tage.xprotocol_testing.frames import Told, differs
from tage.xprotocol_testing.methods import call_everything
from tage.xprotocol_testing.report import Failed
from tage.xprotocol_testing.subject import Sample, Subject, described, label

_EVERY = 1024
"""Bytes: a longer frame is cut at places that are drawn."""
_RANDOM = 1500
_SMALL_LIMIT = 64 << 10


def examples(subject: Subject) -> str:
    """There is an example of a request and of a response, and each example is a frame of the kind that it is for."""
    for kind in (Kind.REQUEST, Kind.RESPONSE):
        if not subject.samples(kind):
            raise Failed(f"there is no example of a {label(kind)}: example(Kind.{kind.name}) has to give a whole frame")
    for sample in subject.samples():
        reader = subject.reader(sample.frame, f"the example of a {label(sample.kind)}")
        if reader.kind != sample.kind:
            raise Failed(f"the example of a {label(sample.kind)} is read as a {label(reader.kind)}", sample.frame, 0)
        if reader.frame != sample.frame:
            at = differs(reader.frame, sample.frame)
            raise Failed(f"the example of a {label(sample.kind)} is not what is read of it", sample.frame, at)
    counted = Counter(label(sample.kind) for sample in subject.samples())
    there = ", ".join(kind if count == 1 else f"{count} of {kind}" for kind, count in counted.items())
    missing = [label(kind) for kind in (Kind.ONE_WAY, Kind.HEARTBEAT, Kind.GO_AWAY) if not subject.samples(kind)]
    return there + (f"; none of {', '.join(missing)}" if missing else "")


def split(subject: Subject) -> str:
    """A frame cut at any byte, or into single ones, is the same frame."""
    rng, cuts = subject.rng(), 0
    for sample in subject.need():
        frame = sample.frame
        expected = _expected(subject, [sample])
        for place in _places(len(frame), rng):
            _same(subject, expected, [frame[:place], frame[place:]], f"{sample} cut behind byte {place}", place)
            cuts += 1
        _same(subject, expected, [frame[at : at + 1] for at in range(len(frame))], f"{sample} byte by byte", 0)
    return f"{len(subject.samples())} frames, {cuts} cuts, and byte by byte"


def concatenation(subject: Subject) -> str:
    """Frames behind one another are told apart, in whatever pieces they come."""
    rng = subject.rng()
    chosen = [rng.choice(subject.need()) for _ in range(60)]
    expected = _expected(subject, chosen)
    data = b"".join(sample.frame for sample in chosen)
    _same(subject, expected, [data], f"{len(chosen)} frames at once", 0)
    for _ in range(25):
        _same(subject, expected, _cut(data, rng), f"{len(chosen)} frames in pieces", 0)
    return f"{len(chosen)} frames at once, and in 25 ways to cut them"


def truncated(subject: Subject) -> str:
    """A frame whose end has not come is waited for; what has come of it harms no method."""
    rng, asked = subject.rng(), 0
    for sample in subject.need():
        shape = subject.reader(sample.frame, str(sample)).shape
        for place in _places(len(sample.frame), rng):
            part = sample.frame[:place]
            told, reader = _told(subject, [part])
            if told:
                what = f"refused: {told[0].error}" if told[0].error else "taken for a whole frame"
                raise Failed(f"the first {place} bytes of a {sample} are {what}", sample.frame, place)
            if reader.buffered() != place:
                raise Failed(
                    f"of {place} bytes of a {sample} the reader keeps {reader.buffered()}", sample.frame, place
                )
            if place >= shape.header:
                call_everything(subject, part, shape, sample.kind)
                asked += 1
    return f"{len(subject.samples())} frames; methods called with {asked} beginnings of frames"


def oversize(subject: Subject) -> str:
    """What is larger than the limit is refused as soon as its size is known; what is large comes in parts."""
    for sample in subject.need(Kind.REQUEST, Kind.ONE_WAY, Kind.RESPONSE):
        size = len(sample.frame)
        told, _ = _told(subject, [sample.frame], size, size)
        if told != _expected(subject, [sample]):
            raise Failed(f"a {sample} is not read under a limit of {size} bytes", sample.frame)
        told, _ = _told(subject, [sample.frame], size - 1, size - 1)
        if len(told) != 1 or not told[0].error:
            raise Failed(f"a {sample} is not refused under a limit of {size - 1} bytes", sample.frame)
        shape = subject.reader(sample.frame, str(sample)).shape
        # What a method tells of a frame it may have to look for further behind.
        least = size - 1 if shape.id_by_method or shape.kind == Kind.EVENT else max(shape.header, size // 2)
        for whole in {least, size - 1}:
            if shape.header <= whole < size:
                for pieces in ([sample.frame], [sample.frame[at : at + 7] for at in range(0, size, 7)]):
                    _same(subject, _expected(subject, [sample]), pieces, f"{sample} in parts", 0, whole)
    return "refused above the limit, read at it, and put together from parts"


def random_bytes(subject: Subject) -> str:
    """Whatever comes is read, waited for or refused: in the same way in any pieces, and without growing."""
    rng = subject.rng()
    samples = subject.need()
    read = refused = 0
    for _ in range(_RANDOM):
        data = _changed(rng, samples)
        told, reader = _told(subject, [data], _SMALL_LIMIT, _SMALL_LIMIT)
        _same(subject, told, _cut(data, rng), "in pieces the same bytes are", 0, _SMALL_LIMIT, _SMALL_LIMIT)
        read += sum(1 for each in told if not each.error)
        refused += sum(1 for each in told if each.error)
        for each in told:
            if not each.error:
                call_everything(subject, each.frame, subject.reader(each.frame, "a frame").shape, Kind(each.kind))
        if not (told and told[-1].error):
            _bounded(subject, data, reader)
    return f"{_RANDOM} inputs of seed {subject.seed}: {read} frames read, {refused} refusals"


def _bounded(subject: Subject, data: bytes, reader: FrameReader) -> None:
    """More and more of nothing behind it."""
    piece = bytes(16 << 10)
    for _ in range(12):
        reader.feed(piece)
        while (progress := reader.read()) == Progress.READY:
            pass
        if progress == Progress.FAILED:
            return
        if reader.buffered() > _SMALL_LIMIT + len(piece):
            raise Failed(f"the reader keeps {reader.buffered()} bytes under a limit of {_SMALL_LIMIT}", data)


def _expected(subject: Subject, samples: Sequence[Sample]) -> list[Told]:
    return [Told(sample.kind, subject.reader(sample.frame, str(sample)).id, sample.frame) for sample in samples]


def _told(
    subject: Subject, pieces: Sequence[bytes], whole: int = frames.WHOLE, limit: int = frames.LIMIT
) -> tuple[list[Told], FrameReader]:
    try:
        return frames.told(subject.protocol, pieces, whole, limit)
    except Exception as error:
        raise Failed(f"reading raises {described(error)}", b"".join(pieces)) from error


def _same(
    subject: Subject,
    expected: list[Told],
    pieces: Sequence[bytes],
    what: str,
    place: int,
    whole: int = frames.WHOLE,
    limit: int = frames.LIMIT,
) -> None:
    told, _ = _told(subject, pieces, whole, limit)
    if not frames.alike(told, expected):
        raise Failed(f"{what}: read as {_short(told)} in place of {_short(expected)}", b"".join(pieces), place)


def _short(told: list[Told]) -> str:
    if not told:
        return "nothing"
    shown = [f"refusal ({each.error})" if each.error else f"{label(each.kind)} {each.id}" for each in told[:4]]
    return ", ".join(shown) + (f" and {len(told) - 4} more" if len(told) > 4 else "")


def _places(size: int, rng: random.Random) -> list[int]:
    if size <= _EVERY:
        return list(range(1, size))
    return sorted({*range(1, 256), *range(size - 64, size), *(rng.randrange(1, size) for _ in range(_EVERY - 320))})


def _cut(data: bytes, rng: random.Random) -> list[bytes]:
    places = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(1, 12)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def _changed(rng: random.Random, samples: Sequence[Sample]) -> bytes:
    """One to three frames with some of it changed; sometimes nothing but noise."""
    if rng.random() < 0.05:
        return rng.randbytes(rng.randrange(1, 200))
    data = bytearray(b"".join(rng.choice(samples).frame for _ in range(rng.choice((1, 1, 2, 3)))))
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(data) + 1)
        way = rng.randrange(6)
        if way == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif way == 1:
            data[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\0\0\0\1"))
        elif way == 2:
            data[at:at] = rng.randbytes(rng.choice((1, 2, 9)))
        elif way == 3:
            del data[at : at + rng.choice((1, 2, 9))]
        elif way == 4 and at < len(data):
            data[at] = rng.randrange(256)
        elif way == 5 and at + 2 <= len(data):
            number = int.from_bytes(data[at : at + 2], "big") + rng.choice((-2, -1, 1, 2))
            data[at : at + 2] = (number % 65_536).to_bytes(2, "big")
    return bytes(data)


CHECKS = {
    "examples": examples,
    "split": split,
    "concatenation": concatenation,
    "truncated": truncated,
    "oversize": oversize,
    "random": random_bytes,
}
