"""What is changed in a head on its way, whatever the protocol: nothing is changed in place, for the head is read again
by a further try, a log, a mirror. An encoder leaves out what `HeaderEdits` says and writes what it adds."""

import cython

from tage.dataplane.protocols.message import RequestHead, ResponseHead

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane import native
    from tage.dataplane.protocols.message import CONTENT_LENGTH, HOP_BY_HOP, HOST, PLAIN, kind_of


class HeaderEdits:
    """`drop` are kinds (as bits) to leave behind, `keep` those of HOP_BY_HOP that go on, `names` further headers to
    leave behind (lower case; None: none), `extra` whole lines to add. `path`, `authority`, `method` (None: as it came)
    replace a request's.

    Names are given in lower case. Nothing here looks at values: who takes them from outside checks them.
    """

    def __init__(self) -> None:
        self.drop = 0
        self.keep = 0
        self.names = None
        self.extra = b""
        self.path = None
        self.authority = None
        self.method = None

    def remove(self, name):
        """The header is not there, whatever has come or been added."""
        if self.names is None:
            self.names = [name]
        elif name not in self.names:
            self.names.append(name)
        if self.extra and line_value(self.extra, name) is not None:
            self.extra = _without(self.extra, name)

    def add(self, name, value):
        """A line more, beside those that are there."""
        self.extra = b"".join((self.extra, name, b": ", value, b"\r\n"))

    def put(self, name, value):
        """In place of all that are there."""
        self.remove(name)
        self.add(name, value)

    def value(self, block, name):
        """The header's value as it will go out, several joined by ","; None where it is not there."""
        i: cython.Py_ssize_t
        at: cython.Py_ssize_t = 0
        stop: cython.Py_ssize_t
        size: cython.Py_ssize_t = len(name)
        lines: bytes = self.extra
        end: cython.Py_ssize_t = len(lines)
        p: cython.p_uchar = lines
        found: bytes = None
        for i in range(block.count):
            if block.name_is(i, name) and not self.leaves(block, i):
                found = block.value(i) if found is None else found + b"," + block.value(i)
        while at < end:
            stop = native.find_byte(p, at, end, 10)
            if stop - at > size + 2 and p[at + size] == 58 and native.equal(p, at, name, size):  # ":"
                text: bytes = lines[at + size + 2 : stop - 1]
                found = text if found is None else found + b"," + text
            at = stop + 1
        return found

    def leaves(self, block, index):
        """Whether the block's line stays behind."""
        return not block.goes(index, (HOP_BY_HOP & ~self.keep) | self.drop, self.names)


def line_value(lines, name):
    """The value of the header `name` in `lines`, each `name: value CR LF`; None where there is none."""
    at: cython.Py_ssize_t = 0
    end: cython.Py_ssize_t = len(lines)
    size: cython.Py_ssize_t = len(name)
    stop: cython.Py_ssize_t
    p: cython.p_uchar = lines
    while at < end:
        stop = native.find_byte(p, at, end, 10)
        if stop - at > size + 2 and p[at + size] == 58 and native.equal(p, at, name, size):  # ":"
            return lines[at + size + 2 : stop - 1]
        at = stop + 1
    return None


def _without(lines, name):
    start = name + b": "
    return b"".join([line for line in lines.splitlines(True) if not line.startswith(start)])


def protected(name):
    """Whether a header is the codec's own: framing and hop-by-hop headers say what a connection does, and Host is the
    authority. Rules and filters must not touch them."""
    kind: cython.int
    if not name or name[0] == 58:  # ":"
        return True
    kind = kind_of(name, 0, len(name))
    return kind == CONTENT_LENGTH or kind == HOST or (kind != PLAIN and (HOP_BY_HOP >> kind) & 1)


def write_headers(out, block, drop, names=None):
    """The block's lines but those whose kind is in `drop` or whose name is in `names`, in runs."""
    run: cython.Py_ssize_t = -1
    at: cython.Py_ssize_t = 0
    i: cython.Py_ssize_t
    for i in range(block.count):
        if not block.goes(i, drop, names):
            if run >= 0:
                out.put_slice(block.raw, run, at)
                run = -1
        elif run < 0:
            run = block.name_start[i]
        at = block.line_end[i]
    if run >= 0:
        out.put_slice(block.raw, run, at)


def edited_request(head, edits, out):
    """A head of its own that is as `edits` would have it go out, framing and hop-by-hop headers included: what routes
    are to be matched with anew. `out` is lent."""
    result: RequestHead = head.edited(edits, out)
    if result is not None:
        return result
    result = RequestHead()
    result.method = head.method if edits.method is None else edits.method
    result.path = head.path if edits.path is None else edits.path
    result.authority = head.authority if edits.authority is None else edits.authority
    result.scheme = head.scheme
    result.body_length = head.body_length
    result.expects_continue = head.expects_continue
    result.upgrade = head.upgrade
    result.timeout = head.timeout
    result.grpc = head.grpc
    out.clear()
    write_headers(out, head.block, edits.drop, edits.names)
    out.put(edits.extra)
    _fill(result.block, out.take())
    return result


def copied_response(head, out):
    """A head that stays as it is when its connection reads on. `out` is lent."""
    result: ResponseHead = head.copied(out)
    if result is not None:
        return result
    result = ResponseHead()
    result.status = head.status
    result.body_length = head.body_length
    out.clear()
    write_headers(out, head.block, 0)
    _fill(result.block, out.take())
    return result


def _fill(block, lines):
    """From whole lines that were checked when they were read or made."""
    at: cython.Py_ssize_t = 0
    end: cython.Py_ssize_t = len(lines)
    colon: cython.Py_ssize_t
    value: cython.Py_ssize_t
    value_end: cython.Py_ssize_t
    stop: cython.Py_ssize_t
    p: cython.p_uchar = lines
    block.reset(lines)
    while at < end:
        stop = native.find_byte(p, at, end, 10)
        colon = native.find_byte(p, at, stop, 58)
        value = colon + 1
        value_end = stop - 1
        while value < value_end and (p[value] == 32 or p[value] == 9):
            value += 1
        while value_end > value and (p[value_end - 1] == 32 or p[value_end - 1] == 9):
            value_end -= 1
        block.add(at, colon, value, value_end, stop + 1)
        at = stop + 1
