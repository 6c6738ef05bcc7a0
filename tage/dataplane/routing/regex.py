"""Configured patterns, which run on RE2, over bytes; and rewriting by them."""

import cython

_PREFIX = 64  # bytes that are looked at


def _literal_prefix(compiled) -> bytes:
    """With what all that matches begins, as far as RE2 can tell: what the bounds of the possible matches share."""
    import re2

    try:
        low, high = compiled.possiblematchrange(_PREFIX)
    except re2.error:
        return b""
    size = 0
    while size < min(len(low), len(high)) and low[size] == high[size]:
        size += 1
    return low[:size]


class Regex:
    """Made by `compile_regex`. `prefix`: a text that does not begin with it need not be tried."""

    def __init__(self, compiled, anchors) -> None:
        # The package's own Python code makes a generator and a match object each time; what is below it does the work.
        self._match = compiled._regexp.Match
        self._whole = anchors.ANCHOR_BOTH
        self._anywhere = anchors.UNANCHORED
        self.groups = compiled.groups
        self.prefix = _literal_prefix(compiled)

    def matches(self, text):
        """Whether the whole of it matches."""
        return self._match(self._whole, text, 0, len(text))[0][0] >= 0

    def find(self, text, start):
        """The spans of the first match at or after `start`: the whole, then the groups; (-1, -1) for what has none."""
        return self._match(self._anywhere, text, start, len(text))


def compile_regex(pattern: bytes, ignore_case: bool = False) -> Regex:
    """Raises ValueError with RE2's reason."""
    import re2  # here, for a worker without such routes need not carry it

    options = re2.Options()
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1
    options.case_sensitive = not ignore_case
    try:
        return Regex(re2.compile(pattern, options), re2._Anchor)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"not a valid RE2 expression: {text}") from None


class RegexRewrite:
    """envoy.type.matcher.v3.RegexMatchAndSubstitute: every match that does not overlap one before it is replaced.
    ``\\1`` in the substitution is the first group, ``\\0`` the match, ``\\\\`` a backslash."""

    def __init__(self, pattern: bytes, substitution: bytes) -> None:
        """Raises ValueError for a bad expression, and for a substitution that asks for what the pattern has not."""
        self.pattern = pattern
        self.substitution = substitution
        self._regex = compile_regex(pattern)
        self._parts = _parse(substitution, self._regex.groups)

    def replace(self, text):
        out = []
        at: cython.Py_ssize_t = 0
        end: cython.Py_ssize_t = len(text)
        last: cython.Py_ssize_t = -1
        while at <= end:
            spans = self._regex.find(text, at)
            begin: cython.Py_ssize_t = spans[0][0]
            stop: cython.Py_ssize_t = spans[0][1]
            if begin < 0:
                break
            if begin == stop == last:
                # An empty match right behind another is none, as in RE2::GlobalReplace.
                out.append(text[at : at + 1])
                at += 1
                continue
            out.append(text[at:begin])
            for part in self._parts:
                out.append(part if type(part) is bytes else text[max(spans[part][0], 0) : max(spans[part][1], 0)])
            at = last = stop
        out.append(text[at:])
        return b"".join(out)


def _parse(substitution: bytes, groups: int) -> list:
    """Literals, and groups as numbers."""
    parts: list = []
    literal = b""
    at = 0
    while at < len(substitution):
        if substitution[at : at + 1] != b"\\":
            literal += substitution[at : at + 1]
            at += 1
            continue
        what = substitution[at + 1 : at + 2]
        if what == b"\\":
            literal += what
        elif what.isdigit():
            if int(what) > groups:
                raise ValueError(f"the substitution asks for group {int(what)}; the expression has {groups}")
            if literal:
                parts.append(literal)
                literal = b""
            parts.append(int(what))
        else:
            raise ValueError("a \\ in a substitution is followed by a digit or another \\")
        at += 2
    if literal:
        parts.append(literal)
    return parts
