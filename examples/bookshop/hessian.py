"""Hessian 2 (hessian.caucho.com/doc/hessian-serialization.html), as much of it as the bookshop's calls need: it is how
SOFARPC and Dubbo write arguments and results. The packages for it on PyPI have not been kept for years; this is no
library either.

Python's None, bool, int, float, str, bytes, list and dict, and objects of Java classes as `Record`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

_CHUNK = 0x7FFF
"""UTF-16 units (or bytes) of one piece of a string (or of bytes)."""


@dataclass
class Record:
    """An object: its class and its fields, in their order."""

    type: str
    fields: dict[str, Any] = field(default_factory=dict)


def encode(*values: Any) -> bytes:
    """The values, one after the other."""
    writer = _Writer()
    for value in values:
        writer.put(value)
    return bytes(writer.out)


def decode(data: bytes) -> list[Any]:
    """All values that are there. Raises `ValueError`."""
    reader = _Reader(data)
    values = []
    try:
        while reader.at < len(data):
            values.append(reader.get())
    except (struct.error, IndexError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not Hessian 2: {error}") from None
    return values


class _Writer:
    def __init__(self) -> None:
        self.out = bytearray()
        self._classes: list[tuple[str, ...]] = []

    def put(self, value: Any) -> None:
        if value is None or isinstance(value, bool):
            self.out += {None: b"N", True: b"T", False: b"F"}[value]
        elif isinstance(value, int):
            self._int(value)
        elif isinstance(value, float):
            self.out += b"D" + struct.pack(">d", value)
        elif isinstance(value, str):
            self._str(value)
        elif isinstance(value, bytes):
            self._bytes(value)
        elif isinstance(value, list):
            self.out += b"X"
            self._int(len(value))
            for each in value:
                self.put(each)
        elif isinstance(value, dict):
            self.out += b"H"
            for key, each in value.items():
                self.put(key)
                self.put(each)
            self.out += b"Z"
        elif isinstance(value, Record):
            self._record(value)
        else:
            raise TypeError(f"{type(value).__name__} is not written")

    def _int(self, value: int) -> None:
        if -16 <= value <= 47:
            self.out.append(0x90 + value)
        elif -(2**31) <= value < 2**31:
            self.out += b"I" + struct.pack(">i", value)
        else:
            self.out += b"L" + struct.pack(">q", value)

    def _str(self, text: str) -> None:
        """Counted in UTF-16 units, each written as UTF-8."""
        if not text.isascii():
            raw = text.encode("utf-16-be")
            text = "".join(chr(unit) for (unit,) in struct.iter_unpack(">H", raw))
        while len(text) > _CHUNK:
            self.out += b"R" + struct.pack(">H", _CHUNK) + text[:_CHUNK].encode("utf-8", "surrogatepass")
            text = text[_CHUNK:]
        if len(text) < 32:
            self.out.append(len(text))
        else:
            self.out += b"S" + struct.pack(">H", len(text))
        self.out += text.encode("utf-8", "surrogatepass")

    def _bytes(self, data: bytes) -> None:
        while len(data) > _CHUNK:
            self.out += b"A" + struct.pack(">H", _CHUNK) + data[:_CHUNK]
            data = data[_CHUNK:]
        self.out += b"B" + struct.pack(">H", len(data)) + data

    def _record(self, record: Record) -> None:
        """Classes are defined once and then numbered."""
        shape = (record.type, *record.fields)
        if shape not in self._classes:
            self._classes.append(shape)
            self.out += b"C"
            self._str(record.type)
            self._int(len(record.fields))
            for name in record.fields:
                self._str(name)
        self.out += b"O"
        self._int(self._classes.index(shape))
        for value in record.fields.values():
            self.put(value)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.at = 0
        self._data = data
        self._classes: list[tuple[str, list[str]]] = []

    def get(self) -> Any:
        tag = self._data[self.at]
        self.at += 1
        if tag in b"NTF":
            return {b"N"[0]: None, b"T"[0]: True, b"F"[0]: False}[tag]
        if tag <= 0x33 or tag in b"RS":
            return self._str(tag)
        if 0x80 <= tag <= 0xD7 or tag in b"I":
            return self._int(tag)
        if tag >= 0xD8 or tag in (b"L"[0], 0x59):
            return self._long(tag)
        if tag in b"D" or 0x5B <= tag <= 0x5F:
            return self._double(tag)
        if tag in b"AB" or 0x20 <= tag <= 0x2F or 0x34 <= tag <= 0x37:
            return self._bytes(tag)
        if tag in b"UVWX" or 0x70 <= tag <= 0x7F:
            return self._list(tag)
        if tag in b"HM":
            if tag in b"M":
                self.get()
            return self._pairs()
        if tag in b"C":
            name = self.get()
            self._classes.append((name, [self.get() for _ in range(self.get())]))
            return self.get()
        if tag in b"O" or 0x60 <= tag <= 0x6F:
            name, fields = self._classes[self.get() if tag in b"O" else tag - 0x60]
            return Record(name, {each: self.get() for each in fields})
        raise ValueError(f"not Hessian 2: {tag:#04x} at {self.at - 1}")

    def _take(self, form: str) -> int:
        (value,) = struct.unpack_from(form, self._data, self.at)
        self.at += struct.calcsize(form)
        return int(value)

    def _int(self, tag: int) -> int:
        if tag in b"I":
            return self._take(">i")
        if tag <= 0xBF:
            return tag - 0x90
        if tag <= 0xCF:
            return ((tag - 0xC8) << 8) + self._take(">B")
        return ((tag - 0xD4) << 16) + self._take(">H")

    def _long(self, tag: int) -> int:
        if tag in b"L":
            return self._take(">q")
        if tag == 0x59:
            return self._take(">i")
        if tag <= 0xEF:
            return tag - 0xE0
        return ((tag - 0xF8) << 8) + self._take(">B")

    def _double(self, tag: int) -> float:
        if tag in b"D":
            (value,) = struct.unpack_from(">d", self._data, self.at)
            self.at += 8
            return float(value)
        if tag <= 0x5C:
            return float(tag - 0x5B)
        forms = {0x5D: (">b", 1.0), 0x5E: (">h", 1.0), 0x5F: (">i", 0.001)}
        form, factor = forms[tag]
        return self._take(form) * factor

    def _str(self, tag: int) -> str:
        text = ""
        while tag in b"R":
            text += self._units(self._take(">H"))
            tag = self._take(">B")
        text += self._units(
            self._take(">H") if tag in b"S" else tag if tag < 0x20 else ((tag - 0x30) << 8) + self._take(">B")
        )
        return text.encode("utf-16", "surrogatepass").decode("utf-16")

    def _units(self, count: int) -> str:
        end = self.at
        for _ in range(count):
            first = self._data[end]
            end += 1 if first < 0x80 else 2 if first < 0xE0 else 3
        text = self._data[self.at : end].decode("utf-8", "surrogatepass")
        self.at = end
        return text

    def _bytes(self, tag: int) -> bytes:
        data = b""
        while tag in b"A":
            data += self._slice(self._take(">H"))
            tag = self._take(">B")
        if tag in b"B":
            return data + self._slice(self._take(">H"))
        return data + self._slice(tag - 0x20 if tag <= 0x2F else ((tag - 0x34) << 8) + self._take(">B"))

    def _slice(self, count: int) -> bytes:
        data = self._data[self.at : self.at + count]
        if len(data) < count:
            raise ValueError("not Hessian 2: it ends too early")
        self.at += count
        return data

    def _list(self, tag: int) -> list[Any]:
        """Typed (U, V, 70-77) or not, with its length (V, X, 70-7F) or an end."""
        if tag in b"UV" or 0x70 <= tag <= 0x77:
            self.get()
        if tag in b"UW":
            values = []
            while self._data[self.at] != b"Z"[0]:
                values.append(self.get())
            self.at += 1
            return values
        count = self.get() if tag in b"VX" else tag & 7
        return [self.get() for _ in range(count)]

    def _pairs(self) -> dict[Any, Any]:
        pairs = {}
        while self._data[self.at] != b"Z"[0]:
            key = self.get()
            pairs[key] = self.get()
        self.at += 1
        return pairs
