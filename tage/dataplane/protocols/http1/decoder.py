"""HTTP/1.1 bytes -> heads and bodies (RFC 9112).

Pull style: `feed` bytes, then `read_head` until READY, then `read_body` until READY, then again `read_head`. Each
answers MORE (feed first), READY or FAILED (`error` says why; nothing more can be read). `read_body` leaves what there
is of the body in `payload`, without its framing.

Where a body ends (section 6.3), and what is refused instead of guessed at:

    Transfer-Encoding     must be a single `chunked`; with Content-Length, in HTTP/1.0, repeated: refused
    Content-Length        digits, once; a list or a repetition is refused even where the values agree
    both in 1xx and 204   refused (a length of 0 is let pass): their bytes would be read as the next response
    neither               request: no body; response: until the connection ends
    HEAD, 1xx, 204, 304   no body, whatever the headers say

Lines end in CR LF and nothing else; names are tokens with the colon next to them; no line is continued (obs-fold); a
value holds no control character but tab. A head is parsed once it is complete, and only then; while it is not, each
byte is looked at once, so that a slow sender costs no more than a fast one.

Trailers are checked and dropped; with `keep_trailers`, left in `trailers` without what must not stand there. They never
become headers.

Invariant, tested: fed whole, byte by byte or in any cut, the same bytes give the same heads, bodies and errors.
"""

from enum import IntEnum

import cython

from tage.dataplane import native
from tage.dataplane.protocols.http1 import errors
from tage.dataplane.protocols.http1.characters import TOKEN_CHARS
from tage.dataplane.protocols.http1.trailers import passable
from tage.dataplane.protocols.message import HeaderBlock

if not cython.compiled:
    # Compiled, these names come from the .pxd: enumerations and C functions.
    from tage.dataplane.protocols.http1.characters import CLASS
    from tage.dataplane.protocols.message import (
        CONNECTION,
        CONTENT_LENGTH,
        CONTENT_TYPE,
        COOKIE,
        DROPPED,
        PLAIN,
        TRAILER,
        TRANSFER_ENCODING,
        same,
    )

    Progress = IntEnum("Progress", {"FAILED": -1, "MORE": 0, "READY": 1})
    BodyKind = IntEnum("BodyKind", {"NO_BODY": 0, "LENGTH": 1, "CHUNKED": 2, "UNTIL_CLOSE": 3})
    FAILED, MORE, READY = -1, 0, 1
    NO_BODY, LENGTH, CHUNKED, UNTIL_CLOSE = 0, 1, 2, 3

# States of the decoder; those of a chunked body follow the grammar of RFC 9112, 7.1.
HEAD = cython.declare(cython.int, 0)
BODY = cython.declare(cython.int, 1)
BROKEN = cython.declare(cython.int, 2)
CHUNK_SIZE_FIRST = cython.declare(cython.int, 3)
CHUNK_SIZE = cython.declare(cython.int, 4)
CHUNK_EXTENSION = cython.declare(cython.int, 5)
CHUNK_SIZE_LF = cython.declare(cython.int, 6)
CHUNK_DATA = cython.declare(cython.int, 7)
CHUNK_DATA_CR = cython.declare(cython.int, 8)
CHUNK_DATA_LF = cython.declare(cython.int, 9)
TRAILER_START = cython.declare(cython.int, 10)
TRAILER_NAME = cython.declare(cython.int, 11)
TRAILER_VALUE = cython.declare(cython.int, 12)
TRAILER_LF = cython.declare(cython.int, 13)
LAST_LF = cython.declare(cython.int, 14)

_CLOSE = cython.declare(cython.int, 1)
_KEEP_ALIVE = cython.declare(cython.int, 2)
_UPGRADE = cython.declare(cython.int, 4)
# Kinds, as bits, that Connection may name: they are the client's own.
_NAMED = cython.declare(cython.int, (1 << PLAIN) | (1 << TRAILER) | (1 << CONTENT_TYPE) | (1 << COOKIE))
_MAX_LENGTH_DIGITS = cython.declare(cython.int, 18)
_MAX_CHUNK_DIGITS = cython.declare(cython.int, 15)
_MAX_EXTRA = cython.declare(cython.int, 16_384)  # bytes of trailers, and of chunk extensions beyond those of data
_MAX_OPTIONS = cython.declare(cython.int, 32)  # in one Connection header: each is looked for among all headers
_MAX_POSITION = cython.declare(cython.Py_ssize_t, 0x7FFFFFFF)  # what a HeaderBlock can hold


