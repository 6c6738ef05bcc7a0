"""What one header block decodes to: a message's control data and header lines, and what is wrong with them.

The lines are written one behind the other as they are decoded, and their positions go into a `HeaderBlock`; `heads`
makes a head of both. The rules are those of RFC 9113, 8.2 and 8.3, and RFC 8441. A message that breaks one is
malformed, which is an error of its stream; the block is decoded to its end all the same, for what it changes in the
peer's table binds the whole connection.
"""

import cython

from tage.dataplane.protocols.message import HeaderBlock
from tage.dataplane.protocols.writer import ByteWriter

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from enum import IntEnum

    from tage.dataplane.protocols.http1.request import _valid_authority, _valid_host
    from tage.dataplane.protocols.http2.hpack.field import (
        AUTHORITY,
        METHOD,
        NEVER_INDEXED,
        PATH,
        PROTOCOL,
        SCHEME,
        STATUS,
        check_name,
        check_pseudo,
        check_value,
        number_in,
        pseudo_of,
        value_ok,
    )
    from tage.dataplane.protocols.message import (
        CONNECTION,
        CONTENT_LENGTH,
        CONTENT_TYPE,
        COOKIE,
        EXPECT,
        HOST,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
        kind_of,
        new_block,
        same,
    )

    REQUEST = 0
    RESPONSE = 1
    TRAILERS = 2
    RAW = 3
    BlockKind = IntEnum("BlockKind", {"REQUEST": 0, "RESPONSE": 1, "TRAILERS": 2, "RAW": 3})

# Kinds that are more than a line to pass on, or that are refused.
_SPECIAL = cython.declare(
    cython.uint,
    (1 << CONNECTION) | (1 << KEEP_ALIVE) | (1 << PROXY_CONNECTION) | (1 << TRANSFER_ENCODING) | (1 << UPGRADE)
    | (1 << TE) | (1 << CONTENT_LENGTH) | (1 << CONTENT_TYPE) | (1 << COOKIE) | (1 << EXPECT) | (1 << HOST),
)  # fmt: skip
_REGULAR_SEEN = cython.declare(cython.uint, 1)  # bit 0 of `_seen`; the others are those of `Pseudo`
_OF_REQUESTS = cython.declare(
    cython.uint, (1 << METHOD) | (1 << SCHEME) | (1 << PATH) | (1 << AUTHORITY) | (1 << PROTOCOL)
)


