"""What a request is asked: strings, headers, query parameters. The same matchers decide and explain.

Nothing is copied for a comparison that can be made where the header arrived: a `HeaderBlock` has the positions.
"""

import cython

from tage.dataplane.routing.regex import Regex, compile_regex

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane import native
    from tage.dataplane.protocols.edits import line_value
    from tage.dataplane.protocols.message import same

    PRESENT = 0
    EXACT = 1
    PREFIX = 2
    SUFFIX = 3
    CONTAINS = 4
    REGEX = 5
    SEPARATED_PREFIX = 6
    NONE = 0
    METHOD = 1
    AUTHORITY = 2
    PATH = 3
    SCHEME = 4
    UNKNOWN = 5

_KINDS = {
    "present": PRESENT,
    "exact": EXACT,
    "prefix": PREFIX,
    "suffix": SUFFIX,
    "contains": CONTAINS,
    "regex": REGEX,
    "separated_prefix": SEPARATED_PREFIX,
}
_WORDS = {
    PRESENT: "is there",
    EXACT: "is {}",
    PREFIX: "begins with {}",
    SUFFIX: "ends with {}",
    CONTAINS: "contains {}",
    REGEX: "matches the expression {}",
    SEPARATED_PREFIX: "is {} or below it",
}
# Envoy's legacy name of :authority is host: the two are one.
_PSEUDO = {b":method": METHOD, b":authority": AUTHORITY, b"host": AUTHORITY, b":path": PATH, b":scheme": SCHEME}
_NAMES = {METHOD: "method", AUTHORITY: "host", PATH: "path with query", SCHEME: "scheme"}
_MAX_SHOWN = 200


def shown(text: bytes | None) -> str:
    """A value in the user's words."""
    if text is None:
        return "absent"
    cut = text[:_MAX_SHOWN].decode("utf-8", "backslashreplace")
    return f"'{cut}'" if len(text) <= _MAX_SHOWN else f"'{cut}...'"


class StringMatcher:
    """envoy.type.matcher.v3.StringMatcher; PRESENT matches everything that is there, SEPARATED_PREFIX is a path or what
    is below it (RouteMatch.path_separated_prefix). Case, where it is ignored, is that of ASCII."""

    def __init__(self, kind: str, value: bytes = b"", ignore_case: cython.bint = False) -> None:
        """`kind` is present, exact, prefix, suffix, contains, regex or separated_prefix. Raises ValueError for a bad
        expression."""
        self.kind = _KINDS[kind]
        self.ignore_case = ignore_case
        self.value = value.lower() if ignore_case and kind != "regex" else value
        self._regex = compile_regex(value, ignore_case) if kind == "regex" else None

    def matches(self, text):
        return self.within(text, 0, len(text))

    def within(self, data, start, end):
        """Of data[start:end], which lies in it."""
        kind: cython.int = self.kind
        size: cython.Py_ssize_t = len(self.value)
        there: cython.Py_ssize_t = end - start
        p: cython.p_uchar = data
        if kind == PRESENT:
            return True
        if kind == REGEX:
            regex: Regex = self._regex
            size = len(regex.prefix)
            if there < size or not native.equal(p, start, regex.prefix, size):
                return False
            return regex.matches(data if there == len(data) else p[start:end])
        if there < size:
            return False
        if kind == EXACT:
            return there == size and self._at(data, start)
        if kind == PREFIX:
            return self._at(data, start)
        if kind == SUFFIX:
            return self._at(data, end - size)
        if kind == SEPARATED_PREFIX:
            return self._at(data, start) and (there == size or p[start + size] == 47)
        while start + size <= end:
            if self._at(data, start):
                return True
            start += 1
        return False

    def _at(self, data, start):
        """Whether the value stands there; the caller has looked that there is room for it."""
        if self.ignore_case:
            return same(data, start, len(self.value), self.value)
        return native.equal(data, start, self.value, len(self.value))

    def literal_prefix(self) -> bytes:
        """Of an expression: what all texts begin with that match it, b"": that cannot be told."""
        regex: Regex = self._regex
        return regex.prefix if regex is not None else b""

    def describe(self) -> str:
        """The condition, in the user's words."""
        return _WORDS[self.kind].format(f"'{self.value.decode('utf-8', 'backslashreplace')}'") + (
            " (case ignored)" if self.ignore_case else ""
        )


