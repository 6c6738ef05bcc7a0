"""`Messages`: the part of a session that reads HEADERS, CONTINUATION and DATA: what a message is made of, in
which order that may come (RFC 9113, 5.1 and 8.1), and what becomes of that which comes for a stream that is gone."""

import cython

from tage.dataplane.protocols.http2 import errors
from tage.dataplane.protocols.http2.control import Control
from tage.dataplane.protocols.http2.fields import Fields
from tage.dataplane.protocols.http2.heads import Http2RequestHead, Http2ResponseHead
from tage.dataplane.protocols.http2.settings import Http2Settings
from tage.dataplane.protocols.http2.stream_state import StreamState
from tage.dataplane.protocols.writer import ByteWriter

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.http2.control import DATA, END, FAILED, HEAD, MORE, PROBLEM
    from tage.dataplane.protocols.http2.defences import CONTINUATIONS, FRAMES_A_STREAM
    from tage.dataplane.protocols.http2.fields import REQUEST, RESPONSE, TRAILERS
    from tage.dataplane.protocols.http2.frames import (
        END_HEADERS,
        END_STREAM,
        FLOW_CONTROL_ERROR,
        PADDED,
        PRIORITY,
        PROTOCOL_ERROR,
        REFUSED_STREAM,
        STREAM_CLOSED,
        number,
        put_window_update,
    )
    from tage.dataplane.protocols.http2.heads import request_head, response_head, trailer_lines
    from tage.dataplane.protocols.http2.stream_state import new_stream

_DEFAULT_WINDOW = cython.declare(cython.longlong, 65_535)
_TOO_LARGE = cython.declare(str, "a head larger than the limit")
_LENGTH = cython.declare(str, "another length than content-length says")
_DEPENDS = cython.declare(str, "a stream that depends on itself")
_WIDEST = cython.declare(cython.Py_ssize_t, 4_194_304)
"""Bytes: what a stream's window grows to. All streams of a connection together have no more beyond their first windows
than its own window."""
_QUICK_MS = cython.declare(cython.longlong, 50)  # for half a window

_FIELDS = cython.declare(Fields, Fields())
"""What one block decodes to is taken before the next is begun, so one serves all sessions of a thread."""


