"""HTTP/2 connections of a pool: many requests at a time, each a stream of its own.

    request --> Session.open --> HEADERS, DATA ... --> answer: head, data, end --> who waits for it

What the protocol asks for is the session's (`protocols.http2.session`): frames, windows, states, what a server may not
do. Here is what becomes of it: a server that resets a stream, or goes away, or breaks the protocol, and a stream whose
data wait (`full`).

A head, the data behind it and the trailers behind those mostly come in one read; they are told to who waits in one call
as far as they are there (`Session.follows`).

GOAWAY: what the server says it has not looked at may be sent again by anybody, so `UNPROCESSED`; the rest is answered,
and the connection takes no more. Requests to switch protocols are extended CONNECT (RFC 8441) here.
"""

import cython

from tage.dataplane.protocols.http2.heads import Http2ResponseHead
from tage.dataplane.protocols.http2.session import Session
from tage.dataplane.protocols.http2.settings import Http2Settings
from tage.dataplane.protocols.http2.stream_state import StreamState
from tage.dataplane.streams.context import Context
from tage.dataplane.streams.shared_upstream import SharedUpstreamConnection
from tage.dataplane.telemetry.layout import CLUSTER
from tage.dataplane.upstream.connection import Receiver
from tage.dataplane.upstream.pool import Pool

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.http2.control import (
        DATA,
        END,
        FAILED,
        GOAWAY,
        HEAD,
        MORE,
        ROOM,
        SETTINGS,
    )
    from tage.dataplane.protocols.http2.control import RESET as WAS_RESET
    from tage.dataplane.protocols.http2.frames import CANCEL, REFUSED_STREAM
    from tage.dataplane.upstream.connection import (
        PROTOCOL_ERROR,
        REFUSED,
        RESET,
        UNPROCESSED,
    )

_RX_BYTES = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_rx_bytes_total"))
_PROTOCOL_ERROR = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_protocol_error"))
_GO_AWAY = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_close_notify"))


