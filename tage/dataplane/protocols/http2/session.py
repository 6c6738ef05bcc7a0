"""`Session`: one HTTP/2 connection, sans-I/O, of a server or a client. Pull style: `feed`, then `read` until MORE.

    bytes --> frames --> events                   `read`: what the peer says, one event a call
              HEADERS, DATA                       messages.py
              SETTINGS, PING, windows, ...        control.py; answered by itself
    heads, data, resets --> frames --> `out`      sending.py

    HEAD      server: a new request on `stream`, whose own its head is. client: a response's `head`, interim ones too,
              valid until the next `read`. `ended`: nothing follows
    DATA      `payload`, never empty, of `stream`; `ended`
    END       the peer's side of `stream` has ended; `trailers` (lines) or None
    RESET     `stream` is gone, `code` says why: by the peer, or by us for its error, and then `problem` says which
    PROBLEM   server: a request on `stream` that has no head, for it is malformed or `too_large`; `problem`. It is to be
              answered (`send_local`; RST_STREAM follows where it has to) or reset; nothing more is told of it
    ROOM      less of `stream` waits to be sent: its source may go on
    GOAWAY    `code`; streams above `last_id` were not looked at, and are the reader's to end
    SETTINGS  `peer_max_streams`, `peer_allows_connect` may be others
    PONG      `opaque`, of a ping of ours
    FAILED    `error`: the peer broke the protocol; GOAWAY was put, nothing more is read or sent

Header blocks are unpacked whatever becomes of their stream, for they change tables that bind the connection; and the
connection's window is opened again for all data that come, so that no stream holds up another. A stream's own window is
opened as it is read and not held. RFC 9113, 5.1 says what may come in which state; `defences` how much.

A stream leaves `streams` when both sides have ended or one has reset it. Invariant, tested: fed whole or in any pieces,
the same bytes give the same events.
"""

import cython

from tage.dataplane.protocols.http2 import errors
from tage.dataplane.protocols.http2.control import Event
from tage.dataplane.protocols.http2.messages import Messages
from tage.dataplane.protocols.http2.settings import Http2Settings
from tage.dataplane.protocols.writer import ByteWriter

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane import native
    from tage.dataplane.protocols.http2.control import FAILED, MORE, ROOM
    from tage.dataplane.protocols.http2.defences import UNREAD_BYTES
    from tage.dataplane.protocols.http2.frames import (
        ACK,
        ENABLE_CONNECT_PROTOCOL,
        ENABLE_PUSH,
        END_HEADERS,
        END_STREAM,
        FRAME_CONTINUATION,
        FRAME_DATA,
        FRAME_HEADERS,
        FRAME_SETTINGS,
        HEADER_TABLE_SIZE,
        INITIAL_WINDOW_SIZE,
        MAX_CONCURRENT_STREAMS,
        MAX_FRAME_SIZE,
        MAX_HEADER_LIST_SIZE,
        PADDED,
        PREFACE,
        end_frame,
        number,
        put_frame_head,
        put_setting,
        put_window_update,
    )

__all__ = ["Event", "Session"]

_DEFAULT_TABLE = cython.declare(cython.Py_ssize_t, 4_096)
_DEFAULT_WINDOW = cython.declare(cython.longlong, 65_535)
_DEFAULT_FRAME = cython.declare(cython.Py_ssize_t, 16_384)


