"""XXH64, the hash of Envoy's hash policies, rings and tables: where Envoy and Tage balance side by side they agree.

Source: github.com/Cyan4973/xxHash, doc/xxhash_spec.md. Arithmetic is modulo 2**64; C's wraps by itself, the masks are
for the uncompiled run.
"""

import cython

_MASK = cython.declare(cython.ulonglong, 0xFFFFFFFFFFFFFFFF)
_P1 = cython.declare(cython.ulonglong, 0x9E3779B185EBCA87)
_P2 = cython.declare(cython.ulonglong, 0xC2B2AE3D27D4EB4F)
_P3 = cython.declare(cython.ulonglong, 0x165667B19E3779F9)
_P4 = cython.declare(cython.ulonglong, 0x85EBCA77C2B2AE63)
_P5 = cython.declare(cython.ulonglong, 0x27D4EB2F165667C5)


def _rotate(x, bits):
    return ((x << bits) & _MASK) | (x >> (64 - bits))


def _round(lane, word):
    return (_rotate((lane + word * _P2) & _MASK, 31) * _P1) & _MASK


def _merge(result, lane):
    return ((result ^ _round(0, lane)) * _P1 + _P4) & _MASK


def _word(p, at, size):
    """`size` bytes, little-endian."""
    i: cython.int
    result: cython.ulonglong = 0
    for i in range(size):
        result |= cython.cast(cython.ulonglong, p[at + i]) << (8 * i)
    return result


def xxh64(data, seed=0):
    """The 64-bit hash of `data`."""
    p: cython.p_uchar = data
    size: cython.Py_ssize_t = len(data)
    at: cython.Py_ssize_t = 0
    h: cython.ulonglong
    if size >= 32:
        a: cython.ulonglong = (seed + _P1 + _P2) & _MASK
        b: cython.ulonglong = (seed + _P2) & _MASK
        c: cython.ulonglong = seed
        d: cython.ulonglong = (seed - _P1) & _MASK
        while size - at >= 32:
            a = _round(a, _word(p, at, 8))
            b = _round(b, _word(p, at + 8, 8))
            c = _round(c, _word(p, at + 16, 8))
            d = _round(d, _word(p, at + 24, 8))
            at += 32
        h = (_rotate(a, 1) + _rotate(b, 7) + _rotate(c, 12) + _rotate(d, 18)) & _MASK
        h = _merge(_merge(_merge(_merge(h, a), b), c), d)
    else:
        h = (seed + _P5) & _MASK
    h = (h + cython.cast(cython.ulonglong, size)) & _MASK
    while size - at >= 8:
        h = (_rotate(h ^ _round(0, _word(p, at, 8)), 27) * _P1 + _P4) & _MASK
        at += 8
    if size - at >= 4:
        h = (_rotate(h ^ ((_word(p, at, 4) * _P1) & _MASK), 23) * _P2 + _P3) & _MASK
        at += 4
    while at < size:
        h = (_rotate(h ^ ((_word(p, at, 1) * _P5) & _MASK), 11) * _P1) & _MASK
        at += 1
    h ^= h >> 33
    h = (h * _P2) & _MASK
    h ^= h >> 29
    h = (h * _P3) & _MASK
    return h ^ (h >> 32)
