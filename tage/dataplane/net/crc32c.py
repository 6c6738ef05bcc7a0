"""CRC-32C (Castagnoli), as RFC 4960, appendix B, and RFC 3720, B.4, have it; zlib's CRC-32 is another polynomial."""

from array import array

import cython


def _table() -> array:
    table = array("I")
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = cython.declare(cython.uint[::1], _table())


def crc32c(data, start, end, crc=0):
    """Of data[start:end]; `crc` is that of what goes before. The caller has checked the bounds."""
    p: cython.p_uchar = data
    i: cython.Py_ssize_t
    crc ^= 0xFFFFFFFF
    for i in range(start, end):
        crc = _TABLE[(crc ^ p[i]) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF
