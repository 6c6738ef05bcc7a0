"""Where a number stands in a frame's header, and how: `u32(8)` is four bytes at offset 8, big-endian."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Field:
    """`at` is the offset in the header, None where only the protocol's `id_at` tells. The number is what stands there,
    of it the bits of `mask`, and `add` more."""

    at: int | None
    width: int
    order: str = "big"
    signed: bool = False
    mask: int = 0
    """0: all bits."""
    add: int = 0

    @property
    def little(self) -> Field:
        """Little-endian."""
        return replace(self, order="little")

    def plus(self, more: int) -> Field:
        """The number is so much more (or less) than what stands there."""
        return replace(self, add=self.add + more)

    def masked(self, mask: int) -> Field:
        """Only these bits are the field's."""
        return replace(self, mask=mask)

    @property
    def bits(self) -> int:
        """The field's bits, as a mask."""
        return self.mask or (1 << (8 * self.width)) - 1

    @property
    def most(self) -> int:
        """The largest number that the field can say."""
        return (self.bits >> 1 if self.signed and not self.mask else self.bits) + self.add

    @property
    def end(self) -> int:
        return (self.at or 0) + self.width

    def get(self, data: bytes | bytearray, start: int = 0) -> int:
        """The number in the header that begins at `start`; IndexError where the data ends before."""
        at = start + (self.at or 0)
        if at + self.width > len(data):
            raise IndexError(f"{self} ends behind the {len(data)} bytes that are there")
        value = int.from_bytes(data[at : at + self.width], self.order, signed=self.signed)  # type: ignore[arg-type]
        return (value & self.mask if self.mask else value) + self.add

    def put(self, data: bytearray, value: int, what: str = "value") -> None:
        """Writes it into the header `data`; bits outside the mask stay. ValueError where the number does not fit."""
        at = self.at or 0
        raw = value - self.add
        if raw < 0 or raw & ~self.bits or value > self.most:
            raise ValueError(self.too_large(value, what))
        if self.mask:
            raw |= int.from_bytes(data[at : at + self.width], self.order) & ~self.mask  # type: ignore[arg-type]
        data[at : at + self.width] = raw.to_bytes(self.width, self.order)  # type: ignore[arg-type]

    def too_large(self, value: int, what: str) -> str:
        """Why it does not fit."""
        return f"{what}: {value:,} does not fit the field {self}, which says at most {self.most:,}"

    def __str__(self) -> str:
        text = f"{'i' if self.signed else 'u'}{8 * self.width}({self.at})"
        if self.order == "little":
            text += ".little"
        if self.mask:
            text += f".masked({self.mask:#x})"
        return text + (f".plus({self.add})" if self.add else "")


def u8(at: int | None) -> Field:
    """One byte."""
    return Field(at, 1)


def u16(at: int | None) -> Field:
    """Two bytes, unsigned, big-endian."""
    return Field(at, 2)


def u24(at: int | None) -> Field:
    """Three bytes, unsigned, big-endian."""
    return Field(at, 3)


def u32(at: int | None) -> Field:
    """Four bytes, unsigned, big-endian."""
    return Field(at, 4)


def u64(at: int | None) -> Field:
    """Eight bytes, unsigned, big-endian."""
    return Field(at, 8)


def i32(at: int | None) -> Field:
    """Four bytes, two's complement, big-endian: for timeouts, of which those below 0 mean none."""
    return Field(at, 4, signed=True)
