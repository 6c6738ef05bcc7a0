"""The protocol under test: its examples, and the seeded randomness of all checks."""

from __future__ import annotations

import random
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tage.dataplane.protocols.xprotocol import build
from tage.xprotocol import Kind, Protocol
from tage.xprotocol_testing import frames
from tage.xprotocol_testing.frames import REQUESTS, One
from tage.xprotocol_testing.report import Failed, Skipped

_KINDS = (*REQUESTS, Kind.RESPONSE, Kind.HEARTBEAT, Kind.HEARTBEAT_ACK, Kind.GO_AWAY)


class Sample(NamedTuple):
    kind: Kind
    frame: bytes

    def __str__(self) -> str:
        return f"{label(self.kind)} of {len(self.frame)} bytes"


class Subject:
    def __init__(self, protocol: Protocol, seed: int, recorded: Sequence[bytes] = ()) -> None:
        """`recorded`: frames to try besides the protocol's examples."""
        self.protocol = protocol
        self.seed = seed
        self._recorded = recorded
        self._samples: list[Sample] | None = None

    def rng(self) -> random.Random:
        """The same for each check, whichever run before it."""
        return random.Random(self.seed)

    def samples(self, *kinds: Kind) -> list[Sample]:
        """What there is of these kinds; of all kinds without. Raises Failed where an example cannot be had."""
        if self._samples is None:
            self._samples = list(self._offered())
        return [sample for sample in self._samples if not kinds or sample.kind in kinds]

    def need(self, *kinds: Kind) -> list[Sample]:
        """As `samples`, at least one. Raises Skipped."""
        found = self.samples(*kinds)
        if not found:
            names = " or ".join(label(kind) for kind in kinds) or "any kind"
            raise Skipped(f"the protocol offers no example of {names}: see Protocol.example")
        return found

    def _offered(self) -> Iterator[Sample]:
        for kind in _KINDS:
            frame = self.ask("example", kind, frame=None)
            if frame is None:
                continue
            if type(frame) is not bytes or not frame:
                raise Failed(f"example({label(kind)}) gives {type(frame).__name__}, not bytes with a frame")
            yield Sample(kind, frame)
            yield from self._others(kind, frame)
        for number, frame in enumerate(self._recorded):
            yield Sample(Kind(self.reader(frame, f"recorded frame {number}").kind), frame)

    def _others(self, kind: Kind, example: bytes) -> Iterator[Sample]:
        """The other frames that are declared for this kind, with the example's parts. Where methods tell where a frame
        ends or its id stands, only recorded frames have them."""
        reader = self.reader(example, f"the example of a {label(kind)}")
        parts = {name: example[slice(*reader.shape.part(example, name))] for name in reader.shape.part_names}
        for shape in self.protocol.shapes:
            if shape.kind != reader.shape.kind or shape.index == reader.shape.index:
                continue
            if shape.by_method or shape.id_by_method or set(shape.part_names) != set(parts):
                continue
            status = reader.shape.status(example)
            yield Sample(kind, build.built(shape, reader.id, status, 3000 if shape.has_timeout else 0, parts))

    def reader(self, frame: bytes, what: str) -> One:
        """Behind exactly this frame. Raises Failed where it is none."""
        try:
            return frames.first(self.protocol, frame)
        except Exception as error:
            raise Failed(f"{what} is not read as one frame: {described(error)}", frame) from error

    def ask(self, method: str, *arguments: Any, frame: bytes | None, allowed: tuple[type[Exception], ...] = ()) -> Any:
        """What a method of the protocol answers; None where it raises one of `allowed`. Anything else that it raises is
        its failure; `frame` are the bytes in question."""
        try:
            return getattr(self.protocol, method)(*arguments)
        except allowed:
            return None
        except Exception as error:
            raise Failed(f"{method}() raises {described(error)}", frame) from error


def label(kind: Kind | int) -> str:
    return "refusal" if kind < 0 else Kind(kind).name.lower().replace("_", "-")


def described(error: BaseException) -> str:
    """With the line of the protocol's own file, which is the last one outside of this package and Tage's framework."""
    frame: Any = None
    for each in traceback.extract_tb(error.__traceback__):
        if "/tage/xprotocol_testing/" not in each.filename:
            frame = each
    where = f" ({frame.filename}:{frame.lineno} in {frame.name})" if frame is not None else ""
    return f"{type(error).__name__}: {error}{where}"