class Fields:
    """One for all connections of a worker: it holds nothing from one block to the next.

    A block of the kind RAW is no message: nothing is asked of its fields, and all are kept as they came, as lines. That
    is for tools and tests of HPACK itself.

    `problem` (None: none) says in words why the message is malformed. `too_large`: it has more than `max_bytes` (names
    and values as lines: 4 bytes more each) or `max_count` headers, a cookie's crumbs being one; nothing more of it is
    kept. `authority` is Host's value where only that came; Host itself is never in the block. `content_length` is -1
    where none was said; `continues`: `expect: 100-continue`."""

    def __init__(self) -> None:
        self.out = ByteWriter(1024)
        self._crumbs = ByteWriter(64)
        self.block = None
        self.reset(REQUEST, 0, 0)

    def reset(self, kind, max_bytes, max_count):
        self.kind = kind
        self._left = max_bytes
        self._lines_left = max_count
        self.problem = None
        self.too_large = False
        self.method = None
        self.scheme = None
        self.path = None
        self.authority = None
        self.protocol = None
        self.status = 0
        self.content_length = -1
        self.grpc = False
        self.continues = False
        self.out.clear()
        self._crumbs.clear()
        self._cookie = -1
        self._seen = 0
        self._host = None
        if self.block is None:
            self.block = new_block()
        else:
            self.block.count = 0

    def _fail(self, problem):
        if self.problem is None:
            self.problem = problem

    def _count(self, size, kind):
        """Whether a line of so many bytes is kept."""
        self._left -= size
        if kind != COOKIE or self._cookie < 0:
            self._lines_left -= 1
        if self._left < 0 or self._lines_left < 0:
            self.too_large = True
            self._left = self._lines_left = 0
            self.out.clear()
            self.block.count = 0
            return False
        return True

    def add(self, field):
        """A field of a table, which has been checked."""
        start: cython.Py_ssize_t
        if self.too_large or self.problem is not None or not self._count(field.size, field.kind):
            return
        if self.kind == RAW:
            start = self.out.size
            self.out.put(field.line)
            self.block.append(start, field.name_size, field.size, field.kind, field.hash)
        elif field.problem is not None:
            self._fail(field.problem)
        elif field.pseudo:
            self._pseudo(field.pseudo, field.value, field.number)
        else:
            self._seen |= _REGULAR_SEEN
            if (_SPECIAL >> field.kind) & 1 and self._special(
                field.kind, field.line, field.name_size + 2, field.size - 2
            ):
                return
            start = self.out.size
            self.out.put(field.line)
            self.block.append(start, field.name_size, field.size, field.kind, field.hash)

    def add_line(self, start, name_size, name, never):
        """The line that is the last thing in `out`, from `start` on, of a field that is in no table. `name` is one with
        its name, or None."""
        end: cython.Py_ssize_t = self.out.size
        p: cython.p_uchar = self.out._p
        value: cython.Py_ssize_t = start + name_size + 2
        pseudo: cython.int
        kind: cython.int = 0
        problem: str = None
        if self.too_large or self.problem is not None:
            self.out.cut(start)
            return
        if name is None:
            pseudo = pseudo_of(p, start, name_size)
            if not pseudo:
                problem = check_name(p, start, name_size)
                if problem is None:
                    kind = kind_of(p, start, name_size)
        else:
            pseudo = name.pseudo
            kind = name.kind
            problem = name.name_problem
        if not self._count(end - start, kind):
            return
        if self.kind == RAW:
            self.block.append(start, name_size, end - start, kind, NEVER_INDEXED if never else 0)
            return
        if pseudo:
            text: bytes = p[value : end - 2] if cython.compiled else bytes(p[value : end - 2])
            self.out.cut(start)
            problem = check_pseudo(pseudo, text)
            if problem is not None:
                self._fail(problem)
            else:
                self._pseudo(pseudo, text, number_in(text, 0, len(text)) if pseudo == STATUS else -1)
            return
        self._seen |= _REGULAR_SEEN
        if problem is None:
            if (_SPECIAL >> kind) & 1:
                problem = check_value(kind, p, value, end - 2)
                if problem is None and self._special(kind, p, value, end - 2):
                    self.out.cut(start)
                    return
            elif not value_ok(p, value, end - 2):
                problem = "a header value with a control character, or white space around it"
        if problem is not None:
            self.out.cut(start)
            self._fail(problem)
            return
        self.block.append(start, name_size, end - start, kind, NEVER_INDEXED if never else 0)

    def _pseudo(self, pseudo, value, number):
        """Section 8.3: in front of all others, those of the message's kind only, each once."""
        if self._seen & _REGULAR_SEEN:
            self._fail("a pseudo-header behind a regular one")
            return
        if self._seen & (1 << pseudo):
            self._fail("a pseudo-header twice")
            return
        if self.kind != (RESPONSE if pseudo == STATUS else REQUEST):
            self._fail("a pseudo-header that does not belong there")
            return
        self._seen |= 1 << pseudo
        self._lines_left += 1  # it is no header
        if pseudo == METHOD:
            self.method = value
        elif pseudo == PATH:
            self.path = value
        elif pseudo == SCHEME:
            self.scheme = value
        elif pseudo == AUTHORITY:
            self.authority = value
        elif pseudo == STATUS:
            self.status = number
        else:
            self.protocol = value

    def _special(self, kind, p, start, end):
        """What a header of these kinds means; True: no line of it goes into the block. Its value has been checked."""
        if kind == CONTENT_TYPE:
            # application/grpc alone, or followed by + or ; (gRPC over HTTP/2, "Requests").
            self.grpc = (
                end - start >= 16
                and same(p, start, 16, b"application/grpc")
                and (end - start == 16 or p[start + 16] == 43 or p[start + 16] == 59)
            )
        elif kind == CONTENT_LENGTH:
            number: cython.longlong = number_in(p, start, end)
            if self.content_length >= 0:
                if self.content_length != number:
                    self._fail("two content-lengths")
                return True  # RFC 9110, 8.6: several of one value are one
            self.content_length = number
        elif kind == HOST:
            if self.kind != REQUEST:
                return False
            if self._host is not None:
                self._fail("two Host headers")
            self._host = p[start:end] if cython.compiled else bytes(p[start:end])
            return True
        elif kind == EXPECT:
            self.continues = end - start == 12 and same(p, start, 12, b"100-continue")
        elif kind == COOKIE and self.kind == REQUEST:
            if self._cookie >= 0:
                self._cookie_crumb(p, start, end)
                return True
            self._cookie = self.block.count
        return False

    def _cookie_crumb(self, p, start, end):
        """Another one: they are joined in the end (section 8.2.3). An empty one would leave a space there."""
        if start == end:
            return
        self._crumbs.put(b"; ")
        self._crumbs.put(p[start:end] if cython.compiled else bytes(p[start:end]))

    def end(self):
        """The block is over: what has to be there."""
        if self.problem is not None or self.too_large:
            return
        if self.kind == REQUEST:
            self._end_request()
        elif self.kind == RESPONSE and self.status == 0:
            self._fail("no :status")

    def _end_request(self):
        authority: bytes
        if self.method is None:
            self._fail("no :method")
            return
        if self._host is not None:
            if not _valid_host(self._host):
                self._fail("Host is not host[:port]")
            elif self.authority is None:
                self.authority = self._host
            elif not _same_host(self.authority, self._host, self.scheme):
                self._fail("Host is another than :authority")
        if self.method == b"CONNECT" and self.protocol is None:
            # RFC 9113, 8.5
            if self._seen & ((1 << SCHEME) | (1 << PATH)):
                self._fail("CONNECT with :scheme or :path")
                return
            authority = self.authority if self._seen & (1 << AUTHORITY) else b""
            if not _valid_authority(authority):
                self._fail("CONNECT to other than host:port")
            return
        if self.protocol is not None and self.method != b"CONNECT":
            self._fail(":protocol with another method than CONNECT")
        elif self.scheme is None:
            self._fail("no :scheme")
        elif self.path is None:
            self._fail("no :path")
        elif not self.authority:
            self._fail("neither :authority nor Host")
        elif self.path == b"*" and self.method != b"OPTIONS":
            self._fail(":path is * with another method than OPTIONS")

    def pairs(self) -> list[tuple[bytes, bytes]]:
        """The lines of the block that was decoded last, until it is taken; those of pseudo-headers if it is RAW."""
        self.block.raw = bytes(self.out._p[: self.out.size])
        return self.block.items()

    def taken(self):
        """The block with its lines, which is the caller's from now on."""
        block: HeaderBlock = self.block
        if self._crumbs.size:
            self._spread_crumbs()
        block.raw = self.out.take()
        self.block = None
        return block

    def _spread_crumbs(self):
        """Into the first cookie's line, with what stands behind it moved."""
        block: HeaderBlock = self.block
        i: cython.Py_ssize_t = self._cookie
        more: bytes = self._crumbs.take()
        if block.value_start[i] == block.value_end[i]:
            more = more[2:]
        size: cython.Py_ssize_t = len(more)
        lines: bytes = self.out.take()
        self.out.put_slice(lines, 0, block.value_end[i])
        self.out.put(more)
        self.out.put_slice(lines, block.value_end[i], len(lines))
        block.value_end[i] += size
        block.line_end[i] += size
        block.mark[i] = 0
        for i in range(self._cookie + 1, block.count):
            block.name_start[i] += size
            block.name_end[i] += size
            block.value_start[i] += size
            block.value_end[i] += size
            block.line_end[i] += size


def _same_host(a, b, scheme):
    """RFC 3986, 6.2: whatever the case, and with the scheme's own port or without."""
    if a == b:
        return True
    port: bytes = b":443" if scheme is not None and scheme.lower() == b"https" else b":80"
    return a.lower().removesuffix(port) == b.lower().removesuffix(port)