class Messages(Control):
    """`session.Session`."""

    def __init__(self, server: cython.bint, settings: Http2Settings, out: ByteWriter) -> None:
        Control.__init__(self, server, settings, out)
        self.head = None
        self.payload = None
        self.trailers = None
        self.ended = False
        self.too_large = False
        self._fields = _FIELDS
        self._response = None if server else Http2ResponseHead()
        self._recv_window = _DEFAULT_WINDOW
        self._unacked = 0
        self._block = None
        self._block_id = 0
        self._block_flags = 0
        self._block_frames = 0
        self._block_depends = False

    # -- data ----------------------------------------------------------------------------------------------------------

    def _read_data(self, data, at, size, flags, id):
        """RFC 9113, 6.1. Padding takes from the windows too."""
        s: StreamState
        start: cython.Py_ssize_t = at
        end: cython.Py_ssize_t = at + size
        p: cython.p_uchar = data
        ended: cython.bint = flags & END_STREAM != 0
        if id == 0:
            return self._fail(errors.NO_STREAM)
        if flags & PADDED:
            if size == 0:
                return self._fail(errors.BAD_LENGTH)
            start += 1
            end -= p[at]
            if end < start:
                return self._fail(errors.BAD_PADDING)
        self._recv_window -= size
        if self._recv_window < 0:
            return self._fail(errors.WINDOW_EXCEEDED)
        self._unacked += size
        if self._unacked * 2 >= self.settings.initial_connection_window:
            self._recv_window += self._unacked
            put_window_update(self._out, 0, cython.cast(cython.uint, self._unacked))
            self._unacked = 0
        s = self._find(id)
        if s is None:
            return self._data_of_none(id, flags)
        if s.remote_ended:
            return self._stream_error(s, STREAM_CLOSED, "data behind the end")
        if not self.server and not s.answered:
            return self._stream_error(s, PROTOCOL_ERROR, "data in front of the head")
        s.recv_window -= size
        if s.recv_window < 0:
            return self._stream_error(s, FLOW_CONTROL_ERROR, "more data than the window allowed")
        if s.left >= 0:
            s.left -= end - start
            if s.left < 0 or (ended and s.left > 0):
                return self._stream_error(s, PROTOCOL_ERROR, _LENGTH)
        s.unacked += size
        if ended:
            self._remote_end(s)
        elif not s.held and not s.dropped:
            self._give(s)
        if start == end and not ended:
            return self._charge(1)
        if s.dropped:
            return MORE
        self.stream = s
        if start == end:
            self.trailers = None
            return END
        self.ended = ended
        self.payload = p[start:end]
        return DATA

    def _data_of_none(self, id, flags):
        if self._idle(id):
            return self._fail(errors.IDLE_STREAM)
        if self._ignored(id):
            if flags & END_STREAM:
                self._reset_here.pop(id, None)
            return MORE
        self._refuse(id, STREAM_CLOSED)
        return self._charge(1)

    def _give(self, s):
        """Opens the stream's window again when half of it is used, and wider where that was quick and the reader kept
        up: the window is what is under way at most, and no faster than it goes round can a body come."""
        most: cython.Py_ssize_t = self.settings.initial_stream_window + s.grown
        more: cython.Py_ssize_t = s.unacked
        room: cython.Py_ssize_t
        if more * 2 < most:
            return
        if not s.slowed and self._now - s.given_at <= _QUICK_MS:
            room = min(_WIDEST - most, self.settings.initial_connection_window - self._grown)
            if room > most:
                room = most
            if room > 0:
                s.grown += room
                self._grown += room
                more += room
        s.slowed = False
        s.given_at = self._now
        s.recv_window += more
        put_window_update(self._out, s.id, cython.cast(cython.uint, more))
        s.unacked = 0

    def hold(self, s):
        """The stream's reader is full: its window is not opened again, so that no more than it can come."""
        s.held = s.slowed = True

    def proceed(self, s):
        s.held = False
        if not (s.closed or s.remote_ended or s.dropped or self.failed):
            self._give(s)

    def _remote_end(self, s):
        """END_STREAM has come."""
        s.remote_ended = True
        self._grown -= s.grown
        s.grown = 0
        if s.local_ended:
            self._close(s)

    # -- header blocks -------------------------------------------------------------------------------------------------

    def _read_headers(self, data, at, size, flags, id):
        """RFC 9113, 6.2. The priority is skipped, but for what h2spec (RFC 7540, 5.3.1) calls an error."""
        end: cython.Py_ssize_t = at + size
        p: cython.p_uchar = data
        depends: cython.bint = False
        if id == 0:
            return self._fail(errors.NO_STREAM)
        if flags & (PADDED | PRIORITY):
            if flags & PADDED:
                if size == 0:
                    return self._fail(errors.BAD_LENGTH)
                end -= p[at]
                at += 1
            if flags & PRIORITY:
                if at + 5 > end:
                    return self._fail(errors.BAD_PADDING if flags & PADDED else errors.BAD_LENGTH)
                depends = number(p, at) & 0x7FFFFFFF == id
                at += 5
            if end < at:
                return self._fail(errors.BAD_PADDING)
        if flags & END_HEADERS:
            return self._header_block(data, at, end, id, flags & END_STREAM != 0, depends)
        self._block = bytearray()
        self._block_id = id
        self._block_flags = flags
        self._block_frames = 0
        self._block_depends = depends
        return self._begin_long(data, at, end)

    def _begin_long(self, data, at, end):
        """A part of a block that goes on. What is unpacked is at most as large as a head may be, so what comes is not
        much larger either; the rest is the answer to a head that is."""
        block: bytearray = self._block
        block += data[at:end]
        if len(block) > 2 * self.settings.max_head_bytes + self.settings.max_frame_size:
            return self._fail(errors.BLOCK_TOO_LARGE)
        return MORE

    def _read_continuation(self, data, at, size, flags, id):
        block: bytes
        if self._block is None:
            return self._fail(errors.UNEXPECTED_CONTINUATION)
        self._block_frames += 1
        if self._block_frames > CONTINUATIONS:
            return self._fail(errors.BLOCK_TOO_LARGE)
        if self._begin_long(data, at, at + size) != MORE:
            return FAILED
        if not flags & END_HEADERS:
            return MORE
        block = bytes(self._block)
        self._block = None
        return self._header_block(
            block, 0, len(block), id, self._block_flags & END_STREAM != 0, self._block_depends
        )

    def _header_block(self, data, at, end, id, ended, depends):
        """A whole one, data[at:end]: whose it is."""
        s: StreamState
        if self.server and id > self._seen:
            if id & 1 == 0:
                return self._fail(errors.BAD_STREAM_ID)
            return self._request(data, at, end, id, ended, depends)
        s = self._find(id)
        if s is None:
            if self._idle(id):
                return self._fail(errors.BAD_STREAM_ID if self.server else errors.IDLE_STREAM)
            if self._ignored(id):
                return self._unwanted(data, at, end, id, ended)
            if self.server and not self._closed_lately(id):
                return self._fail(errors.BAD_STREAM_ID)
            return self._fail(errors.STREAM_IS_CLOSED)
        if self.server or s.answered:
            return self._trailers(data, at, end, s, ended, depends)
        return self._answer(data, at, end, s, ended)

    def _decode(self, data, at, end, kind):
        """1: `_fields` are the block's. 0: the connection has failed."""
        settings: Http2Settings = self.settings
        self._fields.reset(kind, settings.max_head_bytes, settings.max_headers)
        if self._decoder.decode(data, at, end, self._fields):
            return 1
        self._fail(errors.bad_block(self._decoder.error))
        return 0

    def _unwanted(self, data, at, end, id, ended):
        """Unpacked for the table's sake alone."""
        self._fields.reset(TRAILERS, 0, 0)
        if not self._decoder.decode(data, at, end, self._fields):
            return self._fail(errors.bad_block(self._decoder.error))
        if ended:
            self._reset_here.pop(id, None)
        return self._charge(1)

    def _request(self, data, at, end, id, ended, depends):
        """A stream that begins."""
        s: StreamState
        head: Http2RequestHead
        fields: Fields = self._fields
        self._seen = id
        if self.goaway_sent and id > self.goaway_last:
            return self._unwanted(data, at, end, id, ended)
        self.last_peer_id = id
        if self.active >= self.settings.max_concurrent_streams:
            self._refuse(id, REFUSED_STREAM)
            if not ended:
                self._remember(id)
            return self._unwanted(data, at, end, id, ended)
        if not self._decode(data, at, end, REQUEST):
            return FAILED
        s = new_stream(id, None)
        s.begun = True
        s.remote_ended = ended
        s.send_window = self._peer_window
        s.recv_window = self._given_window()
        self.streams[id] = s
        self.active += 1
        self._last = s
        self.stream = s
        self._frames.earn(FRAMES_A_STREAM)
        if depends:
            self.problem = _DEPENDS
        elif fields.protocol is not None and not self.settings.allow_connect:
            self.problem = ":protocol, which is not enabled"
        else:
            head = request_head(fields, ended)
            if head is not None:
                s.head = head
                s.left = head.body_length
                self.head = head
                self.ended = ended
                return HEAD
            self.problem = _TOO_LARGE if fields.too_large else fields.problem
        self.too_large = fields.too_large
        s.silent = s.dropped = True
        s.malformed = not fields.too_large
        self.head = None
        return FAILED if self._lost(s) else PROBLEM

    def _answer(self, data, at, end, s, ended):
        """A response's head, or an interim one in front of it (8.1)."""
        fields: Fields = self._fields
        head: Http2ResponseHead = self._response
        if not self._decode(data, at, end, RESPONSE):
            return FAILED
        if not response_head(fields, head, s.to_head, ended):
            return self._stream_error(
                s, PROTOCOL_ERROR, _TOO_LARGE if fields.too_large else fields.problem
            )
        if fields.status < 200:
            if ended:
                return self._stream_error(s, PROTOCOL_ERROR, "an interim response that ends its stream")
            if fields.status == 101:
                return self._stream_error(s, PROTOCOL_ERROR, "101, which HTTP/2 does not have")
            if self._charge(1) != MORE:
                return FAILED
        else:
            s.answered = True
            if s.connects and fields.status < 300 and not ended:
                head.body_length = -1  # a tunnel, whatever the headers say (RFC 9110, 9.3.6)
            s.left = head.body_length
            if ended:
                self._remote_end(s)
            self._frames.earn(FRAMES_A_STREAM)
        self.stream = s
        self.head = head
        self.ended = ended
        return HEAD

    def _trailers(self, data, at, end, s, ended, depends):
        """A second head, which has to be the stream's end (8.1)."""
        fields: Fields = self._fields
        if not self._decode(data, at, end, TRAILERS):
            return FAILED
        if s.remote_ended:
            return self._stream_error(s, STREAM_CLOSED, "a header block behind the end")
        if not ended:
            return self._stream_error(s, PROTOCOL_ERROR, "trailers that do not end the stream")
        if fields.too_large:
            return self._stream_error(s, PROTOCOL_ERROR, "trailers larger than the limit")
        if fields.problem is not None:
            return self._stream_error(s, PROTOCOL_ERROR, fields.problem)
        if depends:
            return self._stream_error(s, PROTOCOL_ERROR, _DEPENDS)
        if s.left > 0:
            return self._stream_error(s, PROTOCOL_ERROR, _LENGTH)
        self._remote_end(s)
        if s.dropped:
            return MORE
        self.stream = s
        self.trailers = trailer_lines(fields)
        return END
