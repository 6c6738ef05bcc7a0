"""What routes add to heads, replace in them and take away: HeaderValueOption and headers to remove.

What is constant is made once, whole lines of it. Values may have the operators of access logs; a value that is not
there is empty then, and a header whose value is empty is not added, unless it says so.
"""

import cython

from tage.dataplane.protocols.edits import protected
from tage.dataplane.telemetry.access_log import operators
from tage.dataplane.telemetry.access_log.operators import Operator

if not cython.compiled:
    # Compiled, these are the members of the enumeration in the .pxd.
    APPEND = 0
    ADD_IF_ABSENT = 1
    OVERWRITE = 2
    OVERWRITE_OR_ADD = 3

_ACTIONS = {
    "append": APPEND,
    "add_if_absent": ADD_IF_ABSENT,
    "overwrite": OVERWRITE,
    "overwrite_or_add": OVERWRITE_OR_ADD,
}
_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")


def check_name(name: bytes) -> None:
    """Raises ValueError for a header that rules must not touch, or that is none. `name` in lower case."""
    if not name or not _TOKEN.issuperset(name.removeprefix(b":")):
        raise ValueError(f"'{name.decode('utf-8', 'backslashreplace')}' is not a header's name")
    if protected(name):
        raise ValueError(
            f"'{name.decode()}' cannot be changed here: it belongs to the connection, the path or the authority"
        )


class HeaderMutation:
    """One header. Source: envoy.config.core.v3.HeaderValueOption; `action` is append (a further line), add_if_absent,
    overwrite (if it is there) or overwrite_or_add."""

    def __init__(
        self, name: bytes, value: str, action: str = "append", keep_empty: cython.bint = False
    ) -> None:
        """Raises ValueError for a name or value that cannot be a header's."""
        check_name(name)
        if any((ord(c) < 32 and c != "\t") or ord(c) == 127 for c in value):
            raise ValueError("a header's value must not contain control characters")
        self.name = name
        self.action = _ACTIONS[action]
        self.keep_empty = keep_empty
        parsed = operators.parse(value)
        self._parts = [part.encode() if isinstance(part, str) else part for part in parsed]
        self._constant = None
        self._line = None
        if all(isinstance(part, str) for part in parsed):
            self._constant = "".join([str(part) for part in parsed]).encode()
            self._line = name + b": " + self._constant + b"\r\n" if self._constant or keep_empty else None

    @property
    def constant(self) -> bool:
        return self._constant is not None

    def line(self, record):
        """The whole line, or None where the value is empty and that is not kept. `record` is not looked at where the
        value is constant."""
        if self._constant is not None:
            return self._line
        out = []
        for part in self._parts:
            if type(part) is bytes:
                out.append(part)
            else:
                operator: Operator = part
                value = operator.value(record)
                if type(value) is bytes:
                    out.append(_clean(value))
                elif value is not None:
                    out.append(_clean(str(value).encode()))
        text: bytes = b"".join(out).strip(b" \t")
        return self.name + b": " + text + b"\r\n" if text or self.keep_empty else None


def _clean(value):
    """What a peer's certificate says may hold anything; in a head a line's end would begin another header."""
    i: cython.Py_ssize_t
    p: cython.p_uchar = value
    for i in range(len(value)):
        if (p[i] < 32 and p[i] != 9) or p[i] == 127:
            return b"".join([b"\\x%02X" % c if c < 32 or c == 127 else b"%c" % c for c in value])
    return value


class MutationSet:
    """Those of one level: first what is removed, then all values are made, then they are put in, replacing ones
    first."""

    def __init__(self, mutations: list, removed: list) -> None:
        """`removed`: names in lower case. Raises ValueError for one that may not be."""
        for name in removed:
            check_name(name)
        self.mutations = mutations
        self.removed = removed
        self._names = removed
        self._lines = None
        if all(each.constant and each.action in (APPEND, OVERWRITE_OR_ADD) for each in mutations):
            self._prepare()

    def _prepare(self):
        """What is there before makes no difference: names to remove, and lines to add, at once."""
        mutation: HeaderMutation
        line: bytes
        replaced: dict = {}
        added: list = []
        for mutation in self.mutations:
            line = mutation.line(None)
            if line is not None:
                if mutation.action == APPEND:
                    added.append(line)
                else:
                    replaced[mutation.name] = line
        self._names = self.removed + [name for name in replaced if name not in self.removed]
        self._lines = b"".join([*replaced.values(), *added])

    def _apply(self, edits, block, record):
        mutation: HeaderMutation
        line: bytes
        name: bytes
        added: bytes = b""
        for name in self._names:
            edits.remove(name)
        if self._lines is not None:
            edits.extra += self._lines
            return
        replacing: list = []
        for mutation in self.mutations:
            line = mutation.line(record)
            if line is None:
                continue
            if mutation.action == APPEND:
                added += line
            elif mutation.action == OVERWRITE_OR_ADD:
                replacing.append((mutation.name, line))
            elif (edits.value(block, mutation.name) is None) == (mutation.action == ADD_IF_ABSENT):
                if mutation.action == OVERWRITE:
                    replacing.append((mutation.name, line))
                else:
                    added += line
        for name, line in replacing:
            edits.remove(name)
            edits.extra += line
        edits.extra += added


class HeaderMutations:
    """Sets in the order in which they are applied. `constant`: no value depends on the request, so that `apply` needs
    no record."""

    def __init__(self, sets: list) -> None:
        self.sets = sets
        self.constant = all(mutation.constant for each in sets for mutation in each.mutations)

    def apply(self, edits, block, record):
        """Adds to `edits`, of a head with the headers `block`. `record` gives the operators their values; it may be
        None where all is constant."""
        each: MutationSet
        for each in self.sets:
            each._apply(edits, block, record)
