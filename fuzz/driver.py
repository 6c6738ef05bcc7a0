"""The engine that needs nothing installed: seeds -> mutations -> checks.

It sees no coverage; in its place stands what a target's check tells of an input. One that tells something new is kept
and mutated further, so the corpus climbs from refusal to refusal into the grammar. The same seed gives the same inputs.
"""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from fuzz.mutate import Mutator
from fuzz.target import Target

_MAX_CORPUS = 4000
_MEMORY_EVERY = 500
"""Inputs: tracing allocations makes a run many times slower."""
_MADE = 0.2
"""The part of inputs that a target makes itself, where it can."""


class BrokenInvariantError(Exception):
    """`data` is the input; the cause is what the check raised."""

    def __init__(self, target: Target, data: bytes) -> None:
        super().__init__(f"{target.name}: an invariant does not hold for an input of {len(data)} bytes: {data[:200]!r}")
        self.data = data


@dataclass
class Outcome:
    runs: int = 0
    corpus: int = 0
    answers: int = 0
    """Different ones that the target's check gave."""


def run(
    target: Target,
    seconds: float,
    seed: int,
    *,
    inputs: int = 0,
    before: Callable[[bytes], None] = lambda data: None,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Checks the seeds, then mutations for `seconds`; with `inputs` until there were so many, if that is sooner.
    `before` is called with each input before it is checked. Raises BrokenInvariantError."""
    rng = random.Random(seed)
    mutator = Mutator(rng, target.tokens, target.max_size)
    seeds = list(target.seeds())
    corpus: list[bytes] = []
    seen: set[Hashable] = set()
    outcome = Outcome()
    deadline = clock() + seconds

    def check(data: bytes) -> None:
        before(data)
        answer = examine(target, data, memory=outcome.runs % _MEMORY_EVERY == 0)
        outcome.runs += 1
        if answer not in seen and len(corpus) < _MAX_CORPUS:
            seen.add(answer)
            corpus.append(data)

    for data in seeds:
        check(data[: target.max_size])
    while clock() < deadline and (not inputs or outcome.runs < inputs):
        if target.make is not None and rng.random() < _MADE:
            data = target.make(rng)[: target.max_size]
        else:
            data = rng.choice(seeds if rng.random() < 0.3 else corpus)
        if rng.random() < 0.9:
            data = mutator.mutate(data, rng.choice(corpus))
        check(data)
    outcome.corpus, outcome.answers = len(corpus), len(seen)
    return outcome


def examine(target: Target, data: bytes, *, memory: bool = True) -> Hashable:
    """Checks one input; `memory`: also what reading it takes."""
    try:
        answer = target.check(data)
        if memory:
            used = _memory(target, data)
            assert used <= target.max_memory, f"reading it takes {used} bytes, more than {target.max_memory}"
    except Exception as error:
        raise BrokenInvariantError(target, data) from error
    return answer


def _memory(target: Target, data: bytes) -> int:
    """The peak of what `consume` allocates, in bytes. Where someone else traces already, nothing is measured."""
    if tracemalloc.is_tracing():
        return 0
    tracemalloc.start()
    try:
        target.consume(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