class Decoder:
    """What requests and responses share. `block`, and the heads with it, are reused: a head is valid until the next
    `read_head` that answers READY. `begun`, after an error: the start line at least is that of the message in error.
    `trailers`, once a body is READY: whole lines, or None. `keep_trailers` may be changed between messages."""

    def __init__(self, max_head: cython.Py_ssize_t = 61_440, max_headers: cython.Py_ssize_t = 100) -> None:
        self.data = b""
        self.pos = 0
        self.end = 0
        self._partial = None
        self._scanned = 0
        self._skipped = False
        self._digits = 0
        self.max_head = max_head
        self.max_headers = max_headers
        self.body = NO_BODY
        self.remaining = 0
        self.content_length = 0
        self._state = HEAD
        self._extra = 0
        self.payload = None
        self.keep_trailers = False
        self.trailers = None
        self._trailer_lines = None
        self.keep_alive = True
        self.error = None
        self.begun = False
        self._version_10 = False
        self.switches = False

    def feed(self, data):
        """More bytes. What was fed before and not read yet stays in front; after an error nothing is kept."""
        if self._state == BROKEN:
            return
        if self.pos < self.end:
            self.data = self.data[self.pos :] + data
        else:
            self.data = data
        self.pos = 0
        self.end = len(self.data)

    def buffered(self):
        """Whether there are bytes that were fed and not read."""
        return self.pos < self.end

    def incomplete(self):
        """Whether a message has begun and its head is not complete."""
        return self._partial is not None

    def rest(self):
        """Takes the bytes that were fed and not read."""
        result: bytes = self.data[self.pos : self.end]
        self.data = b""
        self.pos = self.end = 0
        return result

    def fail(self, error):
        self.error = error
        self._state = BROKEN
        self.keep_alive = False
        self._partial = None
        self._trailer_lines = None
        self.data = b""
        self.pos = self.end = 0
        return FAILED

    # -- heads ---------------------------------------------------------------------------------------------------------

    def read_head(self):
        data: bytes
        start: cython.Py_ssize_t
        stop: cython.Py_ssize_t
        if self._state != HEAD:
            return FAILED
        if self._partial is not None:
            return self._read_partial()
        data = self.data
        start = self.pos
        # One empty line before a request is let pass (RFC 9112, 2.2), none before a response.
        if not self._skipped and self.end - start >= 2 and data[start] == 13 and data[start + 1] == 10:
            start += 2
            self.pos = start
            self._skipped = True
        self._scanned = start
        stop = self._find_head_end(data, start, self.end)
        if stop > 0:
            self.pos = stop
            if stop > _MAX_POSITION:
                return self._parse_head(data[start:stop], 0, stop - start)
            return self._parse_head(data, start, stop)
        if stop == MORE:
            if start < self.end:
                self._partial = bytearray(data[start : self.end])
                self._scanned -= start
            self.data = b""
            self.pos = self.end = 0
        return stop

    def _read_partial(self):
        """A head that came in pieces: they are put together, and looked at from where the last look ended."""
        partial: bytearray = self._partial
        held: cython.Py_ssize_t = len(partial)
        stop: cython.Py_ssize_t
        partial += self.data[self.pos : self.end]
        if not self._skipped and partial[:2] == b"\r\n":
            del partial[:2]
            held -= 2
            self._scanned = 0
            self._skipped = True
        stop = self._find_head_end(partial, 0, len(partial))
        if stop > 0:
            self.pos += stop - held
            self._partial = None
            return self._parse_head(bytes(partial[:stop]), 0, stop)
        if stop == MORE:
            if not partial:
                self._partial = None
            self.data = b""
            self.pos = self.end = 0
        return stop

    def _find_head_end(self, p, start, end):
        """Where the head that starts at `start` ends (behind its empty line), or MORE, or FAILED: a line feed without
        its carriage return, or more than `max_head` bytes. Looks from `_scanned` on and moves it."""
        at: cython.Py_ssize_t = self._scanned
        limit: cython.Py_ssize_t = min(end, start + self.max_head)
        while True:
            at = native.find_byte(p, at, limit, 10)
            if at < 0:
                self._scanned = limit
                return self.fail(self._too_large(p, start, limit)) if end > limit else MORE
            if at == start or p[at - 1] != 13:
                return self.fail(errors.BAD_LINE_END)
            if at - start >= 3 and p[at - 2] == 10:
                return at + 1
            at += 1

    def _too_large(self, p, start, limit):
        return errors.HEAD_TOO_LARGE

    def _parse_head(self, data, start, end):
        """data[start:end] is a whole head with its empty line."""
        at: cython.Py_ssize_t = self._start_line(data, start, end)
        self.content_length = 0
        if at < 0:
            return FAILED
        if self._headers(data, at, end - 2) < 0 or self._framing() < 0:
            self.begun = True
            return FAILED
        return READY

    def _start_line(self, data, start, end):
        raise NotImplementedError

    def _framing(self):
        raise NotImplementedError

    def _headers(self, data, start, end):
        """The header lines of data[start:end], each with its CR LF: `_find_head_end` has seen that lines end so."""
        p: cython.p_uchar = data
        cls: cython.p_uchar = CLASS
        at: cython.Py_ssize_t = start
        name: cython.Py_ssize_t
        name_end: cython.Py_ssize_t
        value: cython.Py_ssize_t
        value_end: cython.Py_ssize_t
        self.block.reset(data)
        while at < end:
            if self.block.count == self.max_headers:
                return self.fail(errors.TOO_MANY_HEADERS)
            name = at
            # Every line ends in CR LF before `end`, and neither is of any class: these loops stop there.
            while cls[p[at]] & 1:
                at += 1
            name_end = at
            if name == at or p[at] != 58:
                if name == at and (p[at] == 32 or p[at] == 9):
                    return self.fail(errors.OBS_FOLD)
                return self.fail(errors.BAD_HEADER_NAME)
            at += 1
            while p[at] == 32 or p[at] == 9:
                at += 1
            value = at
            while cls[p[at]] & 2:
                at += 1
            if p[at] != 13 or p[at + 1] != 10:
                return self.fail(errors.BAD_HEADER_VALUE)
            value_end = at
            while value_end > value and (p[value_end - 1] == 32 or p[value_end - 1] == 9):
                value_end -= 1
            at += 2
            self.block.add(name, name_end, value, value_end, at)
        return READY

    def _transfer_framing(self):
        """Transfer-Encoding and Content-Length -> `body`, `remaining`; NO_BODY where neither is there."""
        block: HeaderBlock = self.block
        i: cython.Py_ssize_t
        at: cython.Py_ssize_t
        chunked: cython.bint = False
        length: cython.Py_ssize_t = -1
        p: cython.p_uchar = block.raw
        for i in range(block.count):
            if block.kind[i] == TRANSFER_ENCODING:
                if chunked or self._version_10:
                    return self.fail(errors.BAD_TRANSFER_ENCODING)
                value: bytes = block.value(i).lower()
                if value != b"chunked":
                    known = value and all(c in TOKEN_CHARS for c in value)
                    return self.fail(errors.UNKNOWN_TRANSFER_ENCODING if known else errors.BAD_TRANSFER_ENCODING)
                chunked = True
            elif block.kind[i] == CONTENT_LENGTH:
                if length >= 0:
                    return self.fail(errors.BAD_CONTENT_LENGTH)
                at = block.value_start[i]
                if at == block.value_end[i] or block.value_end[i] - at > _MAX_LENGTH_DIGITS:
                    return self.fail(errors.BAD_CONTENT_LENGTH)
                length = 0
                while at < block.value_end[i]:
                    if not 48 <= p[at] <= 57:
                        return self.fail(errors.BAD_CONTENT_LENGTH)
                    length = length * 10 + (p[at] - 48)
                    at += 1
        self.remaining = 0
        if chunked:
            if length >= 0:
                return self.fail(errors.LENGTH_AND_CHUNKED)
            self.body = CHUNKED
        elif length >= 0:
            self.body = LENGTH
            self.remaining = length
            self.content_length = length
        else:
            self.body = NO_BODY
        return READY

    def _connection(self):
        """The Connection headers: persistence, the `upgrade` option (`switches`), and the names of further headers that
        end here (section 7.6.1)."""
        block: HeaderBlock = self.block
        i: cython.Py_ssize_t
        options: cython.int = 0
        found: cython.int
        for i in range(block.count):
            if block.kind[i] == CONNECTION:
                found = self._options(block.value_start[i], block.value_end[i])
                if found < 0:
                    return FAILED
                options |= found
        self.keep_alive = not options & _CLOSE and (not self._version_10 or options & _KEEP_ALIVE != 0)
        self.switches = options & _UPGRADE != 0
        return READY

    def _options(self, start, end):
        """One Connection header's list: _CLOSE | _KEEP_ALIVE | _UPGRADE. What else it names is dropped; but framing,
        Host and forwarding headers cannot be taken away by naming them."""
        block: HeaderBlock = self.block
        i: cython.Py_ssize_t
        found: cython.int = 0
        if end - start == 10 and same(block.raw, start, 10, b"keep-alive"):
            return _KEEP_ALIVE
        if end - start == 5 and same(block.raw, start, 5, b"close"):
            return _CLOSE
        options: list = block.raw[start:end].lower().split(b",", _MAX_OPTIONS)
        if len(options) > _MAX_OPTIONS:
            return self.fail(errors.BAD_CONNECTION)
        for option in options:
            token: bytes = option.strip(b" \t")
            if token == b"close":
                found |= _CLOSE
            elif token == b"keep-alive":
                found |= _KEEP_ALIVE
            elif token == b"upgrade":
                found |= _UPGRADE
            elif token:
                if any(c not in TOKEN_CHARS for c in token):
                    return self.fail(errors.BAD_CONNECTION)
                if token == b"forwarded" or token.startswith(b"x-forwarded-"):
                    continue
                for i in range(block.count):
                    if (_NAMED >> block.kind[i]) & 1 and block.name_is(i, token):
                        block.kind[i] = DROPPED
        return found

    # -- bodies --------------------------------------------------------------------------------------------------------

    def _begin_body(self):
        self._extra = 0
        if self.trailers is not None:
            self.trailers = None
        self._state = CHUNK_SIZE_FIRST if self.body == CHUNKED else BODY

    def read_body(self):
        """READY: the body is complete with this `payload` (None: no bytes)."""
        available: cython.Py_ssize_t = self.end - self.pos
        p: cython.p_uchar = self.data
        self.payload = None
        if self._state == BODY:
            if self.body == NO_BODY:
                self._state = HEAD
                return READY
            if self.body == UNTIL_CLOSE:
                if available:
                    self.payload = self.data if self.pos == 0 else p[self.pos : self.end]
                    self.pos = self.end
                return MORE
            if cython.cast(cython.ulonglong, available) >= self.remaining:
                available = self.remaining
            if available:
                if self.pos == 0 and available == self.end:
                    self.payload = self.data
                else:
                    self.payload = p[self.pos : self.pos + available]
                self.pos += available
                self.remaining -= available
            if self.remaining == 0:
                self._state = HEAD
                return READY
            return MORE
        if self._state == HEAD or self._state == BROKEN:
            return FAILED
        if self._chunked() == FAILED:
            self.begun = True
            return FAILED
        return READY if self._state == HEAD else MORE

    def switch(self):
        """Between two messages: another protocol begins. What follows, with what was fed already, is read as one body
        that lasts until the connection's end."""
        self.body = UNTIL_CLOSE
        self._state = BODY
        self.keep_alive = False

    def finish(self):
        """The peer ended its side. READY: that was in order (between messages, or the end of a body that lasts until
        then); FAILED: within a message."""
        if self._state == BODY and self.body == UNTIL_CLOSE:
            self._state = HEAD
            return READY
        if self._state == HEAD and self._partial is None:
            return READY
        if self._state == BROKEN:
            return FAILED
        return self.fail(errors.TRUNCATED)

    def _chunked(self):
        p: cython.p_uchar = self.data
        cls: cython.p_uchar = CLASS
        at: cython.Py_ssize_t = self.pos
        end: cython.Py_ssize_t = self.end
        state: cython.int = self._state
        c: cython.int
        size: cython.Py_ssize_t
        first: bytes = None
        parts: list = None
        while at < end:
            c = p[at]
            if state == CHUNK_DATA:
                size = end - at
                if cython.cast(cython.ulonglong, size) > self.remaining:
                    size = self.remaining
                if first is None:
                    first = p[at : at + size]
                else:
                    if parts is None:
                        parts = [first]
                    parts.append(p[at : at + size])
                at += size
                self.remaining -= size
                if self.remaining == 0:
                    state = CHUNK_DATA_CR
                continue
            at += 1
            if state == CHUNK_SIZE or state == CHUNK_SIZE_FIRST:
                if state == CHUNK_SIZE_FIRST:
                    self.remaining = 0
                    self._digits = 0
                if 48 <= c <= 57:
                    c -= 48
                elif 97 <= (c | 32) <= 102:
                    c = (c | 32) - 87
                elif state == CHUNK_SIZE and (c == 13 or c == 59):
                    state = CHUNK_SIZE_LF if c == 13 else CHUNK_EXTENSION
                    continue
                else:
                    return self.fail(errors.BAD_CHUNK)
                self._digits += 1
                if self._digits > _MAX_CHUNK_DIGITS:
                    return self.fail(errors.BAD_CHUNK)
                self.remaining = self.remaining * 16 + c
                state = CHUNK_SIZE
            elif state == CHUNK_EXTENSION:
                self._extra += 1
                if c == 13:
                    state = CHUNK_SIZE_LF
                elif not (cls[c] & 2) or self._extra > _MAX_EXTRA:
                    return self.fail(errors.BAD_CHUNK)
            elif state == CHUNK_SIZE_LF:
                if c != 10:
                    return self.fail(errors.BAD_CHUNK)
                state = CHUNK_DATA if self.remaining else TRAILER_START
                # Extensions are measured by the data that they go with: some sign each chunk of a body without end.
                if cython.cast(cython.ulonglong, self._extra) > self.remaining:
                    self._extra -= self.remaining
                else:
                    self._extra = 0
            elif state == CHUNK_DATA_CR:
                if c != 13:
                    return self.fail(errors.BAD_CHUNK)
                state = CHUNK_DATA_LF
            elif state == CHUNK_DATA_LF:
                if c != 10:
                    return self.fail(errors.BAD_CHUNK)
                state = CHUNK_SIZE_FIRST
            elif state == TRAILER_START:
                if c == 13:
                    state = LAST_LF
                elif cls[c] & 1:
                    state = TRAILER_NAME
                    if self.keep_trailers:
                        if self._trailer_lines is None:
                            self._trailer_lines = bytearray()
                        self._trailer_lines.append(c)
                else:
                    return self.fail(errors.OBS_FOLD if c == 32 or c == 9 else errors.BAD_HEADER_NAME)
            elif state == LAST_LF:
                if c != 10:
                    return self.fail(errors.BAD_LINE_END)
                self.pos = at
                self._state = HEAD
                self.payload = b"".join(parts) if parts is not None else first
                if self._trailer_lines is not None:
                    self.trailers = passable(bytes(self._trailer_lines), self.block.get(b"connection"))
                    self._trailer_lines = None
                return READY
            else:
                self._extra += 1
                if self._extra > _MAX_EXTRA:
                    return self.fail(errors.HEAD_TOO_LARGE)
                if self._trailer_lines is not None:
                    self._trailer_lines.append(c)
                if state == TRAILER_NAME:
                    if c == 58:
                        state = TRAILER_VALUE
                    elif not (cls[c] & 1):
                        return self.fail(errors.BAD_HEADER_NAME)
                elif state == TRAILER_VALUE:
                    if c == 13:
                        state = TRAILER_LF
                    elif not (cls[c] & 2):
                        return self.fail(errors.BAD_HEADER_VALUE)
                elif c != 10:
                    return self.fail(errors.BAD_LINE_END)
                else:
                    state = TRAILER_START
        self.pos = at
        self._state = state
        self.payload = b"".join(parts) if parts is not None else first
        return MORE
