"""Hessian 2, read without making objects of it: a cursor over the values of one stream.

Two dialects are about, which differ in their tags:

    FINAL   Hessian 2 as published (hessian.caucho.com/doc/hessian-serialization.html): Dubbo's hessian-lite and
            sofa-hessian 4.x; objects `C`, `O`, 60-6f, lists 55-58 and 70-7f, containers end with `Z`
    DRAFT   what was there before: SOFARPC's sofa-hessian 3.x; objects `O` and `o`, lists `V` and `v`, end mark `z`

`HessianReader.skip` goes past one value, whatever it is. It keeps a stack of its own in place of recursion: an entry is
how many values its container still holds, or that only the end mark tells. A container whose last value is itself a
container leaves the stack before that one is entered, so that a chain of objects of any length takes one entry. Each
value takes a byte at least: a list or an object that says it holds more values than there are bytes left is refused
before any of them is looked at, and what skipping costs is bounded by the bytes there are.

References (51, `R`) are one value and never followed.
"""

from enum import IntEnum

import cython

if not cython.compiled:
    # Compiled, the .pxd has the enumeration and the functions.
    from tage.dataplane.protocols.xprotocol.hessian_text import chunks_end, string_end, string_text, units_end

    DRAFT = 0
    FINAL = 1
    Dialect = IntEnum("Dialect", {"DRAFT": 0, "FINAL": 1})

MAX_DEPTH = 4096
"""Containers within each other."""
MAX_CLASSES = 1024
"""Class definitions in one stream."""

# What a tag is: 0 to 8 are that many bytes of a value of fixed size. One table a dialect.
_STRING = cython.declare(cython.int, 10)
_BINARY = cython.declare(cython.int, 11)
_LIST = cython.declare(cython.int, 12)  # until the end mark
_TYPED_LIST = cython.declare(cython.int, 13)
_SIZED_LIST = cython.declare(cython.int, 14)  # an int says how many
_SIZED_TYPED_LIST = cython.declare(cython.int, 15)
_SHORT_LIST = cython.declare(cython.int, 16)  # the tag says how many
_SHORT_TYPED_LIST = cython.declare(cython.int, 17)
_DRAFT_LIST = cython.declare(cython.int, 18)  # type and length may be missing; until the end mark all the same
_MAP = cython.declare(cython.int, 19)
_TYPED_MAP = cython.declare(cython.int, 20)
_CLASS = cython.declare(cython.int, 21)
_OBJECT = cython.declare(cython.int, 22)  # an int says of which class
_SHORT_OBJECT = cython.declare(cython.int, 23)  # the tag says it
_INT_FOLLOWS = cython.declare(cython.int, 24)  # a reference
_REMOTE = cython.declare(cython.int, 25)
_REF_LIST = cython.declare(cython.int, 26)  # ints say of which type and how many
_UNKNOWN = cython.declare(cython.int, 255)

# What `left` is where it is not a number of values.
_UNTIL_END = cython.declare(cython.int, -1)
_KEYS = cython.declare(cython.int, -2)  # of a map: a key or the end mark comes
_VALUE = cython.declare(cython.int, -3)
_FAILED = cython.declare(cython.int, -4)


def _table(*entries: tuple[int, int, int]) -> bytes:
    table = [255] * 256
    for first, last, what in entries:
        table[first : last + 1] = [what] * (last + 1 - first)
    return bytes(table)


