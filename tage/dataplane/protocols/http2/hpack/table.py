"""The dynamic table (RFC 7541, 2.3.2 and 4): a ring of fields, in which each has the number of its insertion."""

import cython

if not cython.compiled:
    # Compiled, this name comes from the .pxd.
    from tage.dataplane.protocols.http2.hpack.field import Field

DEFAULT_SIZE = 4_096
"""Bytes; what both sides begin with (RFC 9113, 6.5.2)."""
_OVERHEAD = cython.declare(cython.Py_ssize_t, 28)  # what a line lacks of an entry's size: name + value + 32 (4.1)


class FieldTable:
    """`size` and `limit` are octets as section 4.1 counts them; `count` fields are there, the last of the `inserted`.
    An entry takes 32 octets at least, which bounds the ring."""

    def __init__(self, limit: cython.Py_ssize_t = DEFAULT_SIZE) -> None:
        self._ring = [None] * 16
        self._mask = 15
        self.count = 0
        self.size = 0
        self.limit = limit
        self.inserted = 0

    def at(self, age):
        """0 is the newest; None: there is none so old."""
        if age < 0 or age >= self.count:
            return None
        return self._ring[(self.inserted - age) & self._mask]

    def numbered(self, number):
        """By its number, which begins with 1; None: it is there no more."""
        if number <= self.inserted - self.count:
            return None
        return self._ring[number & self._mask]

    def insert(self, field):
        """False: it is larger than the table, which is empty now (4.4)."""
        need: cython.Py_ssize_t = field.size + _OVERHEAD
        while self.count and self.size + need > self.limit:
            self._evict()
        if need > self.limit:
            return False
        if self.count > self._mask:
            self._grow()
        self.inserted += 1
        self._ring[self.inserted & self._mask] = field
        self.count += 1
        self.size += need
        return True

    def resize(self, limit):
        self.limit = limit
        while self.count and self.size > limit:
            self._evict()

    def _evict(self):
        at: cython.Py_ssize_t = (self.inserted - self.count + 1) & self._mask
        field: Field = self._ring[at]
        self._ring[at] = None
        self.count -= 1
        self.size -= field.size + _OVERHEAD

    def _grow(self):
        former: list = self._ring
        mask: cython.Py_ssize_t = self._mask
        number: cython.longlong
        self._mask = mask * 2 + 1
        self._ring = [None] * (mask * 2 + 2)
        for number in range(self.inserted - self.count + 1, self.inserted + 1):
            self._ring[number & self._mask] = former[number & mask]

    def pairs(self) -> list[tuple[bytes, bytes]]:
        """Names and values, the newest first: for tests."""
        return [self._ring[(self.inserted - age) & self._mask].pair() for age in range(self.count)]
