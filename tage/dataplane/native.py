"""The C functions of the data plane, each with a Python twin: this module is the only one that names libc, or what the
compiler has of its own.

Sizes and positions are bytes; callers have checked the bounds. Compiled, `data` is a pointer; uncompiled, a bytes-like.
"""

import os
import time

import cython

if cython.compiled:
    from cython.cimports.cpython.bytearray import PyByteArray_FromStringAndSize
    from cython.cimports.libc.errno import EAGAIN, EINTR, errno
    from cython.cimports.libc.math import pow as pow_
    from cython.cimports.libc.string import memchr, memcmp, memcpy, memset
    from cython.cimports.posix.time import CLOCK_MONOTONIC, clock_gettime, nanosleep, timespec
    from cython.cimports.tage.dataplane.system import (
        __ATOMIC_SEQ_CST,
        MSG_NOSIGNAL,
        __atomic_exchange_n,
        __atomic_fetch_add,
        __atomic_load_n,
        __atomic_store_n,
        __sync_bool_compare_and_swap,
        epoll_wait,
        iovec,
        msghdr,
        recv,
        sendmsg,
    )
    from cython.cimports.tage.dataplane.system import send as send_
else:
    import select

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


def equal_at(a, a_start, b, b_start, size):
    """Whether a[a_start : a_start+size] is b[b_start : b_start+size]."""
    if cython.compiled:
        return memcmp(a + a_start, b + b_start, size) == 0
    return a[a_start : a_start + size] == b[b_start : b_start + size]


def word(data, start):
    """The 8 bytes at data[start] as one number, in whatever order is cheap here: for comparisons and hashes."""
    if cython.compiled:
        value = cython.declare(cython.ulonglong, 0)
        memcpy(cython.address(value), data + start, 8)
        return value
    return int.from_bytes(data[start : start + 8], "little")


def cells(size):
    """A bytearray of that size, with whatever is in it: what bytearray() does, without the call of a type."""
    if cython.compiled:
        return PyByteArray_FromStringAndSize(cython.NULL, size)
    return bytearray(size)


def power(base, exponent):
    """base ** exponent of positive numbers."""
    if cython.compiled:
        return pow_(base, exponent)
    return base**exponent


def now_us():
    """Microseconds of the monotonic clock."""
    if cython.compiled:
        at = cython.declare(timespec)
        clock_gettime(CLOCK_MONOTONIC, cython.address(at))
        return cython.cast(cython.longlong, at.tv_sec) * 1000000 + at.tv_nsec // 1000
    else:
        return time.monotonic_ns() // 1000


def sleep_us(us):
    """For threads beside the worker's; a signal may end it sooner."""
    if cython.compiled:
        span = cython.declare(timespec)
        span.tv_sec = us // 1000000
        span.tv_nsec = (us % 1000000) * 1000
        nanosleep(cython.address(span), cython.NULL)
    else:
        time.sleep(us / 1_000_000)


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

# -- sockets -----------------------------------------------------------------------------------------------------------
#
# Results are counts, or -errno; -EAGAIN is also what an interrupted call answers: its caller comes again.


def receive(descriptor, buffer, size):
    """recv(2) into `buffer`; 0 is the peer's end."""
    if cython.compiled:
        count = cython.declare(cython.Py_ssize_t, recv(descriptor, buffer, size, 0))
        if count < 0:
            return -EAGAIN if errno == EINTR else -errno
        return count
    try:
        data = os.read(descriptor, size)
    except OSError as error:
        return -(error.errno or 1)
    buffer[: len(data)] = data
    return len(data)


def send(descriptor, data, start, size):
    """send(2) of data[start : start+size], without SIGPIPE."""
    if cython.compiled:
        count = cython.declare(cython.Py_ssize_t, send_(descriptor, data + start, size, MSG_NOSIGNAL))
        if count < 0:
            return -EAGAIN if errno == EINTR else -errno
        return count
    try:
        return os.write(descriptor, memoryview(data)[start : start + size])
    except OSError as error:
        return -(error.errno or 1)


def send_pieces(descriptor, pieces):
    """As `send`, of up to 64 of these `bytes`, one behind the other."""
    count: cython.Py_ssize_t = len(pieces)
    i: cython.Py_ssize_t
    piece: bytes
    if count > 64:
        count = 64
    if cython.compiled:
        vectors = cython.declare(iovec[64])
        message = cython.declare(msghdr)
        memset(cython.address(message), 0, cython.sizeof(msghdr))
        for i in range(count):
            piece = pieces[i]
            vectors[i].iov_base = cython.cast(cython.p_void, cython.cast(cython.p_uchar, piece))
            vectors[i].iov_len = len(piece)
        message.msg_iov = vectors
        message.msg_iovlen = count
        sent = cython.declare(
            cython.Py_ssize_t, sendmsg(descriptor, cython.address(message), MSG_NOSIGNAL)
        )
        if sent < 0:
            return -EAGAIN if errno == EINTR else -errno
        return sent
    try:
        return os.writev(descriptor, pieces[:count])
    except OSError as error:
        return -(error.errno or 1)


class EpollEvents:
    """What one epoll_wait(2) found, at most 256 events."""

    def __init__(self) -> None:
        self._twin = []

    def wait(self, epoll):
        """Does not wait: how many are ready now. Raises OSError."""
        if cython.compiled:
            count = cython.declare(cython.int, epoll_wait(epoll, self.events, 256, 0))
            if count < 0:
                if errno == EINTR:
                    return 0
                raise OSError(errno, "epoll_wait")
            return count
        with select.epoll.fromfd(os.dup(epoll)) as twin:
            self._twin = twin.poll(0, 256)
        return len(self._twin)

    def descriptor(self, index):
        if cython.compiled:
            return self.events[index].data.fd
        return self._twin[index][0]

    def mask(self, index):
        if cython.compiled:
            return self.events[index].events
        return self._twin[index][1]


# -- memory that processes share ---------------------------------------------------------------------------------------
#
# Cells of 64 bits, `at` counts them; sequentially consistent. The twins are atomic within a process only.


def atomic_load(cells, at):
    if cython.compiled:
        return __atomic_load_n(cells + at, __ATOMIC_SEQ_CST)
    return cells[at]


def atomic_store(cells, at, value):
    if cython.compiled:
        __atomic_store_n(cells + at, value, __ATOMIC_SEQ_CST)
    else:
        cells[at] = value


def atomic_add(cells, at, n):
    """What was there before. The sum wraps: adding 2**64 - 1 takes one away."""
    if cython.compiled:
        return __atomic_fetch_add(cells + at, n, __ATOMIC_SEQ_CST)
    before = cells[at]
    cells[at] = (before + n) & _MASK
    return before


def atomic_exchange(cells, at, value):
    """What was there before."""
    if cython.compiled:
        return __atomic_exchange_n(cells + at, value, __ATOMIC_SEQ_CST)
    before = cells[at]
    cells[at] = value
    return before


def atomic_replace(cells, at, expected, value):
    """Puts `value` there if `expected` is there; whether it was."""
    if cython.compiled:
        return __sync_bool_compare_and_swap(cells + at, expected, value)
    if cells[at] != expected:
        return False
    cells[at] = value
    return True
