"""`Sending`: the half of a session that puts frames. Heads go out at once; data as far as the windows, the peer's
MAX_FRAME_SIZE and the transport permit (RFC 9113, 5.2 and 6.9), and what may not go yet waits in its stream.

    send_data ── windows open, nothing waits ──────────────► out          (the common case: one copy)
         └────── else: pending ── its turn (`_ready`) ─────► out
                                   a frame each, round and round

`_ready` holds the streams that have data and a window. It is empty unless the connection's window is used up or the
transport is full, so that whoever sends directly passes nobody by.
"""

from collections import deque

import cython

from tage.dataplane.protocols.http2.defences import Budget
from tage.dataplane.protocols.http2.hpack.encoder import HpackEncoder
from tage.dataplane.protocols.http2.settings import Http2Settings
from tage.dataplane.protocols.http2.stream_state import StreamState
from tage.dataplane.protocols.writer import ByteWriter

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.http2.defences import (
        FRAMES,
        FRAMES_A_DATA,
        FRAMES_A_SECOND,
        REMEMBERED,
    )
    from tage.dataplane.protocols.http2.frames import (
        END_HEADERS,
        END_STREAM,
        FRAME_CONTINUATION,
        FRAME_DATA,
        FRAME_HEADERS,
        NO_ERROR,
        PROTOCOL_ERROR,
        end_frame,
        put_frame_head,
        put_goaway,
        put_ping,
        put_rst,
    )
    from tage.dataplane.protocols.http2.stream_state import new_stream
    from tage.dataplane.protocols.http2.write import write_local, write_request, write_response, write_trailers

_HIGH = cython.declare(cython.Py_ssize_t, 65_536)
_LOW = cython.declare(cython.Py_ssize_t, 16_384)
"""Bytes that wait in a stream: above the first its source is to stop, below the second it may go on."""
_FIRST_WINDOW = cython.declare(cython.longlong, 65_535)
_FIRST_FRAME = cython.declare(cython.Py_ssize_t, 16_384)
_FIRST_STREAMS = cython.declare(cython.longlong, 100)
"""What holds until the peer's SETTINGS are there."""
_LARGE = cython.declare(cython.Py_ssize_t, 2_048)
"""Bytes: what is smaller is sooner copied than told apart."""
_LAST_ID = cython.declare(cython.uint, 0x7FFFFFFF)
_CHUNK = cython.declare(cython.Py_ssize_t, 1_024)  # bytes; a frame that a window has cut smaller is the peer's making


