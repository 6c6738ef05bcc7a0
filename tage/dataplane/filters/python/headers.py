"""`Headers`: the headers of one head as they will go on, as a mutable mapping without regard to case.

Nothing is decoded that nobody asks for: a look-up compares bytes where they arrived and makes one string, a change is
a line in the head's `HeaderEdits`. Texts are Latin-1, as HTTP has it (RFC 9110, 5.5): every byte has a character.
"""

from collections.abc import Iterable, Iterator

import cython

from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.protocols.message import HeaderBlock, RequestHead

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.edits import line_value, protected
    from tage.dataplane.protocols.message import HOST

_KNOWN: dict[str, bytes] = {}
"""Names as they were asked for -> as heads are compared with: a filter asks for the same few each time."""
_MAX_KNOWN = cython.declare(cython.Py_ssize_t, 1024)
_MAX_NAME = cython.declare(cython.Py_ssize_t, 256)
_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
_MISSING = object()


class Headers:
    """`request` is the head of which these are the headers, None for an answer's: its Host is its authority.

    Each name stands once in it; where a head has several lines of a name its value is all of them, joined by ",", and
    `getall` has them one by one (Set-Cookie). Framing and hop-by-hop headers are the connection's: they can be
    neither set nor removed, `ValueError`.
    """

    def __init__(self, block: HeaderBlock, edits: HeaderEdits, request: RequestHead | None = None) -> None:
        self._block = block
        self._edits = edits
        self._request = request

    def get(self, name: str, default: str | None = None) -> str | None:
        found: bytes = self._value(header_name(name))
        return default if found is None else found.decode("latin-1")

    def getall(self, name: str) -> list[str]:
        """One text for each line of that name; empty where there is none."""
        wanted: bytes = header_name(name)
        if wanted == b"host":
            found: bytes = self._value(wanted)
            return [] if found is None else [found.decode("latin-1")]
        return [value.decode("latin-1") for key, value in self._lines() if key == wanted]

    def set(self, name: str, value: str) -> None:
        """In place of all lines of that name. Raises `ValueError` for what cannot stand in a head."""
        self[name] = value

    def add(self, name: str, value: str) -> None:
        """One line more."""
        key: bytes = self._writable(name)
        if key == b"host":
            raise ValueError("a request has one host: set it")
        self._edits.add(key, header_value(value))

    def __getitem__(self, name: str) -> str:
        found: bytes = self._value(header_name(name))
        if found is None:
            raise KeyError(name)
        return found.decode("latin-1")

    def __setitem__(self, name: str, value: str) -> None:
        key: bytes = self._writable(name)
        text: bytes = header_value(value)
        if key == b"host":
            self._edits.authority = text
        elif self._request is None or self._stands(key):
            self._edits.put(key, text)  # an answer of Tage's own has headers that are not here
        else:
            self._edits.add(key, text)

    def __delitem__(self, name: str) -> None:
        """All lines of that name. Raises `KeyError` where there is none."""
        key: bytes = self._writable(name)
        if self._value(key) is None:
            raise KeyError(name)
        if key == b"host":
            raise ValueError("a request has a host: it cannot be removed")
        self._edits.remove(key)

    def pop(self, name: str, default: str | None = None) -> str | None:
        """Removes the header and gives its value."""
        key: bytes = self._writable(name)
        if key == b"host":
            raise ValueError("a request has a host: it cannot be removed")
        found: bytes = self._value(key)
        if found is None:
            return default
        self._edits.remove(key)
        return found.decode("latin-1")

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._value(header_name(name)) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def keys(self) -> list[str]:
        """Names in lower case, in the order in which they go on."""
        return [name.decode("latin-1") for name in dict.fromkeys([name for name, _ in self._lines()])]

    def values(self) -> list[str]:
        return [value for _, value in self.items()]

    def items(self) -> list[tuple[str, str]]:
        return [(name, self[name]) for name in self.keys()]

    def update(self, other: dict[str, str] | Iterable[tuple[str, str]]) -> None:
        """`set` for each."""
        for name, value in dict(other).items():
            self[name] = value

    def __repr__(self) -> str:
        return f"Headers({self.items()!r})" if self._block is not None else "Headers(of a request that is over)"

    def close(self):
        """The head is another's from now on."""
        self._block = None
        self._edits = None
        self._request = None

    def _open(self):
        if self._block is None:
            raise RuntimeError("the request is over: keep what you need of its headers, not the headers")

    def _value(self, name):
        if self._block is None:
            self._open()
        if self._request is not None and len(name) == 4 and name == b"host":
            return self._request.authority if self._edits.authority is None else self._edits.authority
        return self._edits.value(self._block, name)

    def _stands(self, name):
        """Whether there is a line of that name, come or added: if there is none, none has to be left behind."""
        i: cython.Py_ssize_t
        block: HeaderBlock = self._block
        for i in range(block.count):
            if block.name_is(i, name):
                return True
        return line_value(self._edits.extra, name) is not None

    def _writable(self, name):
        """The name, if it may be written."""
        key: bytes = header_name(name)
        if self._block is None:
            self._open()
        if protected(key) and (self._request is None or key != b"host"):
            raise ValueError(f"{name!r} is the connection's own: it can be neither set nor removed")
        return key

    def _lines(self):
        """(name, value) for each line, as they go on."""
        i: cython.Py_ssize_t
        found: list = []
        block: HeaderBlock = self._block
        self._open()
        if self._request is not None:
            found.append((b"host", self._value(b"host")))
        for i in range(block.count):
            if not self._edits.leaves(block, i) and (self._request is None or block.kind[i] != HOST):
                name: bytes = block.raw[block.name_start[i] : block.name_end[i]]
                found.append((name.lower(), block.value(i)))
        for line in self._edits.extra.splitlines():
            added, _, value = line.partition(b": ")
            found.append((added, value))
        return found


