"""Changing inputs, the way libFuzzer does it, without coverage."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

_ODD_BYTES = bytes([0, 1, 9, 10, 13, 32, 44, 46, 48, 58, 127, 128, 254, 255])


class Mutator:
    def __init__(self, rng: random.Random, tokens: Sequence[bytes], max_size: int) -> None:
        self._rng = rng
        self._tokens = tokens
        self._max_size = max_size
        self._ways: list[Callable[[bytearray, bytes], None]] = [
            self._flip,
            self._set,
            self._number,
            self._number,
            self._insert,
            self._delete,
            self._repeat,
            self._move,
            self._splice,
            self._cut,
        ]
        if tokens:
            self._ways += [self._token, self._token, self._token_over]

    def mutate(self, data: bytes, other: bytes) -> bytes:
        """One to four changes; `other` is an input that pieces are taken from."""
        wire = bytearray(data)
        for _ in range(self._rng.choice((1, 1, 1, 2, 2, 3, 4))):
            self._rng.choice(self._ways)(wire, other)
        return bytes(wire[: self._max_size])

    def _at(self, wire: bytearray) -> int:
        return self._rng.randrange(len(wire) + 1)

    def _range(self, wire: bytes | bytearray) -> tuple[int, int]:
        start = self._rng.randrange(len(wire) + 1)
        return start, min(len(wire), start + self._rng.choice((1, 2, 3, 4, 8, 16, 64, 256)))

    def _flip(self, wire: bytearray, _: bytes) -> None:
        if wire:
            wire[self._rng.randrange(len(wire))] ^= 1 << self._rng.randrange(8)

    def _set(self, wire: bytearray, _: bytes) -> None:
        if wire:
            odd = self._rng.random() < 0.5
            wire[self._rng.randrange(len(wire))] = self._rng.choice(_ODD_BYTES) if odd else self._rng.randrange(256)

    def _number(self, wire: bytearray, _: bytes) -> None:
        """A big-endian number a little up or down: off by one is where lengths break."""
        size = self._rng.choice((1, 2, 2, 3))
        if len(wire) >= size:
            at = self._rng.randrange(len(wire) - size + 1)
            number = int.from_bytes(wire[at : at + size], "big") + self._rng.choice((-4, -2, -1, 1, 2, 4))
            wire[at : at + size] = (number % (1 << 8 * size)).to_bytes(size, "big")

    def _insert(self, wire: bytearray, _: bytes) -> None:
        at = self._at(wire)
        wire[at:at] = self._rng.randbytes(self._rng.choice((1, 1, 2, 4, 32)))

    def _delete(self, wire: bytearray, _: bytes) -> None:
        start, end = self._range(wire)
        del wire[start:end]

    def _repeat(self, wire: bytearray, _: bytes) -> None:
        start, end = self._range(wire)
        times = self._rng.choice((1, 1, 1, 2, 16, 200))
        wire[end:end] = (wire[start:end] * times)[: self._max_size]

    def _move(self, wire: bytearray, _: bytes) -> None:
        start, end = self._range(wire)
        piece = wire[start:end]
        del wire[start:end]
        at = self._at(wire)
        wire[at:at] = piece

    def _splice(self, wire: bytearray, other: bytes) -> None:
        """A piece of another input, or all of it behind."""
        if self._rng.random() < 0.3:
            wire += other
            return
        start, end = self._range(other)
        at = self._at(wire)
        wire[at:at] = other[start:end]

    def _cut(self, wire: bytearray, _: bytes) -> None:
        del wire[self._at(wire) :]

    def _token(self, wire: bytearray, _: bytes) -> None:
        at = self._at(wire)
        wire[at:at] = self._rng.choice(self._tokens)

    def _token_over(self, wire: bytearray, _: bytes) -> None:
        token = self._rng.choice(self._tokens)
        at = self._at(wire)
        wire[at : at + len(token)] = token
