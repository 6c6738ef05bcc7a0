"""`Control`: the part of a session that reads all frames but messages: SETTINGS, WINDOW_UPDATE, RST_STREAM, PING,
GOAWAY, PRIORITY, and what is unknown (RFC 9113, 6). Each returns an `Event`, MORE where there is nothing to tell.

Whatever moves no message forward is charged (`defences`).
"""

from enum import IntEnum

import cython

from tage.dataplane.protocols.http2 import errors
from tage.dataplane.protocols.http2.defences import Budget
from tage.dataplane.protocols.http2.hpack.decoder import HpackDecoder
from tage.dataplane.protocols.http2.sending import Sending
from tage.dataplane.protocols.http2.settings import Http2Settings
from tage.dataplane.protocols.http2.stream_state import StreamState
from tage.dataplane.protocols.writer import ByteWriter

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.http2.defences import RESETS, RESETS_A_SECOND
    from tage.dataplane.protocols.http2.frames import (
        ACK,
        ENABLE_CONNECT_PROTOCOL,
        ENABLE_PUSH,
        FLOW_CONTROL_ERROR,
        FRAME_GOAWAY,
        FRAME_PING,
        FRAME_PRIORITY,
        FRAME_PUSH_PROMISE,
        FRAME_RST_STREAM,
        FRAME_SETTINGS,
        FRAME_SIZE_ERROR,
        FRAME_WINDOW_UPDATE,
        HEADER_TABLE_SIZE,
        INITIAL_WINDOW_SIZE,
        MAX_CONCURRENT_STREAMS,
        MAX_FRAME_SIZE,
        PROTOCOL_ERROR,
        number,
        put_frame_head,
        put_goaway,
        put_rst,
    )

    Event = IntEnum("Event", "MORE HEAD DATA END RESET ROOM GOAWAY SETTINGS PONG FAILED PROBLEM", start=0)
    MORE, HEAD, DATA, END, RESET, ROOM, GOAWAY, SETTINGS, PONG, FAILED, PROBLEM = range(11)

_MOST_WINDOW = cython.declare(cython.longlong, 0x7FFFFFFF)
_LEAST_FRAME = cython.declare(cython.uint, 16_384)
_MOST_FRAME = cython.declare(cython.uint, 16_777_215)
_NO_LIMIT = cython.declare(cython.longlong, 0xFFFFFFFF)