class Session(Messages):
    """`out` takes what is to be sent, and is the owner's to empty.

    `streams` are those that are open, by id, `active` how many (a client's that have not begun yet counted).
    `last_peer_id`: the highest id that a client has begun. A stream's body is what its content-length says, if it says
    so: less or more is its error."""

    def __init__(self, server: cython.bint, settings: Http2Settings, out: ByteWriter) -> None:
        Messages.__init__(self, server, settings, out)
        self._data = b""
        self._pos = 0
        self._end = 0
        self._partial = None
        self._need = 0
        self._preface = len(PREFACE) if server else 0
        self._begun = False

    def start(self):
        """Puts what a connection begins with: a client's preface, SETTINGS, and the connection's window."""
        settings: Http2Settings = self.settings
        out: ByteWriter = self._out
        if not self.server:
            out.put(PREFACE)
        at: cython.Py_ssize_t = out.size
        put_frame_head(out, 0, FRAME_SETTINGS, 0, 0)
        if settings.header_table_size != _DEFAULT_TABLE:
            put_setting(out, HEADER_TABLE_SIZE, settings.header_table_size)
        if self.server:
            put_setting(out, MAX_CONCURRENT_STREAMS, settings.max_concurrent_streams)
            if settings.allow_connect:
                put_setting(out, ENABLE_CONNECT_PROTOCOL, 1)
        else:
            put_setting(out, ENABLE_PUSH, 0)
        if settings.initial_stream_window != _DEFAULT_WINDOW:
            put_setting(out, INITIAL_WINDOW_SIZE, settings.initial_stream_window)
        if settings.max_frame_size != _DEFAULT_FRAME:
            put_setting(out, MAX_FRAME_SIZE, settings.max_frame_size)
        put_setting(out, MAX_HEADER_LIST_SIZE, settings.max_head_bytes)
        end_frame(out, at, 0)
        if settings.initial_connection_window > _DEFAULT_WINDOW:
            put_window_update(out, 0, settings.initial_connection_window - _DEFAULT_WINDOW)
            self._recv_window = settings.initial_connection_window

    # -- bytes -> frames -----------------------------------------------------------------------------------------------

    def feed(self, data):
        """More bytes. What was fed before and not read yet stays in front; after an error nothing is kept."""
        if self.failed:
            return
        if self._pos < self._end:
            self._data = self._data[self._pos : self._end] + data
        else:
            self._data = data
        self._pos = 0
        self._end = len(self._data)

    def buffered(self):
        """Bytes that were fed and of which nothing was told yet: part of a frame, or of a header block."""
        n: cython.Py_ssize_t = self._end - self._pos
        if self._partial is not None:
            n += len(self._partial)
        if self._block is not None:
            n += len(self._block)
        return n

    def read(self, now):
        """An `Event`. `now` in ms, of a clock that does not go back."""
        event: cython.int
        self._now = now
        event = FAILED if self.failed else self._read()
        if event == FAILED:  # nothing of it is read any more
            self._data = b""
            self._pos = self._end = 0
            self._partial = None
            self._block = None
        return event

    def _read(self):
        event: cython.int
        at: cython.Py_ssize_t
        size: cython.Py_ssize_t
        frame: bytes
        p: cython.p_uchar
        if self._preface > 0 and (self._read_preface() != MORE or self._preface > 0):
            return FAILED if self.failed else MORE
        while True:
            if self._roomy:
                self.stream = self.roomy()
                return ROOM
            if self._unread > UNREAD_BYTES:
                return self._fail(errors.UNREAD)
            if self._partial is not None:
                frame = self._gathered()
                if frame is None:
                    return FAILED if self.failed else MORE
                event = self._frame(frame, 0, len(frame) - 9)
            else:
                at = self._pos
                if self._end - at < 9:
                    self._keep(9)
                    return MORE
                p = self._data
                size = (
                    (cython.cast(cython.Py_ssize_t, p[at]) << 16)
                    | (cython.cast(cython.Py_ssize_t, p[at + 1]) << 8)
                    | p[at + 2]
                )
                if size > self.settings.max_frame_size:
                    return self._fail(errors.FRAME_TOO_LARGE)
                if self._end - at < 9 + size:
                    self._keep(9 + size)
                    return MORE
                self._pos = at + 9 + size
                event = self._frame(self._data, at, size)
            if event != MORE:
                return event

    def follows(self, s, end):
        """Whether the next frame is all there and goes on with `s`: by data, or (`end`) by trailers. Then the next
        `read` says so, or that it is an error."""
        at: cython.Py_ssize_t = self._pos
        size: cython.Py_ssize_t
        p: cython.p_uchar = self._data
        if self._end - at < 9 or self._partial is not None or self._block is not None or self._roomy:
            return False
        size = (
            (cython.cast(cython.Py_ssize_t, p[at]) << 16)
            | (cython.cast(cython.Py_ssize_t, p[at + 1]) << 8)
            | p[at + 2]
        )
        if size == 0 or self._end - at < 9 + size or number(p, at + 5) & 0x7FFFFFFF != s.id:
            return False
        if end:
            return p[at + 3] == FRAME_HEADERS and p[at + 4] & (END_HEADERS | END_STREAM) == END_HEADERS | END_STREAM
        return p[at + 3] == FRAME_DATA and not p[at + 4] & PADDED

    def _read_preface(self):
        """A client's, as far as it is there."""
        n: cython.Py_ssize_t = min(self._preface, self._end - self._pos)
        start: cython.Py_ssize_t = len(PREFACE) - self._preface
        if n and not native.equal(self._data, self._pos, PREFACE[start : start + n], n):
            return self._fail(errors.BAD_PREFACE)
        self._pos += n
        self._preface -= n
        return MORE

    def _keep(self, need):
        """Keeps what is there of a frame until `need` bytes of it are."""
        if self._pos < self._end:
            self._partial = bytearray(self._data[self._pos : self._end])
            self._need = need
        self._data = b""
        self._pos = self._end = 0

    def _gathered(self):
        """The frame of which a part was kept, once it is whole; its length is known when its head is."""
        partial: bytearray = self._partial
        n: cython.Py_ssize_t
        size: cython.Py_ssize_t
        while True:
            n = min(self._need - len(partial), self._end - self._pos)
            partial += self._data[self._pos : self._pos + n]
            self._pos += n
            if len(partial) < self._need:
                self._data = b""
                self._pos = self._end = 0
                return None
            size = (
                (cython.cast(cython.Py_ssize_t, partial[0]) << 16)
                | (cython.cast(cython.Py_ssize_t, partial[1]) << 8)
                | partial[2]
            )
            if size > self.settings.max_frame_size:
                self._fail(errors.FRAME_TOO_LARGE)
                return None
            if len(partial) == 9 + size:
                self._partial = None
                return bytes(partial)
            self._need = 9 + size

    def _frame(self, data, at, size):
        """One whole frame, `size` bytes behind its head at `at`."""
        p: cython.p_uchar = data
        type: cython.int = p[at + 3]
        flags: cython.int = p[at + 4]
        id: cython.uint = number(p, at + 5) & 0x7FFFFFFF
        at += 9
        if self._block is not None and (type != FRAME_CONTINUATION or id != self._block_id):
            return self._fail(errors.INTERRUPTED_BLOCK)
        if not self._begun:
            if type != FRAME_SETTINGS or flags & ACK:
                return self._fail(errors.NO_SETTINGS)
            self._begun = True
        if type == FRAME_HEADERS:
            return self._read_headers(data, at, size, flags, id)
        if type == FRAME_DATA:
            return self._read_data(data, at, size, flags, id)
        if type == FRAME_CONTINUATION:
            return self._read_continuation(data, at, size, flags, id)
        return self._control_frame(data, at, size, type, flags, id)