class Http2UpstreamConnection(SharedUpstreamConnection):
    def __init__(self, host: Pool, context: Context) -> None:
        SharedUpstreamConnection.__init__(self, host, context.flushes)
        settings: Http2Settings = host.cluster.http2
        self.settings = settings
        self.session = Session(False, settings, self.output.writer)
        self.session.gather(self.output.pieces)
        self.ask_every = settings.keepalive_interval
        self.patience = settings.keepalive_timeout
        self.slots = self.room()

    # -- from the stream -----------------------------------------------------------------------------------------------

    def send_request(self, receiver, head, edits, data, end):
        state: StreamState = self.session.open(receiver)
        trailers: bytes = receiver.request_trailers if end else None
        if state is None:
            self.retire()
            receiver.reset(UNPROCESSED, "the connection takes no further requests")
            return
        receiver.upstream_state = state
        if self.alone:
            self.receiver = receiver
        self.took()
        if head.upgrade is not None:
            self.session.send_request(state, head, edits, False)
        elif data is None and trailers is None:
            self.session.send_request(state, head, edits, end)
        else:
            self.session.send_request(state, head, edits, False)
            self.session.send_data(state, data, end, trailers)
        self.output.queue()
        self.count_limit()
        if state.full:
            receiver.upstream_congested()

    def send_data(self, receiver, data, end):
        state: StreamState = receiver.upstream_state
        if state is None or state.closed:
            return
        self.session.send_data(state, data, end, receiver.request_trailers if end else None)
        self.output.queue()
        if state.full:
            receiver.upstream_congested()
        elif state.closed:  # a tunnel's other direction had ended before
            self._part(state)
            self._freed()

    def cancel(self, receiver):
        state: StreamState = receiver.upstream_state
        self._part(state)
        if not state.closed:
            self.session.reset(state, CANCEL)
            self.output.queue()
        self._freed()

    def carries(self, receiver):
        return receiver.upstream_state is not None

    def full(self, receiver):
        state: StreamState = receiver.upstream_state
        return self.write_paused or (state is not None and state.full)

    def hold(self, receiver):
        if receiver.upstream_state is not None:
            self.session.hold(receiver.upstream_state)

    def proceed(self, receiver):
        if receiver.upstream_state is not None:
            self.session.proceed(receiver.upstream_state)
            self.output.queue()

    def _part(self, state):
        """Nobody waits for that answer here any more."""
        receiver: Receiver = state.owner
        state.owner = None
        if receiver is not None:
            receiver.upstream_state = None

    def _freed(self):
        if self.alone:
            self.receiver = None
            self.leaving = True
        self.freed()

    # -- room ----------------------------------------------------------------------------------------------------------

    def under_way(self):
        return self.session.active

    def most(self):
        allowed: cython.Py_ssize_t = self.session.peer_max_streams
        return allowed if allowed < self.settings.max_concurrent_streams else self.settings.max_concurrent_streams

    # -- to the peer ---------------------------------------------------------------------------------------------------

    def ask(self):
        self.session.ping(0)
        self.output.queue()

    def congested(self):
        receiver: Receiver
        self.slots = 0
        self.session.block()
        for receiver in self.session.owners():
            receiver.upstream_congested()

    def drained(self):
        receiver: Receiver
        self.session.unblock()
        self.output.queue()
        if self.write_paused:
            return
        while self.session.roomy() is not None:
            pass  # all are told
        self.look_for_room()
        for receiver in self.session.owners():
            if not self.full(receiver):
                receiver.upstream_drained()

    # -- from the transport --------------------------------------------------------------------------------------------

    def opened(self):
        self.session.start()
        self.output.queue()
        self.begin()

    def received(self, data):
        event: cython.int
        self.cluster.stats.add(_RX_BYTES, len(data))
        self.heard = self.cluster.wheel.now()
        self.asked = 0
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
            elif event == WAS_RESET:
                self._reset(self.session.stream)
            elif event == GOAWAY:
                self._go_away()
            elif event == SETTINGS:
                self.look_for_room()
            elif event == FAILED:
                self.cluster.stats.up(_PROTOCOL_ERROR)
                self.flush()
                self.break_off(PROTOCOL_ERROR, self.session.error.reason)
        if not self.closing:
            self.output.queue()

    def _head(self, state):
        """An answer's head, with what is there of its body and its trailers."""
        receiver: Receiver = state.owner
        head: Http2ResponseHead = self.session.head
        data: bytes = None
        ended: cython.bint = self.session.ended
        broken: cython.bint = False
        if receiver is None:
            return
        if head.status < 200:
            receiver.interim(head)
            return
        if state.connects and head.status < 300:
            state.tunnel = True
            if state.switches:
                head.status = 101  # what HTTP/1.1 calls it
        if not ended and self.session.follows(state, False):
            broken = self.session.read(self.heard) != DATA
            if not broken:
                data = self.session.payload
                ended = self.session.ended
        if not ended and not broken and self.session.follows(state, True):
            broken = self.session.read(self.heard) != END
            if not broken:
                receiver.response_trailers = self.session.trailers
                ended = True
        if ended:
            self._answered(state)
        receiver.response(head, data, ended)
        if broken and state.owner is not None:
            self._reset(state)

    def _data(self, state):
        receiver: Receiver = state.owner
        ended: cython.bint = self.session.ended
        data: bytes = self.session.payload
        if receiver is None:
            return
        if ended:
            self._answered(state)
        receiver.response_data(data, ended)

    def _end(self, state):
        receiver: Receiver = state.owner
        if receiver is None:
            return
        receiver.response_trailers = self.session.trailers
        self._answered(state)
        receiver.response_data(None, True)

    def _answered(self, state):
        """The answer is whole; first, so that who asks next finds the room. What of the request was not sent yet nobody
        waits for any more; but a tunnel goes on."""
        if not state.closed and not state.tunnel:
            self.session.reset(state, CANCEL)
        if state.closed:
            self._part(state)
            self._freed()

    def _room(self, state):
        receiver: Receiver = state.owner
        if receiver is not None and not self.write_paused:
            receiver.upstream_drained()

    def _reset(self, state):
        """By the server, or by us: what it said of this stream was wrong."""
        receiver: Receiver = state.owner
        failure: cython.int = RESET
        reason: str = ""
        if receiver is None:
            return
        if self.session.problem is not None:
            failure = PROTOCOL_ERROR
            reason = self.session.problem
            self.cluster.stats.up(_PROTOCOL_ERROR)
        elif self.session.code == REFUSED_STREAM:
            failure = REFUSED
        self._part(state)
        self._freed()
        receiver.reset(failure, reason)

    def _go_away(self):
        receiver: Receiver
        state: StreamState
        last: cython.uint = self.session.last_id
        self.cluster.stats.up(_GO_AWAY)
        self.leaving = True
        self.slots = 0
        for state in list(self.session.streams.values()):
            if state.id <= last:
                continue
            receiver = state.owner
            self.session.forget(state)
            self._part(state)
            if receiver is not None:
                receiver.reset(UNPROCESSED, "the upstream connection goes away")
        if not self.closing and self.under_way() == 0:
            self.finish()

    # -- the end -------------------------------------------------------------------------------------------------------

    def give_up(self):
        state: StreamState
        waiting: list = self.session.owners()
        for state in self.session.streams.values():
            self._part(state)
        return waiting
