"""Which characters may stand where (RFC 9110, 5.5 and 5.6.2; RFC 3986, 3.2.2): one table of bits for all parsers."""

import cython

TOKEN_CHARS = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_HOST_CHARS = b"-._~!$&'()*+;=%0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

IS_TOKEN = 1
IS_VALUE = 2
IS_TARGET = 4
IS_HOST = 8


def _classes() -> bytes:
    table = bytearray(256)
    for c in range(256):
        if c in TOKEN_CHARS:
            table[c] |= IS_TOKEN
        if c == 9 or (32 <= c != 127):
            table[c] |= IS_VALUE
        if 33 <= c <= 126:
            table[c] |= IS_TARGET
        if c in _HOST_CHARS:
            table[c] |= IS_HOST
    return bytes(table)


CLASS = cython.declare(bytes, _classes())