def headers_of(block, edits, request):
    """`Headers`, made without a Python call."""
    made: Headers = Headers.__new__(Headers) if cython.compiled else Headers(block, edits, request)
    made._block = block
    made._edits = edits
    made._request = request
    return made


def header_name(name):
    """In lower case, as bytes. Raises `ValueError` for what is no header's name (RFC 9110, 5.1)."""
    known: object = _KNOWN.get(name)
    if known is not None:
        return known
    if not isinstance(name, str):
        raise TypeError(f"a header's name is a str, not {type(name).__name__}")
    found: bytes = name.encode("latin-1", "replace").lower()
    if not found or len(found) > _MAX_NAME or not _TOKEN.issuperset(found):
        raise ValueError(f"{name!r} is not a header's name")
    if len(_KNOWN) >= _MAX_KNOWN:
        _KNOWN.clear()
    _KNOWN[name] = found
    return found


def header_value(value):
    """As bytes. Raises `ValueError` for what cannot stand in a head (RFC 9110, 5.5)."""
    i: cython.Py_ssize_t
    size: cython.Py_ssize_t
    found: bytes
    text: str
    p: cython.p_uchar
    if type(value) is not str:
        if not isinstance(value, str):
            raise TypeError(f"a header's value is a str, not {type(value).__name__}")
        value = str(value)
    text = value
    try:
        found = text.encode("latin-1")  # of a known type: without looking up the codec
    except UnicodeEncodeError:
        raise ValueError(f"the value {value!r} has characters that a header cannot hold (only Latin-1)") from None
    p = found
    size = len(found)
    for i in range(size):
        if (p[i] < 32 and p[i] != 9) or p[i] == 127:
            raise ValueError(f"the value {value!r} has control characters")
    if size > 0 and (p[0] == 32 or p[0] == 9 or p[size - 1] == 32 or p[size - 1] == 9):
        return found.strip(b" \t")
    return found