_COMMON = (
    (0x00, 0x1F, 10), (0x20, 0x2F, 11), (0x38, 0x3F, 2), (0x42, 0x42, 11), (0x44, 0x44, 8), (0x46, 0x46, 0),
    (0x49, 0x49, 4), (0x4C, 0x4C, 8), (0x4D, 0x4D, 20), (0x4E, 0x4E, 0), (0x53, 0x53, 10), (0x54, 0x54, 0),
    (0x80, 0xBF, 0), (0xC0, 0xCF, 1), (0xD0, 0xD7, 2), (0xD8, 0xEF, 0), (0xF0, 0xFF, 1),
)  # fmt: skip
_FINAL_TAGS = cython.declare(bytes, _table(
    *_COMMON,
    (0x30, 0x33, 10), (0x34, 0x37, 11), (0x41, 0x41, 11), (0x43, 0x43, 21), (0x48, 0x48, 19), (0x4A, 0x4A, 8),
    (0x4B, 0x4B, 4), (0x4F, 0x4F, 22), (0x51, 0x51, 24), (0x52, 0x52, 10), (0x55, 0x55, 13), (0x56, 0x56, 15),
    (0x57, 0x57, 12), (0x58, 0x58, 14), (0x59, 0x59, 4), (0x5B, 0x5C, 0), (0x5D, 0x5D, 1), (0x5E, 0x5E, 2),
    (0x5F, 0x5F, 4), (0x60, 0x6F, 23), (0x70, 0x77, 17), (0x78, 0x7F, 16),
))  # fmt: skip
_DRAFT_TAGS = cython.declare(bytes, _table(
    *_COMMON,
    (0x4A, 0x4A, 1), (0x4B, 0x4B, 2), (0x4F, 0x4F, 21), (0x52, 0x52, 4), (0x56, 0x56, 18), (0x58, 0x58, 10),
    (0x62, 0x62, 11), (0x64, 0x64, 8), (0x67, 0x68, 0), (0x69, 0x69, 1), (0x6A, 0x6A, 2), (0x6B, 0x6B, 4),
    (0x6F, 0x6F, 22), (0x72, 0x72, 25), (0x73, 0x73, 10), (0x76, 0x76, 26), (0x77, 0x77, 4), (0x78, 0x78, 10),
))  # fmt: skip


