"""`ByteWriter`: output is put together here and leaves as one `bytes`."""

import zlib

import cython

from tage.dataplane import native

_HEX = cython.declare(bytes, b"0123456789abcdef")
_KEEP = cython.declare(cython.Py_ssize_t, 1 << 16)  # bytes; a larger buffer is let go when it has been taken


class ByteWriter:
    """A growing buffer, one a worker. `take` copies out; nothing borrowed outlives it."""

    def __init__(self, capacity: cython.Py_ssize_t = 4096) -> None:
        self._capacity = capacity
        self._buffer = bytearray(capacity)
        self._p = self._buffer
        self.size = 0

    def _room(self, more):
        if self.size + more <= self._capacity:
            return
        grown: cython.Py_ssize_t = max(self._capacity * 2, self.size + more)
        buffer: bytearray = bytearray(grown)
        buffer[: self.size] = self._buffer[: self.size]
        self._buffer = buffer
        self._p = self._buffer
        self._capacity = grown

    def clear(self):
        self.size = 0

    def cut(self, size):
        """Takes back what was put behind the first `size` bytes."""
        if 0 <= size < self.size:
            self.size = size

    def put(self, source):
        n: cython.Py_ssize_t = len(source)
        self._room(n)
        native.copy(self._p, self.size, source, 0, n)
        self.size += n

    def put_slice(self, source, start, end):
        """source[start:end], which have to lie in it: IndexError."""
        if start < 0 or end < start or end > len(source):
            raise IndexError("slice out of range")
        n: cython.Py_ssize_t = end - start
        self._room(n)
        native.copy(self._p, self.size, source, start, n)
        self.size += n

    def put_decimal(self, value):
        digits: cython.int = 1
        rest: cython.ulonglong = value
        while rest >= 10:
            rest //= 10
            digits += 1
        self._room(digits)
        at: cython.Py_ssize_t = self.size + digits
        self.size = at
        while digits > 0:
            at -= 1
            digits -= 1
            self._p[at] = 48 + value % 10
            value //= 10

    def put_hex(self, value, digits):
        """Lower case; `digits` (at most 16) of them from the right, 0: as many as it takes."""
        if digits > 16:
            digits = 16  # a shift by 64 bits and more is undefined in C
        if digits <= 0:
            digits = 1
            while digits < 16 and value >> (4 * digits):
                digits += 1
        self._room(digits)
        shift: cython.int = 4 * (digits - 1)
        at: cython.Py_ssize_t = self.size
        p: cython.p_uchar = self._p
        hexadecimal: cython.p_uchar = _HEX
        while shift >= 0:
            p[at] = hexadecimal[(value >> shift) & 15]
            at += 1
            shift -= 4
        self.size = at

    def put_number_at(self, at, value, width, little):
        """The lowest `width` bytes of `value` over what stands at `at`, where they have to fit: IndexError."""
        i: cython.int
        if width < 0 or at < 0 or at + width > self.size:
            raise IndexError("outside what was put")
        for i in range(width):
            self._p[at + i if little else at + width - 1 - i] = value & 0xFF
            value >>= 8

    def crc32(self, start, end):
        """The CRC-32 (ISO 3309, as in zlib) of what stands in start:end, which has to be there: IndexError."""
        if start < 0 or end < start or end > self.size:
            raise IndexError("outside what was put")
        with memoryview(self._buffer) as view:  # let go at once: the buffer is resized later
            return zlib.crc32(view[start:end])

    def take(self):
        """What was put, as bytes; the writer is empty afterwards."""
        n: cython.Py_ssize_t = self.size
        result: bytes
        if cython.compiled:
            result = self._p[:n]
        else:
            result = bytes(self._buffer[:n])
        self.size = 0
        if self._capacity > _KEEP:
            self._capacity = 4096
            self._buffer = bytearray(4096)
            self._p = self._buffer
        return result
