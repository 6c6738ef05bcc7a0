"""What a fuzz target is."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    name: str
    seeds: Callable[[], Sequence[bytes]]
    """Inputs to begin with: the vectors of the unit tests."""
    check: Callable[[bytes], Hashable]
    """Raises where an invariant is broken; any exception counts. What it answers says in short what the parser told:
    inputs with a new answer are kept."""
    consume: Callable[[bytes], None]
    """Reads the input once and lets go of everything: what memory is measured with."""
    max_memory: int
    """Bytes that `consume` may have in use at once, whatever the input."""
    tokens: Sequence[bytes] = ()
    """What means something to the parser, and that chance would not find."""
    make: Callable[[random.Random], bytes] | None = None
    """A new input in the parser's grammar, lengths right and all."""
    max_size: int = 4096


def cuts(data: bytes) -> list[bytes]:
    """`data` in pieces, at places that depend on it alone, so that a finding can be repeated."""
    rng = random.Random(zlib.crc32(data))
    places = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(1, 8)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]
