"""The Huffman code of RFC 7541, appendix B: a state machine that takes four bits a step.

The code is canonical, so the lengths of its codes are all there is to it: codes of one length are consecutive numbers
in the order of the symbols, and shorter ones come first. A state is an inner node of the code's tree, of which there
are 256; no code is shorter than five bits, so a step yields one symbol at most.

There is no encoder: shorter strings cost the peer's CPU and ours, and nothing on a network is paid by the byte.
"""

import cython

_LENGTHS = (
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
    28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12,
    10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6,
    5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22,
    22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20,
    22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28,
    27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28,
    27, 27, 27, 27, 27, 26, 30,
)  # fmt: skip
"""Bits of each symbol's code; the last symbol, 256, is EOS."""
_EOS = 256

_EMIT = cython.declare(cython.int, 1)  # a symbol has been read
_END = cython.declare(cython.int, 2)  # the string may end here: what is begun is padding, less than 8 bits, all ones
_FAIL = cython.declare(cython.int, 4)  # EOS, which no string has


def codes() -> list[tuple[int, int]]:
    """(code, bits) of each symbol."""
    result = [(0, 0)] * len(_LENGTHS)
    code = bits = 0
    for length, symbol in sorted((length, symbol) for symbol, length in enumerate(_LENGTHS)):
        code <<= length - bits
        bits = length
        result[symbol] = (code, bits)
        code += 1
    return result


def _tree() -> list[list[int]]:
    """The inner nodes, the root first: the two children of each, a leaf as -1 - symbol."""
    nodes = [[0, 0]]
    for symbol, (code, bits) in enumerate(codes()):
        at = 0
        for shift in range(bits - 1, 0, -1):
            bit = code >> shift & 1
            if not nodes[at][bit]:
                nodes[at][bit] = len(nodes)
                nodes.append([0, 0])
            at = nodes[at][bit]
        nodes[at][code & 1] = -1 - symbol
    return nodes


def _machine() -> tuple[bytes, bytes, bytes]:
    """By state * 16 + the next four bits: the new state, the symbol, the flags."""
    nodes = _tree()
    ends = {0}
    at = 0
    for _ in range(7):
        at = nodes[at][1]
        ends.add(at)
    following, symbols, flags = bytearray(4096), bytearray(4096), bytearray(4096)
    for state in range(256):
        for bits in range(16):
            at, row = state, state * 16 + bits
            for shift in (3, 2, 1, 0):
                at = nodes[at][bits >> shift & 1]
                if at == -1 - _EOS:
                    flags[row] = _FAIL
                    at = 0
                    break
                if at < 0:
                    flags[row] |= _EMIT
                    symbols[row] = -1 - at
                    at = 0
            following[row] = at
            if at in ends:
                flags[row] |= _END
    return bytes(following), bytes(symbols), bytes(flags)


_NEXT, _SYMBOL, _FLAGS = _machine()


def decode(source, start, size, out):
    """source[start : start+size], which has to be there, decoded into `out`. False: it has EOS in it, or does not end
    in padding as section 5.2 wants it; then something is in `out` all the same."""
    p: cython.p_uchar = source
    following: cython.p_uchar = _NEXT
    symbols: cython.p_uchar = _SYMBOL
    flags: cython.p_uchar = _FLAGS
    at: cython.Py_ssize_t = start
    end: cython.Py_ssize_t = start + size
    row: cython.int
    state: cython.int = 0
    flag: cython.int = _END
    out._room(size * 8 // 5 + 1)  # no code is shorter than five bits
    to: cython.p_uchar = out._p
    put: cython.Py_ssize_t = out.size
    while at < end:
        row = (state << 4) | (p[at] >> 4)
        flag = flags[row]
        if flag & _EMIT:
            to[put] = symbols[row]
            put += 1
        if flag & _FAIL:
            return False
        row = (following[row] << 4) | (p[at] & 15)
        flag = flags[row]
        if flag & _EMIT:
            to[put] = symbols[row]
            put += 1
        if flag & _FAIL:
            return False
        state = following[row]
        at += 1
    out.size = put
    return flag & _END != 0