class HeaderMatcher:
    """envoy.config.route.v3.HeaderMatcher. Of several lines of the name one that matches is enough, and enough for an
    inverted matcher not to: joined, they could hide a value that is to be kept out (GHSA-ghc4-35x6-crw5).

    A header that is absent matches nothing, inverted or not, unless it counts as empty (`missing_is_empty`); but where
    only presence is asked for (`value` of kind PRESENT), inverting asks for its absence. `range` is (start, end): the
    value is a whole number from start up to, not including, end.
    """

    def __init__(
        self,
        name: bytes,
        value: StringMatcher,
        invert: cython.bint = False,
        missing_is_empty: cython.bint = False,
        range: tuple | None = None,
    ) -> None:
        self.name = name
        self.value = value
        self.invert = invert
        self.missing_is_empty = missing_is_empty
        self.range = range
        self._pseudo = _PSEUDO.get(name, UNKNOWN if name.startswith(b":") else NONE)
        self._first = name[0] | 32 if name else -1

    def matches(self, head):
        return self._judge(self._text(head)) if self._pseudo else self.matches_block(head.block)

    def matches_block(self, block):
        """Of the headers of a request or an answer."""
        i: cython.Py_ssize_t
        found: cython.bint = False
        start: cython.Py_ssize_t
        size: cython.Py_ssize_t = len(self.name)
        p: cython.p_uchar = block.raw
        for i in range(block.count):
            start = block.name_start[i]
            # Length and first letter tell most names apart.
            if block.name_end[i] - start == size and (p[start] | 32) == self._first and same(p, start, size, self.name):
                if self._holds(block, i):
                    return not self.invert
                found = True
        return self.invert if found else self._judge(None)

    def _holds(self, block, i):
        """For the line `i`, invert aside."""
        if self.range is not None:
            return _within(block.value(i), self.range)
        return self.value.within(block.raw, block.value_start[i], block.value_end[i])

    def _text(self, head):
        if self._pseudo == METHOD:
            return head.method
        if self._pseudo == AUTHORITY:
            return head.authority
        if self._pseudo == PATH:
            return head.path
        if self._pseudo == SCHEME:
            return head.scheme
        return None if self._pseudo == UNKNOWN else head.block.get(self.name)

    def _judge(self, text):
        if text is None:
            if not self.missing_is_empty:
                return self.invert and self.value.kind == PRESENT and self.range is None
            text = b""
        if self.range is not None:
            return _within(text, self.range) != self.invert
        return self.value.matches(text) != self.invert

    def mismatch(self, head) -> str:
        """"" where it matches, else why not, in the user's words."""
        return "" if self.matches(head) else f"{self.describe()}; it is {shown(self._text(head))}"

    def describe(self) -> str:
        """The condition, in the user's words."""
        name = _NAMES.get(self._pseudo) or f"header {self.name.decode('utf-8', 'backslashreplace')}"
        if self.range is not None:
            wanted = f"is a whole number from {self.range[0]} to {self.range[1] - 1}"
        else:
            wanted = self.value.describe()
        return f"{name} {'not: ' if self.invert else ''}{wanted}"


def _within(text: bytes, range: tuple) -> bool:
    number = _whole_number(text)
    return number is not None and range[0] <= number < range[1]


def _whole_number(text: bytes):
    """As absl::SimpleAtoi, of 64 bits; None where it is none."""
    digits = text.strip(b" \t\n\r\v\f")
    if not digits[digits[:1] in (b"+", b"-") :].isdigit() or len(digits) > 20:
        return None
    number = int(digits)
    return number if -(1 << 63) <= number < 1 << 63 else None


class QueryMatcher:
    """envoy.config.route.v3.QueryParameterMatcher: the first parameter of that name, as it came (per cent signs are not
    decoded). `value` None asks only for presence, or, with `absent`, for absence."""

    def __init__(self, name: bytes, value: StringMatcher | None = None, absent: cython.bint = False) -> None:
        self.name = name
        self.value = value
        self.absent = absent

    def matches(self, path):
        """`path` with its query."""
        found: bytes = query_value(path, self.name)
        if found is None:
            return self.absent
        return not self.absent if self.value is None else self.value.matches(found)

    def mismatch(self, path: bytes) -> str:
        """"" where it matches, else why not, in the user's words."""
        return "" if self.matches(path) else f"{self.describe()}; it is {shown(query_value(path, self.name))}"

    def describe(self) -> str:
        """The condition, in the user's words."""
        name = self.name.decode("utf-8", "backslashreplace")
        wanted = self.value.describe() if self.value is not None else "is absent" if self.absent else "is there"
        return f"query parameter {name} {wanted}"


def first_value(head, edits, name):
    """The header's value, the first of several, as the request came or with the edits made since (None: none);
    pseudo-headers by `:name`. None where it is absent. `name` in lower case."""
    i: cython.Py_ssize_t
    pseudo: cython.int = _PSEUDO.get(name, NONE)
    if pseudo == METHOD:
        return head.method if edits is None or edits.method is None else edits.method
    if pseudo == AUTHORITY:
        return head.authority if edits is None or edits.authority is None else edits.authority
    if pseudo == PATH:
        return head.path if edits is None or edits.path is None else edits.path
    if pseudo == SCHEME:
        return head.scheme
    for i in range(head.block.count):
        if head.block.name_is(i, name) and (edits is None or not edits.leaves(head.block, i)):
            return head.block.value(i)
    return None if edits is None else line_value(edits.extra, name)


def query_start(path):
    """Where the query of a path begins, at its question mark; the path's length where it has none."""
    at: cython.Py_ssize_t = native.find_byte(path, 0, len(path), 63)
    return len(path) if at < 0 else at


def query_value(path, name):
    """The value of the first query parameter of that name, b"" where it has none, None where it is absent."""
    at: cython.Py_ssize_t = query_start(path) + 1
    end: cython.Py_ssize_t = len(path)
    size: cython.Py_ssize_t = len(name)
    stop: cython.Py_ssize_t
    p: cython.p_uchar = path
    while at < end:
        stop = native.find_byte(p, at, end, 38)
        if stop < 0:
            stop = end
        if stop - at >= size and native.equal(p, at, name, size):
            if stop - at == size:
                return b""
            if p[at + size] == 61:
                return p[at + size + 1 : stop]
        at = stop + 1
    return None