class Sending:
    """`out` is where all is put; its owner takes it. Calls for a stream that has ended here, or is closed, do nothing:
    the peer may have reset it a moment ago."""

    def __init__(self, server: cython.bint, settings: Http2Settings, out: ByteWriter) -> None:
        self.server = server
        self.settings = settings
        self.streams = {}
        self.active = 0
        self.peer_max_streams = _FIRST_STREAMS
        self.settings_acked = False
        self.blocked = False
        self.failed = False
        self.goaway_sent = False
        self.goaway_received = False
        self.goaway_last = 0
        self._out = out
        self._pieces = None
        self._encoder = HpackEncoder()
        self._frames = Budget(FRAMES, FRAMES_A_SECOND)
        self._window = _FIRST_WINDOW
        self._peer_window = _FIRST_WINDOW
        self._peer_frame = _FIRST_FRAME
        self._ready = deque()
        self._roomy = deque()
        self._reset_here = {}
        if not cython.compiled:
            self._recent = [0] * 64
        self._recent_at = 0
        self.next_id = 1
        self._to_begin = 0
        self._unread = 0
        self._grown = 0

    def gather(self, pieces):
        """Large parts of bodies go into this list from here on, uncopied, and before each what stood in `out`; so what
        the list has goes out before what `out` has."""
        self._pieces = pieces

    # -- streams -------------------------------------------------------------------------------------------------------

    def open(self, owner):
        """A new stream to a server; None where ids have run out (RFC 9113, 5.1.1) or the peer goes away. It has its id
        from `send_request` on, for ids have to rise on the wire."""
        s: StreamState
        if self.failed or self.goaway_received or self.next_id + 2 * self._to_begin > _LAST_ID:
            return None
        s = new_stream(0, owner)
        self._to_begin += 1
        self.active += 1
        return s

    def _given_window(self):
        """A new stream's: a peer that has not confirmed a smaller one may not know of it."""
        if self.settings_acked or self.settings.initial_stream_window > _FIRST_WINDOW:
            return self.settings.initial_stream_window
        return _FIRST_WINDOW

    def reset(self, s, code):
        """RST_STREAM (RFC 9113, 6.4). The stream is closed: what waits is dropped, what still comes of it ignored."""
        if s.closed:
            return
        if s.begun:
            if not self.failed:
                put_rst(self._out, s.id, code)
                if self.blocked:
                    self._unread += 13
            if not s.remote_ended:
                self._remember(s.id)
        self._close(s)

    def owners(self):
        """Those of streams that have one."""
        s: StreamState
        found: list = []
        for s in self.streams.values():
            if s.owner is not None:
                found.append(s.owner)
        return found

    def forget(self, s):
        """It is gone, and the peer knows: its GOAWAY said that it has not looked at it."""
        if not s.closed:
            self._close(s)

    def abandon(self, s):
        """The rest of a request is not wanted: it is dropped as it comes, and if it has not ended when the answer does,
        RST_STREAM with NO_ERROR follows that (RFC 9113, 8.1)."""
        if s.closed or s.remote_ended:
            return
        s.dropped = True
        if s.local_ended:
            self.reset(s, NO_ERROR)

    def _close(self, s):
        s.closed = True
        self.active -= 1
        if not s.begun:
            self._to_begin -= 1
            return
        del self.streams[s.id]
        self._grown -= s.grown
        self._recent[self._recent_at] = s.id
        self._recent_at = (self._recent_at + 1) & 63
        if s.pending is not None:
            s.pending = None
            s.pending_bytes = 0
        s.full = False
        if s.queued:
            s.queued = False
            self._ready.remove(s)
        if s.roomy:
            s.roomy = False
            self._roomy.remove(s)

    def _remember(self, id):
        """Frames may be under way for a stream that was reset here. The oldest are forgotten: a peer that still sends
        for those is told that they are closed."""
        if len(self._reset_here) >= REMEMBERED:
            del self._reset_here[next(iter(self._reset_here))]
        self._reset_here[id] = None

    def _closed_lately(self, id):
        i: cython.int
        for i in range(64):
            if self._recent[i] == id:
                return True
        return False

    def _local_end(self, s):
        """END_STREAM was put."""
        s.local_ended = True
        if s.malformed:
            self.reset(s, PROTOCOL_ERROR)  # whatever it was answered (8.1.1)
        elif s.remote_ended:
            self._close(s)
        elif s.dropped:
            self.reset(s, NO_ERROR)

    # -- heads ---------------------------------------------------------------------------------------------------------

    def _may_send(self, s):
        return not (s.closed or s.local_ended or s.pending_end or self.failed)

    def send_request(self, s, head, edits, end):
        """`end`: it has no body."""
        at: cython.Py_ssize_t
        method: bytes
        if not self._may_send(s) or s.begun:
            return
        s.begun = True
        s.id = self.next_id
        self.next_id += 2
        self._to_begin -= 1
        s.send_window = self._peer_window
        s.recv_window = self._given_window()
        self.streams[s.id] = s
        method = head.method if edits is None or edits.method is None else edits.method
        s.to_head = method == b"HEAD"
        s.connects = head.upgrade is not None
        s.switches = s.connects and method != b"CONNECT"
        at = self._begin_block(s)
        write_request(self._encoder, self._out, head, edits)
        self._end_block(s, at, end)

    def send_response(self, s, head, edits, end):
        """An interim head too, several of which may go before the other (RFC 9113, 8.1)."""
        at: cython.Py_ssize_t
        if not self._may_send(s):
            return
        if head.status >= 200 or head.status == 101:  # which goes out as 200
            s.answered = True
        at = self._begin_block(s)
        write_response(self._encoder, self._out, head, edits)
        self._end_block(s, at, end)

    def send_local(self, s, status, lines, end):
        """A head of our own making: `lines` are whole header lines."""
        at: cython.Py_ssize_t
        if not self._may_send(s):
            return
        if status >= 200:
            s.answered = True
        at = self._begin_block(s)
        write_local(self._encoder, self._out, status, lines)
        self._end_block(s, at, end)

    def _begin_block(self, s):
        at: cython.Py_ssize_t = self._out.size
        put_frame_head(self._out, 0, FRAME_HEADERS, 0, s.id)
        return at

    def _end_block(self, s, at, end):
        if self._out.size - at - 9 <= self._peer_frame:
            end_frame(self._out, at, END_HEADERS | END_STREAM if end else END_HEADERS)
        else:
            self._split_block(s.id, at, end)
        if self.blocked:
            self._unread += self._out.size - at
        if end:
            self._local_end(s)

    def _split_block(self, id, at, end):
        """A block larger than the peer's MAX_FRAME_SIZE goes on in CONTINUATION frames."""
        out: ByteWriter = self._out
        size: cython.Py_ssize_t = out.size - at - 9
        done: cython.Py_ssize_t = self._peer_frame
        n: cython.Py_ssize_t
        block: bytes
        if cython.compiled:
            block = out._p[at + 9 : at + 9 + size]
        else:
            block = bytes(out._p[at + 9 : at + 9 + size])
        out.cut(at + 9 + done)
        end_frame(out, at, END_STREAM if end else 0)
        while done < size:
            n = min(size - done, self._peer_frame)
            put_frame_head(out, n, FRAME_CONTINUATION, END_HEADERS if done + n == size else 0, id)
            out.put_slice(block, done, done + n)
            done += n

    # -- data ----------------------------------------------------------------------------------------------------------

    def send_data(self, s, data, end, trailers):
        """`data` may be None or empty, `trailers` (lines) come only with `end`. Sets `s.full` where enough waits."""
        n: cython.Py_ssize_t = 0 if data is None else len(data)
        if not self._may_send(s):
            return
        if s.pending_bytes == 0:
            if n == 0:
                if end:
                    self._put_end(s, trailers)
                return
            if not self.blocked and n <= s.send_window and n <= self._window and n <= self._peer_frame:
                put_frame_head(self._out, n, FRAME_DATA, END_STREAM if end and trailers is None else 0, s.id)
                self._put_body(data)
                s.send_window -= n
                self._window -= n
                self._frames.earn(FRAMES_A_DATA)
                if end:
                    if trailers is None:
                        self._local_end(s)
                    else:
                        self._put_end(s, trailers)
                return
        self._wait(s, data, end, trailers)

    def _put_body(self, data):
        """What a frame's head was put for."""
        if self._pieces is None or len(data) < _LARGE:
            self._out.put(data)
        else:
            self._pieces.append(self._out.take())
            self._pieces.append(data)

    def _put_end(self, s, trailers):
        """Takes no window, so it does not wait either."""
        at: cython.Py_ssize_t
        if trailers is None:
            put_frame_head(self._out, 0, FRAME_DATA, END_STREAM, s.id)
            if self.blocked:
                self._unread += 9
            self._local_end(s)
            return
        at = self._begin_block(s)
        write_trailers(self._encoder, self._out, trailers)
        self._end_block(s, at, True)

    def _wait(self, s, data, end, trailers):
        if data is not None and len(data):
            if s.pending is None:
                s.pending = deque()
            s.pending.append(data)
            s.pending_bytes += len(data)
        s.pending_end = end
        s.pending_trailers = trailers
        if not s.queued and s.send_window > 0:
            self._turn(s)
            self._pump()
        if s.pending_bytes > _HIGH:
            s.full = True

    def _turn(self, s):
        self._ready.append(s)
        s.queued = True

    def _pump(self):
        """A frame of each stream that has data and a window, round and round."""
        s: StreamState
        while not self.blocked and self._window > 0 and self._ready:
            s = self._ready.popleft()
            s.queued = False
            if s.send_window <= 0:
                continue  # the peer has made its windows smaller since
            self._put_pending(s)
            if s.pending_bytes > 0 and s.send_window > 0:
                self._turn(s)

    def _put_pending(self, s):
        """A frame of what waits, and the end if it was the last of it."""
        out: ByteWriter = self._out
        size: cython.Py_ssize_t = min(s.pending_bytes, self._peer_frame)
        left: cython.Py_ssize_t
        n: cython.Py_ssize_t
        piece: bytes
        if size > s.send_window:
            size = cython.cast(cython.Py_ssize_t, s.send_window)
        if size > self._window:
            size = cython.cast(cython.Py_ssize_t, self._window)
        left = size
        ended: cython.bint = size == s.pending_bytes and s.pending_end
        put_frame_head(out, size, FRAME_DATA, END_STREAM if ended and s.pending_trailers is None else 0, s.id)
        while left > 0:
            piece = s.pending[0]
            n = len(piece) - s.pending_at
            if n > left:
                out.put_slice(piece, s.pending_at, s.pending_at + left)
                s.pending_at += left
                break
            if s.pending_at == 0:
                self._put_body(piece)
            else:
                out.put_slice(piece, s.pending_at, s.pending_at + n)
            s.pending.popleft()
            s.pending_at = 0
            left -= n
        s.pending_bytes -= size
        s.send_window -= size
        self._window -= size
        if size >= _CHUNK or s.pending_bytes == 0:
            self._frames.earn(FRAMES_A_DATA)
        if ended:
            if s.pending_trailers is None:
                self._local_end(s)
            else:
                self._put_end(s, s.pending_trailers)
        elif s.full and s.pending_bytes < _LOW:
            self._has_room(s)

    def _has_room(self, s):
        s.full = False
        if not s.pending_end and not s.roomy:
            s.roomy = True
            self._roomy.append(s)

    def spent(self, s):
        """Whether what waits goes out only when the peer opens a window."""
        return s.pending_bytes > 0 and (s.send_window <= 0 or self._window <= 0)

    def block(self):
        """The transport is full. Data waits; heads and control frames are few, and counted."""
        self.blocked = True

    def unblock(self):
        """The transport has taken what it was given. `roomy` is to be asked afterwards."""
        self.blocked = False
        self._unread = 0
        if self._ready and not self.failed:
            self._pump()

    def roomy(self):
        """A stream that was full and is not any more: its source may go on. One a call, None: no further."""
        s: StreamState
        if not self._roomy:
            return None
        s = self._roomy.popleft()
        s.roomy = False
        return s

    # -- the connection ------------------------------------------------------------------------------------------------

    def go_away(self, last_id, code):
        """GOAWAY (RFC 9113, 6.8). The peer's streams above `last_id` are not taken; 0x7FFFFFFF announces the end and
        takes all that are under way. A second one does not raise it."""
        if self.failed:
            return
        if not self.goaway_sent or last_id < self.goaway_last:
            self.goaway_last = last_id
        self.goaway_sent = True
        put_goaway(self._out, self.goaway_last, code, b"")

    def ping(self, opaque):
        """Its answer is the event PONG with the same number."""
        if not self.failed:
            put_ping(self._out, opaque, False)
