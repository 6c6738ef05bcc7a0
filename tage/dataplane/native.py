"""The C functions of the data plane, each with a Python twin: this module is the only one that names libc.

Sizes and positions are bytes; callers have checked the bounds. Compiled, `data` is a pointer; uncompiled, a bytes-like.
"""

import os
import time

import cython

if cython.compiled:
    from cython.cimports.libc.string import memchr, memcmp, memcpy
    from cython.cimports.posix.time import CLOCK_MONOTONIC, clock_gettime, timespec

# Typed, for C arithmetic wraps by itself and a plain literal of this size would be a Python integer.
_MASK = cython.declare(cython.ulonglong, 0xFFFFFFFFFFFFFFFF)
_MULTIPLIER = cython.declare(cython.ulonglong, 0x2545F4914F6CDD1D)


def find_byte(data, start, end, byte):
    """The position of the first `byte` in data[start:end], or -1."""
    if cython.compiled:
        found = cython.declare(cython.p_uchar, cython.cast(cython.p_uchar, memchr(data + start, byte, end - start)))
        if found == cython.NULL:
            return -1
        return found - data
    return data.find(byte, start, end)


def copy(target, at, source, start, size):
    """target[at : at+size] = source[start : start+size]"""
    if cython.compiled:
        memcpy(target + at, source + start, size)
    else:
        target[at : at + size] = source[start : start + size]


def equal(a, start, b, size):
    """Whether a[start : start+size] is b[:size]."""
    if cython.compiled:
        return memcmp(a + start, b, size) == 0
    return a[start : start + size] == b[:size]


def now_us():
    """Microseconds of the monotonic clock."""
    if cython.compiled:
        at = cython.declare(timespec)
        clock_gettime(CLOCK_MONOTONIC, cython.address(at))
        return cython.cast(cython.longlong, at.tv_sec) * 1000000 + at.tv_nsec // 1000
    return time.monotonic_ns() // 1000


class Random:
    """xorshift64*: for load balancing and request ids, not for secrets. Seeded from the system."""

    def __init__(self, seed: int = 0) -> None:
        self.state = (seed or int.from_bytes(os.urandom(8), "little")) | 1

    def next(self):
        """64 bits."""
        x: cython.ulonglong = self.state
        x ^= x >> 12
        x ^= (x << 25) & _MASK
        x ^= x >> 27
        self.state = x
        return (x * _MULTIPLIER) & _MASK

    def below(self, n):
        """0 <= result < n; n >= 1. The bias is n / 2**32, of no account for balancing."""
        return ((self.next() >> 32) * n) >> 32

    def sample(self, n: int) -> int:
        """`below` for Python callers."""
        return self.below(n)


def monotonic_us() -> int:
    """`now_us` for Python callers."""
    return now_us()