class Control(Sending):
    """What the last event was of: `session.Session`."""

    def __init__(self, server: cython.bint, settings: Http2Settings, out: ByteWriter) -> None:
        Sending.__init__(self, server, settings, out)
        self.stream = None
        self.code = 0
        self.last_id = 0
        self.opaque = 0
        self.error = None
        self.problem = None
        self.last_peer_id = 0
        self.peer_allows_connect = False
        self._decoder = HpackDecoder(settings.header_table_size)
        self._resets = Budget(RESETS, RESETS_A_SECOND)
        self._last = None
        self._seen = 0
        self._now = 0
        self._settings_seen = False

    # -- streams -------------------------------------------------------------------------------------------------------

    def _find(self, id):
        s: StreamState = self._last
        if s is not None and s.id == id and not s.closed:
            return s
        s = self.streams.get(id)
        if s is not None:
            self._last = s
        return s

    def _idle(self, id):
        """Whether no stream has had that id yet; those of the other parity never will."""
        if self.server:
            return id & 1 == 0 or id > self._seen
        return id & 1 == 0 or id >= self.next_id

    def _ignored(self, id):
        """Whether frames may come for a stream that is gone: it was reset here, or begun behind our GOAWAY."""
        return id in self._reset_here or (self.server and self.goaway_sent and id > self.goaway_last)

    def _stream_error(self, s, code, problem):
        """RFC 9113, 5.4.2."""
        self.reset(s, code)
        return self._gone(s, code, problem)

    def _gone(self, s, code, problem):
        """A stream was reset. Whoever has it is told, also where it was one too many: the next event is FAILED then."""
        if self._lost(s) and s.silent:
            return FAILED
        self.code = code
        self.problem = problem
        return self._told(s, RESET)

    def _refuse(self, id, code):
        """RST_STREAM for a stream that is closed, or that never is to be."""
        put_rst(self._out, id, code)
        if self.blocked:
            self._unread += 13

    def _told(self, s, event):
        if s.silent:
            return MORE
        self.stream = s
        return event

    def _lost(self, s):
        """A request was reset, by the peer or by its fault: 1 if there were too many."""
        if self.server and not s.answered and not self._resets.take(self._now, 1):
            self._fail(errors.TOO_MANY_RESETS)
            return 1
        return 0

    # -- the connection ------------------------------------------------------------------------------------------------

    def _fail(self, error):
        """RFC 9113, 5.4.1."""
        if not self.failed:
            put_goaway(self._out, cython.cast(cython.uint, self.last_peer_id), error.code, error.reason.encode())
            self.failed = True
            self.goaway_sent = True
        self.stream = None
        self.error = error
        self.code = error.code
        return FAILED

    def _charge(self, frames):
        """MORE while the peer may send such."""
        if self._frames.take(self._now, frames):
            return MORE
        return self._fail(errors.TOO_MANY_FRAMES)

    def _control_frame(self, data, at, size, type, flags, id):
        if type == FRAME_WINDOW_UPDATE:
            return self._read_window_update(data, at, size, id)
        if type == FRAME_RST_STREAM:
            return self._read_rst(data, at, size, id)
        if type == FRAME_SETTINGS:
            return self._read_settings(data, at, size, flags, id)
        if type == FRAME_PING:
            return self._read_ping(data, at, size, flags, id)
        if type == FRAME_GOAWAY:
            return self._read_goaway(data, at, size, id)
        if type == FRAME_PRIORITY:
            return self._read_priority(data, at, size, id)
        if type == FRAME_PUSH_PROMISE:
            return self._fail(errors.PUSH)
        return self._charge(1)  # of a type that is not known: ignored (5.5)

    def _read_window_update(self, data, at, size, id):
        s: StreamState
        increment: cython.longlong
        if size != 4:
            return self._fail(errors.BAD_LENGTH)
        increment = number(data, at) & 0x7FFFFFFF
        if not self._frames.take(self._now, 1):
            return self._fail(errors.TOO_MANY_FRAMES)
        if id == 0:
            if increment == 0:
                return self._fail(errors.ZERO_INCREMENT)
            self._window += increment
            if self._window > _MOST_WINDOW:
                return self._fail(errors.WINDOW_OVERFLOW)
            if self._ready:
                self._pump()
            return MORE
        s = self._find(id)
        if s is None:
            if self._idle(id):
                return self._fail(errors.IDLE_STREAM)
            if increment == 0 and not self._ignored(id):
                self._refuse(id, PROTOCOL_ERROR)
            return MORE
        if increment == 0:
            return self._stream_error(s, PROTOCOL_ERROR, "WINDOW_UPDATE by nothing")
        s.send_window += increment
        if s.send_window > _MOST_WINDOW:
            return self._stream_error(s, FLOW_CONTROL_ERROR, "a window beyond 2^31-1")
        if s.pending_bytes > 0 and not s.queued and s.send_window > 0:
            self._turn(s)
            self._pump()
        return MORE

    def _read_rst(self, data, at, size, id):
        s: StreamState
        if size != 4:
            return self._fail(errors.BAD_LENGTH)
        if id == 0:
            return self._fail(errors.NO_STREAM)
        s = self._find(id)
        if s is None:
            if self._idle(id):
                return self._fail(errors.IDLE_STREAM)
            self._reset_here.pop(id, None)
            return self._charge(1)
        self._close(s)
        return self._gone(s, number(data, at), None)

    def _read_priority(self, data, at, size, id):
        """Ignored (5.3.2), but for what is an error."""
        s: StreamState
        if id == 0:
            return self._fail(errors.NO_STREAM)
        if size == 5 and number(data, at) & 0x7FFFFFFF != id:
            return self._charge(1)
        s = self._find(id)
        if s is None:
            return self._fail(errors.BAD_LENGTH if size != 5 else errors.SELF_DEPENDENCY)
        if size != 5:
            return self._stream_error(s, FRAME_SIZE_ERROR, "PRIORITY of another length than 5")
        return self._stream_error(s, PROTOCOL_ERROR, "a stream that depends on itself")

    def _read_ping(self, data, at, size, flags, id):
        if id != 0:
            return self._fail(errors.NO_CONNECTION)
        if size != 8:
            return self._fail(errors.BAD_LENGTH)
        if flags & ACK:
            self.opaque = (cython.cast(cython.ulonglong, number(data, at)) << 32) | number(data, at + 4)
            self.stream = None
            return PONG if self._frames.take(self._now, 1) else self._fail(errors.TOO_MANY_FRAMES)
        put_frame_head(self._out, 8, FRAME_PING, ACK, 0)
        self._out.put_slice(data, at, at + 8)
        if self.blocked:
            self._unread += 17
        return self._charge(1)

    def _read_goaway(self, data, at, size, id):
        if id != 0:
            return self._fail(errors.NO_CONNECTION)
        if size < 8:
            return self._fail(errors.BAD_LENGTH)
        self.last_id = number(data, at) & 0x7FFFFFFF
        self.code = number(data, at + 4)
        self.goaway_received = True
        self.stream = None
        return GOAWAY if self._frames.take(self._now, 1) else self._fail(errors.TOO_MANY_FRAMES)

    # -- settings ------------------------------------------------------------------------------------------------------

    def _read_settings(self, data, at, size, flags, id):
        """RFC 9113, 6.5."""
        i: cython.Py_ssize_t
        value: cython.uint
        window: cython.longlong = -1
        error: object
        if id != 0:
            return self._fail(errors.NO_CONNECTION)
        if flags & ACK:
            if size != 0:
                return self._fail(errors.BAD_LENGTH)
            if not self.settings_acked:
                self.settings_acked = True
                self._decoder.acknowledged()
                return MORE
            return self._charge(1)
        if size % 6:
            return self._fail(errors.BAD_LENGTH)
        if not self._settings_seen:
            self._settings_seen = True
            self.peer_max_streams = _NO_LIMIT
        for i in range(at, at + size, 6):
            value = number(data, i + 2)
            if data[i] == 0 and data[i + 1] == INITIAL_WINDOW_SIZE:
                window = value
                error = errors.BAD_INITIAL_WINDOW if window > _MOST_WINDOW else None
            else:
                error = self._setting((cython.cast(cython.uint, data[i]) << 8) | data[i + 1], value)
            if error is not None:
                return self._fail(error)
        put_frame_head(self._out, 0, FRAME_SETTINGS, ACK, 0)
        if self.blocked:
            self._unread += 9
        if not self._frames.take(self._now, 1 + size // 6 + (self.active >> 4 if window >= 0 else 0)):
            return self._fail(errors.TOO_MANY_FRAMES)
        if window >= 0:
            error = self._resize_windows(window)
            if error is not None:
                return self._fail(error)
        self.stream = None
        return SETTINGS

    def _setting(self, setting, value):
        """What is wrong with it; None: nothing. One that is not known is ignored."""
        if setting == HEADER_TABLE_SIZE:
            self._encoder.resize(value)
        elif setting == ENABLE_PUSH:
            if value > 1 or (value == 1 and not self.server):
                return errors.BAD_SETTING
        elif setting == MAX_CONCURRENT_STREAMS:
            self.peer_max_streams = value
        elif setting == MAX_FRAME_SIZE:
            if value < _LEAST_FRAME or value > _MOST_FRAME:
                return errors.BAD_SETTING
            self._peer_frame = value
        elif setting == ENABLE_CONNECT_PROTOCOL:
            if value > 1 or (value == 0 and self.peer_allows_connect):  # RFC 8441, 3
                return errors.BAD_SETTING
            self.peer_allows_connect = value == 1
        return None

    def _resize_windows(self, window):
        """A new INITIAL_WINDOW_SIZE moves the windows of all streams, below nothing too (6.9.2). Once a frame, however
        often it stands there: it costs a step for each stream."""
        s: StreamState
        delta: cython.longlong = window - self._peer_window
        self._peer_window = window
        if delta == 0:
            return None
        for s in self.streams.values():
            s.send_window += delta
            if s.send_window > _MOST_WINDOW:
                return errors.WINDOW_OVERFLOW
            if s.pending_bytes > 0 and not s.queued and s.send_window > 0:
                self._turn(s)
        self._pump()
        return None
