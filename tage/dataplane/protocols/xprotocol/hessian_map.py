"""Hessian maps of strings to strings, with whatever else is in them: read to be shown, and written with other strings.

An entry whose key or value is no string is not shown and always stays: it may hold the class of an object that comes
after it. A string for such a key is written behind it, and counts, for who reads the map keeps the last. Entries that
are not changed stay byte for byte. References count objects, lists and maps, not strings: they lead where they did.
"""

import cython

from tage.dataplane.protocols.xprotocol.hessian_text import encode_string

if not cython.compiled:
    # Compiled, this name comes from the .pxd.
    from tage.dataplane.protocols.xprotocol.hessian import HessianReader


class StringMap:
    """The map (or null) at which the reader stands, data[start:end]; goes past it. ValueError: it is malformed, or
    something else."""

    def __init__(self, reader: HessianReader) -> None:
        self.strings = {}
        self.start = reader.at
        self._data = reader.data
        self._entries = []
        self._opening = b""
        if not reader.null():
            if not reader.enter_map():
                raise ValueError(reader.error)
            self._opening = reader.data[self.start : reader.at]
            while not reader.leave():
                self._entry(reader)
        self.end = reader.at

    def _entry(self, reader):
        start: cython.Py_ssize_t = reader.at
        key: bytes = reader.text()
        if key is None and not reader.skip():
            raise ValueError(reader.error)
        value: bytes = reader.text()
        if value is None and not reader.skip():
            raise ValueError(reader.error)
        if key is None or value is None:
            key = None
        else:
            self.strings[key] = value
        self._entries.append((start, reader.at, key, value))

    def written(self, wanted: dict, final: bool = True) -> bytes:
        """With exactly these strings (UTF-8)."""
        rest: dict = dict(wanted)
        parts: list = [self._opening or (b"H" if final else b"M")]
        for start, end, key, value in self._entries:
            new: bytes = rest.pop(key, None)
            if key is None or new == value:
                parts.append(self._data[start:end])
            elif new is not None:
                parts += (encode_string(key, final), encode_string(new, final))
        parts += [encode_string(text, final) for item in rest.items() for text in item]
        parts.append(b"Z" if final else b"z")
        return b"".join(parts)
