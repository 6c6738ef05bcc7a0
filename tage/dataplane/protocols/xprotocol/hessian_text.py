"""Hessian 2's strings, binaries and numbers on the wire (`hessian` has the two dialects).

A string's length counts UTF-16 units; its bytes are UTF-8, but that a character beyond 0xFFFF is two surrogates of
three bytes each. What is read out is proper UTF-8, `encode_string` is the way back. As in the Java readers, the bytes
behind a lead byte are not looked at where a string is skipped, and lead bytes of four are refused.

Positions: `end` is where the data ends that may be looked at; the caller has seen that it is no more than there are
bytes, and that `at` is not negative.
"""

import re

import cython

from tage.dataplane import native

NULL = b"N"
_NOT_ASCII = cython.declare(cython.ulonglong, 0x8080808080808080)


def units_end(p, at, end, units):
    """Where `units` UTF-16 units of text at `at` end; -1: behind `end`, or this is no text."""
    c: cython.int
    if units > end - at:
        return -1
    while units > 0:
        if at >= end:
            return -1
        c = p[at]
        if c < 0x80:
            at += 1
            while units > 8 and end - at >= 8 and native.word(p, at) & _NOT_ASCII == 0:
                at += 8
                units -= 8
        elif c & 0xE0 == 0xC0:
            at += 2
        elif c & 0xF0 == 0xE0:
            at += 3
        else:
            return -1
        units -= 1
    return at if at <= end else -1


def string_end(p, at, end, final):
    """Where the string, or null, at `at` ends; -1: none stands there, or not all of it."""
    tag: cython.int
    if at >= end:
        return -1
    tag = p[at]
    if tag <= 0x1F:
        return units_end(p, at + 1, end, tag)
    if tag == 78:  # "N"
        return at + 1
    return chunks_end(p, at, end, final, True)


def chunks_end(p, at, end, final, text):
    """Where the string (or binary) at `at` ends, chunk by chunk; -1: none stands there, or not all of it."""
    head: cython.int
    size: cython.Py_ssize_t
    tag: cython.int
    while True:
        head = _chunk_head(p, at, end, final, text)
        if head == 0:
            return -1
        tag = p[at]
        size = _chunk_size(p, at, head)
        at += head
        if text:
            at = units_end(p, at, end, size)
        else:
            at = at + size if size <= end - at else -1
        if at < 0 or head < 3 or tag == 83 or tag == 66 or tag == 88:  # "S", "B", "X": the last one
            return at


def _chunk_head(p, at, end, final, text):
    """How many bytes a chunk's tag and length are: 1 to 3; 0: this is no chunk, or it goes on behind `end`."""
    tag: cython.int
    head: cython.int = 0
    if at >= end:
        return 0
    tag = p[at]
    if text:
        if tag <= 0x1F:
            head = 1
        elif final and 0x30 <= tag <= 0x33:
            head = 2
        elif tag == 83 or (tag == 82 if final else (tag == 115 or tag == 88 or tag == 120)):  # "S"; "R"; "s", "X", "x"
            head = 3
    elif 0x20 <= tag <= 0x2F:
        head = 1
    elif final and 0x34 <= tag <= 0x37:
        head = 2
    elif tag == 66 or tag == (65 if final else 98):  # "B"; "A"; "b"
        head = 3
    return head if head <= end - at else 0


def _chunk_size(p, at, head):
    if head == 1:
        return p[at] & 0x1F if p[at] <= 0x1F else p[at] - 0x20
    if head == 2:
        return (p[at] & 3) << 8 | p[at + 1]
    return p[at + 1] << 8 | p[at + 2]


def string_text(data, start, end):
    """The text of the string data[start:end] (as `string_end` found it, not null), in UTF-8. What is no text stays as
    it is where that costs nothing, else U+FFFD stands for it."""
    p: cython.p_uchar = data
    head: cython.int = 1 if p[start] <= 0x1F else 2 if p[start] <= 0x33 else 3
    stop: cython.Py_ssize_t
    text: bytes
    if head < 3 or p[start] == 83:  # one chunk
        text = data[start + head : end]
    else:
        parts: list = []
        while start < end:
            head = 1 if p[start] <= 0x1F else 2 if p[start] <= 0x33 else 3
            stop = units_end(p, start + head, end, _chunk_size(p, start, head))
            parts.append(data[start + head : stop])
            start = stop
        text = b"".join(parts)
    if native.find_byte(text, 0, len(text), 0xED) < 0:
        return text
    try:
        units = text.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return text.decode("utf-8", "replace").encode()
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


# -- writing -----------------------------------------------------------------------------------------------------------


def _surrogates(match: re.Match[str]) -> str:
    code = ord(match[0]) - 0x10000
    return chr(0xD800 + (code >> 10)) + chr(0xDC00 + (code & 0x3FF))


def encode_string(text: bytes, final: bool = True) -> bytes:
    """A string of that UTF-8 text; U+FFFD stands for what is not UTF-8. `final`: in that dialect, else in the draft's.
    Lengths and chunks are as the Java writers have them."""
    if len(text) <= 0x1F and text.isascii():
        return bytes((len(text),)) + text
    units = text.decode("utf-8", "replace")
    if not units.isascii():
        units = re.sub("[\U00010000-\U0010ffff]", _surrogates, units)
    written = []
    while len(units) > 0x8000:
        size = 0x7FFF if "\ud800" <= units[0x7FFF] <= "\udbff" else 0x8000
        written += [b"R" if final else b"s", size.to_bytes(2, "big"), units[:size].encode("utf-8", "surrogatepass")]
        units = units[size:]
    size = len(units)
    if size <= 0x1F:
        head = bytes((size,))
    elif final and size <= 0x3FF:
        head = (0x3000 + size).to_bytes(2, "big")
    else:
        head = b"S" + size.to_bytes(2, "big")
    return b"".join((*written, head, units.encode("utf-8", "surrogatepass")))


def encode_map(entries: list[tuple[bytes, bytes]], final: bool = True) -> bytes:
    """A map without a type, of strings to strings."""
    parts = [encode_string(text, final) for entry in entries for text in entry]
    return b"".join((b"H" if final else b"M", *parts, b"Z" if final else b"z"))


def encode_int(value: int) -> bytes:
    """Of 32 bits, the same in both dialects; OverflowError for more."""
    if -0x10 <= value <= 0x2F:
        return bytes((0x90 + value,))
    if -0x800 <= value <= 0x7FF:
        return (0xC800 + value).to_bytes(2, "big")
    if -0x40000 <= value <= 0x3FFFF:
        return (0xD40000 + value).to_bytes(3, "big")
    return b"I" + value.to_bytes(4, "big", signed=True)
