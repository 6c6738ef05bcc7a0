"""Makes Hessian values of every form that the two dialects have, right or odd: for the tests and the fuzz target."""

from __future__ import annotations

import random
from collections.abc import Callable

from tage.dataplane.protocols.xprotocol.hessian import Dialect

FINAL = Dialect.FINAL
_LETTERS = "az09 é水\x00\x7f\uffff\U0001f600"


def units(text: str) -> bytes:
    """UTF-8, but surrogate pairs as two characters: as it stands on the wire."""
    wide = text.encode("utf-16-le", "surrogatepass")
    parts = [wide[at : at + 2].decode("utf-16-le", "surrogatepass") for at in range(0, len(wide), 2)]
    return "".join(parts).encode("utf-8", "surrogatepass")


def length(text: str) -> int:
    """UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


class Values:
    """One stream: `value` is the next value's bytes, whatever it is; it goes on from those before (classes)."""

    def __init__(self, dialect: Dialect, rng: random.Random) -> None:
        self._final = dialect == FINAL
        self._rng = rng
        self._classes: list[int] = []

    def value(self, depth: int = 3) -> bytes:
        flat = [self._fixed, self._fixed, self.integer, self.string, self.binary, self._reference]
        nested: list[Callable[[int], bytes]] = [self._map, self._object, self._list, self._list]
        if depth == 0 or self._rng.random() < 0.5:
            return self._rng.choice(flat)()
        return self._rng.choice(nested)(depth - 1)

    # -- flat ----------------------------------------------------------------------------------------------------------

    def _fixed(self) -> bytes:
        tags = {b"N": 0, b"T": 0, b"F": 0, b"L": 8, b"D": 8, b"I": 4, b"\xd8": 0, b"\xff": 1, b"\xd0": 2, b"\x3f": 2}
        if self._final:
            tags |= {b"J": 8, b"K": 4, b"Y": 4, b"[": 0, b"]": 1, b"^": 2, b"_": 4}
        else:
            tags |= {b"d": 8, b"w": 4, b"g": 0, b"h": 0, b"i": 1, b"j": 2, b"k": 4}
        tag = self._rng.choice(list(tags))
        return tag + self._rng.randbytes(tags[tag])

    def integer(self, number: int | None = None) -> bytes:
        """Zero or more, in any form that it fits."""
        number = self._rng.choice((0, 1, 47, 48, 2047, 2048, 262143, 262144)) if number is None else number
        forms = [b"I" + number.to_bytes(4, "big")]
        if number < 0x30:
            forms.append(bytes((0x90 + number,)))
        if number < 0x800:
            forms.append((0xC800 + number).to_bytes(2, "big"))
        if number < 0x40000:
            forms.append((0xD40000 + number).to_bytes(3, "big"))
        return self._rng.choice(forms)

    def text(self, most: int = 12) -> str:
        return "".join(self._rng.choices(_LETTERS, k=self._rng.randrange(most + 1)))

    def string(self, text: str | None = None) -> bytes:
        """In any form, in chunks or not."""
        text = self.text() if text is None else text
        written = b""
        while text and self._rng.random() < 0.2:
            at = self._rng.randrange(len(text) + 1)
            tag = b"R" if self._final else self._rng.choice((b"s", b"x"))
            written += tag + length(text[:at]).to_bytes(2, "big") + units(text[:at])
            text = text[at:]
        size = length(text)
        forms = [self._rng.choice((b"S",) if self._final else (b"S", b"X")) + size.to_bytes(2, "big")]
        if size <= 0x1F:
            forms.append(bytes((size,)))
        if size <= 0x3FF and self._final:
            forms.append((0x3000 + size).to_bytes(2, "big"))
        return written + self._rng.choice(forms) + units(text)

    def binary(self) -> bytes:
        written = b""
        while self._rng.random() < 0.2:
            piece = self._rng.randbytes(self._rng.choice((0, 1, 40)))
            written += (b"A" if self._final else b"b") + len(piece).to_bytes(2, "big") + piece
        last = self._rng.randbytes(self._rng.randrange(16))
        forms = [bytes((0x20 + len(last),)), b"B" + len(last).to_bytes(2, "big")]
        if self._final:
            forms.append((0x3400 + len(last)).to_bytes(2, "big"))
        return written + self._rng.choice(forms) + last

    def _reference(self) -> bytes:
        if self._final:
            return b"Q" + self.integer()
        one, two, four = (self._rng.randbytes(size) for size in (1, 2, 4))
        remote = b"r" + self._rng.choice((self._type(), b"")) + self.string()
        return self._rng.choice((b"J" + one, b"K" + two, b"R" + four, remote))

    # -- with values in them -------------------------------------------------------------------------------------------

    def _type(self) -> bytes:
        if self._final:
            return self._rng.choice((self.string(), self.integer()))
        name = self.text(4)
        whole = b"t" + length(name).to_bytes(2, "big") + units(name)
        return self._rng.choice((whole, self._rng.choice((b"T", b"u")) + self.integer()))

    def _list(self, depth: int) -> bytes:
        items = [self.value(depth) for _ in range(self._rng.randrange(4))]
        inner, size = b"".join(items), self.integer(len(items))
        if self._final:
            forms = [
                b"U" + self._type() + inner + b"Z",
                b"V" + self._type() + size + inner,
                b"W" + inner + b"Z",
                b"X" + size + inner,
                bytes((0x70 + len(items),)) + self._type() + inner,
                bytes((0x78 + len(items),)) + inner,
            ]
            return self._rng.choice(forms)
        if self._rng.random() < 0.3:
            return b"v" + self.integer() + size + inner
        said = self._rng.choice(
            (b"n" + bytes((len(items),)), b"l" + len(items).to_bytes(4, "big"), b"l\xff\xff\xff\xff")
        )
        return b"V" + self._rng.choice((self._type(), b"")) + said + inner + b"z"

    def _map(self, depth: int) -> bytes:
        inner = b"".join(self.string() + self.value(depth) for _ in range(self._rng.randrange(4)))
        if not self._final:
            return b"M" + self._rng.choice((self._type(), b"")) + inner + b"z"
        return self._rng.choice((b"H", b"M" + self._type())) + inner + b"Z"

    def _object(self, depth: int) -> bytes:
        written = b""
        if not self._classes or self._rng.random() < 0.4:
            fields = [self.text(4) for _ in range(self._rng.randrange(4))]
            written = self.definition(self.text(4), fields)
        number = self._rng.randrange(len(self._classes))
        written += self.instance(number)
        return written + b"".join([self.value(depth) for _ in range(self._classes[number])])

    def definition(self, name: str, fields: list[str]) -> bytes:
        self._classes.append(len(fields))
        head = b"C" + self.string(name) if self._final else b"O" + self.integer(length(name)) + units(name)
        return head + self.integer(len(fields)) + b"".join(map(self.string, fields))

    def instance(self, number: int) -> bytes:
        if not self._final:
            return b"o" + self.integer(number)
        forms = [b"O" + self.integer(number)]
        if number < 16:
            forms.append(bytes((0x60 + number,)))
        return self._rng.choice(forms)