class HessianReader:
    """A cursor: `at` is where the next value begins. A method that cannot do what it says answers so and leaves `at`
    where it was; `error` then says why, in the words of a log. One is used for frame after frame; it holds `data` until
    the next `open`."""

    def __init__(self) -> None:
        self.data = b""
        self.at = 0
        self.error = ""
        self._end = 0
        self._final = True
        self._classes = 0
        if not cython.compiled:
            self._stack = [0] * MAX_DEPTH
            self._fields = [0] * MAX_CLASSES
            self._names = [0] * MAX_CLASSES

    def open(self, data, start, end, dialect):
        """A stream of values, data[start:end]; IndexError where that does not lie in it."""
        if start < 0 or end < start or end > len(data):
            raise IndexError("range out of data")
        self.data = data
        self.at = start
        self.error = ""
        self._end = end
        self._final = dialect == FINAL
        self._classes = 0

    def skip(self):
        """Goes past one value, whatever it is."""
        start: cython.Py_ssize_t = self.at
        classes: cython.Py_ssize_t = self._classes
        if self._walk():
            return True
        self.at = start
        self._classes = classes
        return False

    def skip_string(self):
        """Goes past a string or null."""
        at: cython.Py_ssize_t = string_end(self.data, self.at, self._end, self._final)
        if at < 0:
            return self._fail("a string was expected")
        self.at = at
        return True

    def text(self):
        """The string that stands here, in UTF-8, and goes past it; None where something else does."""
        p: cython.p_uchar = self.data
        at: cython.Py_ssize_t = string_end(p, self.at, self._end, self._final)
        if at < 0 or p[self.at] == 78:  # "N"
            self._fail("a string was expected")
            return None
        found: bytes = string_text(self.data, self.at, at)
        self.at = at
        return found

    def span(self, what: str) -> tuple[int, int, bytes | None]:
        """Goes past the string or null that stands here: (start, end, its text, None: null). ValueError: something else
        does, and `what` was expected."""
        start: cython.Py_ssize_t = self.at
        found: bytes = self.text()
        if found is None and not self.skip_string():
            raise ValueError(f"{what}: {self.error}")
        return (start, self.at, found)

    def go_past(self, values: int, what: str) -> None:
        """Goes past so many values, `what`. ValueError: they are malformed, or not all there."""
        count: cython.longlong = values
        while count > 0:
            if not self.skip():
                raise ValueError(f"{what}: {self.error}")
            count -= 1

    def null(self):
        """Whether null stands here; goes past it."""
        p: cython.p_uchar = self.data
        if self.at < self._end and p[self.at] == 78:  # "N"
            self.at += 1
            return True
        return False

    def number(self):
        """The int that stands here, and goes past it; -1 where something else does or it is negative."""
        at: cython.Py_ssize_t = self.at
        value: cython.longlong = self._int()
        if value < 0:
            self.at = at
            self._fail("a number was expected")
            return -1
        return value

    def enter_map(self):
        """Goes past the beginning of a map, to its first key."""
        p: cython.p_uchar = self.data
        start: cython.Py_ssize_t = self.at
        if start < self._end and (p[start] == 77 or (p[start] == 72 and self._final)):  # "M", "H"
            self.at = start + 1
            if p[start] == 72 or self._type():
                return True
        self.at = start
        return self._fail("a map was expected")

    def leave(self):
        """Whether the end mark of a map or list stands here; goes past it."""
        p: cython.p_uchar = self.data
        if self.at < self._end and p[self.at] == (90 if self._final else 122):  # "Z", "z"
            self.at += 1
            return True
        return False

    def field(self, data, start, end, name):
        """The text in the field `name` of the object (or map) at `start`, in UTF-8; None where there is no such object,
        field or text. The object's first byte tells the dialect. What follows `end` is not looked at. `at` is where the
        text ends."""
        p: cython.p_uchar = data
        found: bytes = None
        self.open(data, start, end, FINAL)
        if start == end:
            return None
        if p[start] == 79 or (p[start] == 77 and end - start > 1 and p[start + 1] == 116):  # "O"; "M" "t"
            self._final = False
        if p[start] == 77 or p[start] == 72:
            found = self._entry(name)
        elif self._object():
            found = self._field(name)
        if found is None:
            self.at = self._end  # there is nothing more to be read
        return found

    def _field(self, name):
        """Of the object whose first field stands here."""
        values: cython.Py_ssize_t = self.at
        index: cython.longlong = 0
        self.at = self._names[self._index]
        while index < self._fields[self._index] and self.text() != name:
            index += 1
        if index == self._fields[self._index]:
            return None
        self.at = values
        while index > 0:
            if not self.skip():
                return None
            index -= 1
        return self.text()

    def _entry(self, name):
        """`field` of a map."""
        key: bytes
        if not self.enter_map():
            return None
        while not self.leave():
            key = self.text()
            if key is not None and key == name:
                return self.text()
            if (key is None and not self.skip()) or not self.skip():
                return None
        return None

    def _object(self):
        """Goes past an object's class definition and number, to its first field; `_index` is its class."""
        p: cython.p_uchar = self.data
        tags: cython.p_uchar = _FINAL_TAGS if self._final else _DRAFT_TAGS
        tag: cython.int
        while self.at < self._end:
            tag = p[self.at]
            self.at += 1
            if tags[tag] == _CLASS:
                if not self._class():
                    return False
            elif tags[tag] == _OBJECT or tags[tag] == _SHORT_OBJECT:
                self._index = tag - 0x60 if tags[tag] == _SHORT_OBJECT else self._int()
                return 0 <= self._index < self._classes or self._fail("an object of a class that is not there")
            else:
                break
        return self._fail("an object was expected")

    # -- one value, from its tag on ------------------------------------------------------------------------------------

    def _walk(self):
        p: cython.p_uchar = self.data
        end: cython.Py_ssize_t = self._end
        tags: cython.p_uchar = _FINAL_TAGS if self._final else _DRAFT_TAGS
        end_mark: cython.int = 90 if self._final else 122
        tag: cython.int
        what: cython.int
        inner: cython.longlong
        left: cython.longlong = 1
        depth: cython.int = 0
        while True:
            while left == 0:
                if depth == 0:
                    return True
                depth -= 1
                left = self._stack[depth]
            if self.at >= end:
                return self._fail("a value goes on behind the end")
            tag = p[self.at]
            self.at += 1
            what = tags[tag]
            if what == _CLASS:  # not a value yet: its object follows
                if not self._class():
                    return False
                continue
            if left > 0:
                left -= 1
            elif tag == end_mark and left != _VALUE:
                left = 0
                continue
            elif left != _UNTIL_END:
                left = _VALUE if left == _KEYS else _KEYS
            if what <= 8:
                if what > end - self.at:
                    return self._fail("a value goes on behind the end")
                self.at += what
                continue
            inner = self._begin(tag, what)
            if inner == _FAILED:
                return False
            if inner != 0:
                if inner > end - self.at:
                    return self._fail("more values than bytes")
                if left != 0:
                    if depth == MAX_DEPTH:
                        return self._fail("too many values within each other")
                    self._stack[depth] = left
                    depth += 1
                left = inner

    def _begin(self, tag, what):
        """Goes past what stands between the tag and the values in it; how many these are, _UNTIL_END or _KEYS. A value
        without others in it is gone past: 0."""
        count: cython.longlong = 0
        if what == _STRING or what == _BINARY:
            self.at = chunks_end(self.data, self.at - 1, self._end, self._final, what == _STRING)
            return 0 if self.at >= 0 else self._failed("a string or binary is malformed or goes on behind the end")
        if what == _TYPED_LIST or what == _SIZED_TYPED_LIST or what == _SHORT_TYPED_LIST or what == _TYPED_MAP:
            if not self._type():
                return _FAILED
        if what == _LIST or what == _TYPED_LIST:
            return _UNTIL_END
        if what == _MAP or what == _TYPED_MAP:
            return _KEYS
        if what == _SHORT_LIST or what == _SHORT_TYPED_LIST:
            return tag & 7
        if what == _SIZED_LIST or what == _SIZED_TYPED_LIST:
            count = self._int()
            return count if count >= 0 else self._failed("a list of a length that is no number")
        if what == _OBJECT or what == _SHORT_OBJECT:
            count = tag - 0x60 if what == _SHORT_OBJECT else self._int()
            if 0 <= count < self._classes:
                return self._fields[count]
            return self._failed("an object of a class that is not there")
        if what == _INT_FOLLOWS:
            return 0 if self._int() >= 0 else self._failed("a reference that is no number")
        return self._begin_draft(what)

    def _begin_draft(self, what):
        """`_begin` for what only the draft has."""
        p: cython.p_uchar = self.data
        count: cython.longlong
        if what == _DRAFT_LIST and self._type():
            if self.at < self._end and p[self.at] == 110:  # "n"
                self.at += 2
            elif self.at < self._end and p[self.at] == 108:  # "l"
                self.at += 5
            return _UNTIL_END if self.at <= self._end else self._failed("a list goes on behind the end")
        if what == _REF_LIST:
            count = self._int()
            count = self._int() if count >= 0 else -1
            return count if count >= 0 else self._failed("a list of a length that is no number")
        if what == _REMOTE and self._type():
            return 0 if self.skip_string() else _FAILED
        return self._failed("a tag that means nothing")

    def _class(self):
        """A definition, behind its tag: the name, how many fields, their names."""
        p: cython.p_uchar = self.data
        count: cython.longlong
        if self._final:
            if not self.skip_string():
                return False
        else:
            count = self._int()
            self.at = units_end(p, self.at, self._end, count) if count >= 0 else -1
            if self.at < 0:
                return self._fail("a class without a name")
        count = self._int()
        if count < 0 or count > self._end - self.at:
            return self._fail("a class of more fields than bytes")
        if self._classes == MAX_CLASSES:
            return self._fail("too many classes")
        self._fields[self._classes] = count
        self._names[self._classes] = self.at
        self._classes += 1
        while count > 0:
            if not self.skip_string():
                return False
            count -= 1
        return True

    def _type(self):
        """Of a list or map: its name, or the number of one that came before; the draft's may be missing."""
        p: cython.p_uchar = self.data
        at: cython.Py_ssize_t = self.at
        end: cython.Py_ssize_t = self._end
        if self._final:
            if at < end and p[at] != 78:  # "N"
                at = string_end(p, at, end, True)
                if at >= 0:
                    self.at = at
                    return True
            return self._int() >= 0 or self._fail("a type that is neither name nor number")
        if at < end and p[at] == 116:  # "t"
            self.at = units_end(p, at + 3, end, p[at + 1] << 8 | p[at + 2]) if end - at > 2 else -1
            return self.at >= 0 or self._fail("a type goes on behind the end")
        if at < end and (p[at] == 84 or p[at] == 117):  # "T", "u"
            self.at = at + 1
            return self._int() >= 0 or self._fail("a type that is no number")
        return True

    def _int(self):
        """The int that stands here, and goes past it; -1 where something else does, or a negative one."""
        p: cython.p_uchar = self.data
        at: cython.Py_ssize_t = self.at
        left: cython.Py_ssize_t = self._end - at
        if left < 1:
            return -1
        tag: cython.int = p[at]
        if 0x80 <= tag <= 0xBF:
            self.at = at + 1
            return tag - 0x90
        if 0xC0 <= tag <= 0xCF and left > 1:
            self.at = at + 2
            return (tag - 0xC8) * 256 + p[at + 1]
        if 0xD0 <= tag <= 0xD7 and left > 2:
            self.at = at + 3
            return (tag - 0xD4) * 65536 + p[at + 1] * 256 + p[at + 2]
        if tag == 73 and left > 4 and p[at + 1] < 0x80:  # "I"
            self.at = at + 5
            return p[at + 1] << 24 | p[at + 2] << 16 | p[at + 3] << 8 | p[at + 4]
        return -1

    def _fail(self, why):
        self.error = why
        return False

    def _failed(self, why):
        self.error = why
        return _FAILED
