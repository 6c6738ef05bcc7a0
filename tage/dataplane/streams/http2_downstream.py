"""HTTP/2 connections of clients: many requests at a time, each a stream of its own, answered as they come.

    Session.read --> HEAD --> Stream --> ... --> answer --> Session.send_response, send_data

What the protocol asks for is the session's (`protocols.http2.session`). Here is what becomes of it: requests, their
ends and their resets, and an answer that waits for its client (`full`): it holds up its own upstream's stream and no
other. The connection itself is always read on, or two such proxies could wait for each other; what a client that reads
nothing makes us write is bounded (`shared_downstream`).

A request's head and the data behind it mostly come in one read and are one event for the stream.

Requests to switch protocols (extended CONNECT, RFC 8441) are as HTTP/1.1 has them (`heads`): what their clients send
waits until the answer agrees.

The end. A client is told to go (GOAWAY, with the highest id that there is), may still send what was under way to us
for `_DRAIN_MS`, is told which requests were the last, and is left when all are answered.
"""

import cython

from tage.dataplane.protocols import errors
from tage.dataplane.protocols.http2.heads import Http2RequestHead
from tage.dataplane.protocols.http2.session import Session
from tage.dataplane.protocols.http2.settings import Http2Settings
from tage.dataplane.protocols.http2.stream_state import StreamState
from tage.dataplane.protocols.local_reply import described, grpc_lines, local_lines
from tage.dataplane.streams.context import ListenerState
from tage.dataplane.streams.shared_downstream import SharedDownstreamConnection
from tage.dataplane.streams.stream import Stream
from tage.dataplane.telemetry.layout import LISTENER

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.http2.control import (
        DATA,
        END,
        FAILED,
        GOAWAY,
        HEAD,
        MORE,
        PROBLEM,
        RESET,
        ROOM,
    )
    from tage.dataplane.protocols.http2.frames import INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR
    from tage.dataplane.protocols.message import CONTENT_LENGTH

_CX_IDLE = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_cx_idle_timeout"))
_CX_PROTOCOL_ERROR = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_cx_protocol_error"))
_RX_BYTES = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_cx_rx_bytes_total"))

_DRAIN_MS = cython.declare(cython.longlong, 1_000)
_STALLED_MS = cython.declare(cython.longlong, 300_000)
_ANY_STREAM = cython.declare(cython.uint, 0x7FFFFFFF)


class Http2DownstreamConnection(SharedDownstreamConnection):
    """`_live` are the streams that are not over. Of those that are, the end of the answer may still wait for the client
    in the session."""

    def __init__(self, listener: ListenerState) -> None:
        SharedDownstreamConnection.__init__(self, listener)
        settings: Http2Settings = listener.http2
        self.session = Session(True, settings, self.output.writer)
        self.session.gather(self.output.pieces)
        self._live = 0
        self._asked = 0
        self._quiet_since = 0
        self._drain_due = 0
        self._early = None

    # -- from the transport --------------------------------------------------------------------------------------------

    def opened(self):
        self.enter()
        self.begin()

    def take_over(self, former, data):
        """The connection of `former`, which has found HTTP/2 on it; `data` is what came."""
        self.succeed(former)
        self.begin()
        if data:
            self.received(data)

    def begin(self):
        SharedDownstreamConnection.begin(self)
        self._quiet_since = self.heard
        self.session.start()
        self.output.queue()
        self._watch(self.heard)

    def received(self, data):
        event: cython.int
        self.listener.stats.add(_RX_BYTES, len(data))
        if self.closing:
            return
        self.heard = self.listener.context.wheel.now()
        self._asked = 0
        self.session.feed(data)
        while not self.closing:
            event = self.session.read(self.heard)
            if event == HEAD:
                self._head(self.session.stream)
            elif event == DATA:
                self._data(self.session.stream)
            elif event == END:
                self._end(self.session.stream)
            elif event == MORE:
                break
            elif event == ROOM:
                self._room(self.session.stream)
            elif event == RESET:
                self._reset(self.session.stream)
            elif event == PROBLEM:
                self._problem(self.session.stream)
            elif event == GOAWAY:
                self.drain()  # it closes the connection itself, soon, and may have sent more by then
            elif event == FAILED:
                self._failed()
        if not self.closing:
            self.output.queue()
            self.end_if_done()

    def ended(self):
        """The client sends no more; what it asked for completely is still answered, unless it has used up a window,
        which nobody will open again."""
        stream: Stream
        state: StreamState
        self.peer_ended = True
        for stream in self.session.owners():
            state = stream.downstream_state
            if not state.remote_ended or self.session.spent(state):
                stream.downstream_closed()
                self.session.reset(state, NO_ERROR)
        self.end_if_done()
        return not self.closing

    def lost(self, error):
        self.leave()
        self._give_up()

    def _give_up(self):
        """All that is under way: its client is gone."""
        stream: Stream
        for stream in self.session.owners():
            stream.downstream_closed()

    def congested(self):
        stream: Stream
        self.session.block()
        for stream in self.session.owners():
            stream.downstream_congested()

    def drained(self):
        stream: Stream
        self.session.unblock()
        self.output.queue()
        if self.write_paused:
            return
        while self.session.roomy() is not None:
            pass  # all are told
        for stream in self.session.owners():
            if not self.full(stream):
                stream.downstream_drained()
        self.end_if_done()

    # -- requests ------------------------------------------------------------------------------------------------------

    def _head(self, state):
        """A request, with what is there of its body."""
        head: Http2RequestHead = state.head
        stream: Stream
        data: bytes = None
        ended: cython.bint = self.session.ended
        if not ended and head.upgrade is None and self.session.follows(state, False):
            if self.session.read(self.heard) != DATA:
                self._reset(state)
                return
            data = self.session.payload
            ended = self.session.ended
        stream = Stream(self)
        stream.downstream_state = state
        state.owner = stream
        self._live += 1
        head.scheme = self.scheme  # that of this connection, whatever the client says
        self.count_request()
        if head.upgrade is not None:
            self._asks_for_tunnel(state, ended)
            head.body_length = 0
            ended = True
        stream.start(head, data, ended)

    def _asks_for_tunnel(self, state, ended):
        """What the client sends for it waits until there is one."""
        early: dict = self._early
        if early is None:
            early = self._early = {}
        early[state.id] = [ended]
        self.session.hold(state)

    def _data(self, state):
        stream: Stream = state.owner
        early: list
        if stream is None:
            return
        early = self._early.get(state.id) if self._early is not None else None
        if early is None:
            stream.request_data(self.session.payload, self.session.ended)
        else:
            early[0] = self.session.ended
            early.append(self.session.payload)

    def _end(self, state):
        stream: Stream = state.owner
        early: list
        if stream is None:
            return
        early = self._early.get(state.id) if self._early is not None else None
        if early is None:
            stream.request_trailers = self.session.trailers
            stream.request_data(None, True)
        else:
            early[0] = True

    def _room(self, state):
        stream: Stream = state.owner
        if stream is not None and not self.write_paused:
            stream.downstream_drained()

    def _reset(self, state):
        stream: Stream = state.owner
        if self.session.problem is not None:
            self.listener.stats.up(_CX_PROTOCOL_ERROR)
            if stream is not None:
                stream.downstream_failed(errors.MALFORMED, stream.status)
        elif stream is not None:
            stream.downstream_closed()

    def _problem(self, state):
        """A request that never was one."""
        error = errors.MALFORMED
        status: cython.int = error.status
        self.listener.stats.up(_CX_PROTOCOL_ERROR)
        if self.session.too_large:
            status = 431
            self.session.send_local(state, status, b"server: " + self.listener.server_name + b"\r\n", True)
        else:
            self.session.reset(state, PROTOCOL_ERROR)
        self.count_refused(error, status, 0)

    def _failed(self):
        self.listener.stats.up(_CX_PROTOCOL_ERROR)
        self.leaving = True
        self.close()
        self._give_up()

    def protocol(self):
        return "HTTP/2"

    # -- answers, from streams -----------------------------------------------------------------------------------------

    def send_interim(self, stream, head):
        asker: Stream = stream
        state: StreamState = asker.downstream_state
        if not state.closed and head.status != 101:  # RFC 9113, 8.6
            self.session.send_response(state, head, None, False)
            self.output.queue()

    def send_response(self, stream, head, edits, data, end):
        asker: Stream = stream
        state: StreamState = asker.downstream_state
        trailers: bytes = asker.response_trailers if end else None
        if state.closed:
            return
        if data is None and trailers is None:
            self.session.send_response(state, head, edits, end)
        else:
            self.session.send_response(state, head, edits, False)
            self.session.send_data(state, data, end, trailers)
        self.queue()
        if state.full and not end:
            asker.downstream_congested()

    def send_data(self, stream, data, end):
        asker: Stream = stream
        state: StreamState = asker.downstream_state
        if state.closed:
            return
        self.session.send_data(state, data, end, asker.response_trailers if end else None)
        self.queue()
        if state.full and not end:
            asker.downstream_congested()

    def send_error(self, stream, error, status, body, edits):
        asker: Stream = stream
        state: StreamState = asker.downstream_state
        head: Http2RequestHead = state.head
        if state.closed:
            return 0
        if head.grpc:
            self._send_local(state, 200, grpc_lines(error, status, body, self.listener.server_name, edits), None)
            return 0
        lines, body = local_lines(status, *described(error, body, self.listener.server_name), edits)
        if head.method == b"HEAD":
            body = None
        self._send_local(state, status, lines, body or None)
        return len(body) if body else 0

    def _send_local(self, state, status, lines, body):
        self.session.send_local(state, status, lines, body is None)
        if body is not None:
            self.session.send_data(state, body, True, None)
        self.queue()

    def open_tunnel(self, stream, head, edits, data):
        asker: Stream = stream
        state: StreamState = asker.downstream_state
        early: list = self._early.pop(state.id)
        if state.closed:
            return
        edits.drop |= 1 << CONTENT_LENGTH
        self.send_response(stream, head, edits, data, False)
        self.session.proceed(state)
        if len(early) > 1 or early[0]:
            asker.request_data(b"".join(early[1:]) or None, early[0])

    def reset_stream(self, stream):
        asker: Stream = stream
        state: StreamState = asker.downstream_state
        if state.closed:
            return
        if state.head.grpc:  # its trailers say that there was more to come
            self.session.send_data(state, None, True, asker.response_trailers)
        else:
            self.session.reset(state, INTERNAL_ERROR)
        self.queue()

    def full(self, stream):
        asker: Stream = stream
        state: StreamState = asker.downstream_state
        return self.write_paused or state.full

    def hold(self, stream):
        asker: Stream = stream
        self.session.hold(asker.downstream_state)

    def proceed(self, stream):
        asker: Stream = stream
        self.session.proceed(asker.downstream_state)
        self.output.queue()

    def stream_ended(self, stream):
        asker: Stream = stream
        state: StreamState = asker.downstream_state
        asker.downstream_state = None
        state.owner = None
        self._live -= 1
        self._quiet_since = self.listener.context.wheel.latest  # the stream has just looked
        if self._early is not None:
            self._early.pop(state.id, None)
        if not state.closed:
            self.session.abandon(state)
        if not self.closing and self._live == 0:
            self.end_if_done()

    # -- the end -------------------------------------------------------------------------------------------------------

    def nothing_waits(self):
        return self._live == 0 and self.session.active == 0

    def tell_to_go(self):
        self.session.go_away(_ANY_STREAM, NO_ERROR)
        self.output.queue()
        now: cython.longlong = self.listener.context.wheel.now()
        self._drain_due = now + _DRAIN_MS
        self._watch(now)

    # -- time ----------------------------------------------------------------------------------------------------------

    def expire(self):
        if self.closing:
            self.expire_closing(self.listener.context.wheel)
        else:
            self._watch(self.listener.context.wheel.now())

    def _watch(self, now):
        """Does what is due, and looks again when the next of it may be."""
        due: cython.longlong = 0
        left: cython.longlong
        if self._drain_due:
            due = self._drain_due - now
            if due <= 0:
                due = self._drain_due = 0
                self._leave()
        if not self.closing:
            left = self._until_idle(now)
            if left and (due == 0 or left < due):
                due = left
        if not self.closing and self.session.settings.keepalive_interval:
            left = self._until_asked(now)
            if due == 0 or left < due:
                due = left
        if due and not self.closing:
            self.listener.context.wheel.arm(self, due)

    def _leave(self):
        """The requests that have come are the last."""
        self.leaving = True
        self.session.go_away(self.session.last_peer_id, NO_ERROR)
        self.output.queue()
        self.end_if_done()

    def _until_idle(self, now):
        """How long the connection may still be without requests, ms; 0: for ever, or it may not any longer. What is
        left of answers has as long as the client takes some of it now and then."""
        limit: cython.longlong = self.listener.idle_timeout
        left: cython.longlong
        if self._live:
            return limit
        if self.session.active:
            left = self.heard + _STALLED_MS - now
            if left <= 0:
                self.reset()
            return left
        if limit == 0:
            return 0
        left = self._quiet_since + limit - now
        if left <= 0:
            self.listener.stats.up(_CX_IDLE)
            self._leave()
            return 0
        return left

    def _until_asked(self, now):
        """How long the client may still be silent, ms."""
        every: cython.longlong = self.session.settings.keepalive_interval
        left: cython.longlong = self.heard + every - now
        if left > 0:
            return left
        if self._asked:
            left = self._asked + self.session.settings.keepalive_timeout - now
            if left <= 0:
                self.reset()
            return left
        self._asked = now
        self.session.ping(0)
        self.output.queue()
        return self.session.settings.keepalive_timeout
