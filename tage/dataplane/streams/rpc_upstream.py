"""Upstream connections of x-protocols: many requests at a time, each known there by an id of ours.

    request --> its id becomes ours --> ... --> answer --> who waits for that id gets it (`rpc_calls`)

A request that is given up (its timeout, its client's end) leaves its id reserved until the late answer comes, which
nobody gets, or the connection ends; with too many of those it takes no further requests. Where there are no ids, giving
one up ends the connection, and so it does where one request is carried at a time.

What is written goes out at the end of a batch of events (`net.flushes`), so that requests of several clients leave
together. While the peer does not take it the connection has no room, and requests go to another or wait.

A frame too large to be whole comes on a connection that was dialled for it. Answers of any size may come on a shared
one: they are passed on in pieces, and never held up by who takes them slowly; what then waits for that client is
bounded there (`rpc_downstream`).

A peer that says it is going away gets no further requests, and its connection ends when all are answered. One that is
silent is asked whether it is there, and given up when it does not answer for `_SILENT` intervals. A frame that cannot
be read ends the connection, and every request on it.

Requests of the peer's own (some servers call their clients) are refused in the protocol's words: who of the clients
should get them, nobody can say. A connection that is bound to one client relays them.
"""

import cython

from tage.dataplane.protocols.message import ResponseHead
from tage.dataplane.protocols.xprotocol.message import RpcRequest, RpcResponse
from tage.dataplane.protocols.xprotocol.reader import FrameReader
from tage.dataplane.protocols.xprotocol.settings import UpstreamSettings
from tage.dataplane.protocols.xprotocol.shape import Shape
from tage.dataplane.streams.context import Context
from tage.dataplane.streams.downstream import DownstreamConnection
from tage.dataplane.streams.rpc_calls import Calls
from tage.dataplane.streams.shared_upstream import SharedUpstreamConnection
from tage.dataplane.telemetry.layout import CLUSTER
from tage.dataplane.upstream.connection import Receiver
from tage.dataplane.upstream.host import Host

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.xprotocol.edits import edited_frame
    from tage.dataplane.protocols.xprotocol.reader import BEGUN, DATA, MORE, READY
    from tage.dataplane.protocols.xprotocol.settings import ORDERED, PING_PONG
    from tage.dataplane.protocols.xprotocol.shape import (
        GO_AWAY,
        HEARTBEAT,
        ONE_WAY,
        REQUEST,
        RESPONSE,
        put_frame,
    )
    from tage.dataplane.upstream.connection import PROTOCOL_ERROR, TERMINATED

_RX_BYTES = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_rx_bytes_total"))
_PROTOCOL_ERROR = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_protocol_error"))
_GO_AWAY = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_close_notify"))
_LATE = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_rq_late_response"))

_SILENT = cython.declare(cython.longlong, 3)


class RpcUpstreamConnection(SharedUpstreamConnection):
    """`_sending`: a request's frame is not complete yet; `_incoming` is whose answer comes in pieces, None where it was
    given up, `_streaming` whether one does."""

    def __init__(self, host: Host, context: Context) -> None:
        SharedUpstreamConnection.__init__(self, host, context.flushes)
        settings: UpstreamSettings = host.cluster.rpc
        self.settings = settings
        self.codec = settings.protocol
        self.reader = FrameReader(settings.protocol, limit=settings.limit)
        self.slots = settings.max_requests
        self.calls = Calls(settings.mode == ORDERED)
        self._answer = RpcResponse()
        self._out = self.output.writer
        self.ask_every = settings.heartbeat_interval
        self.patience = _SILENT * settings.heartbeat_interval
        self._sending = False
        self._one_way = None
        self._incoming = None
        self._streaming = False
        self._bound_to = None

    # -- from the stream -----------------------------------------------------------------------------------------------

    def send_request(self, receiver, head, edits, data, end):
        request: RpcRequest = head
        frame: bytes = request.frame
        number: cython.ulonglong
        if edits.names is not None or edits.path is not None or edits.authority is not None or edits.extra:
            try:
                frame = edited_frame(request, edits)
            except ValueError as error:  # it has no place for what the route wants to say in it
                self._reject(receiver, str(error))
                return
            except Exception as error:
                self._reject(receiver, self._blamed(error))
                return
        if self.alone:
            self.receiver = receiver
        if request.one_way:
            number = self.calls.next_id(request.shape.id_most)
            self._one_way = receiver
        else:
            number = self.calls.enter(receiver, request.shape.id_most)
        self.took()
        put_frame(self._out, frame, request.shape, self.codec, number)
        self._sending = not end
        if data is not None:
            self._out.put(data)
        self.output.queue()
        self.count_limit()
        if request.one_way and end:
            self._sent_one_way()

    def _reject(self, receiver, reason):
        """Nothing of the request was sent, and no other suffers for it."""
        if self.alone:
            self.abort()
        receiver.reset(PROTOCOL_ERROR, reason)

    def send_data(self, receiver, data, end):
        self._sending = not end
        if data is not None:
            self._out.put(data)
            self.output.queue()
        if end and self._one_way is receiver:
            self._sent_one_way()

    def _sent_one_way(self):
        """As far as anybody will tell, that was it."""
        receiver: Receiver = self._one_way
        done: ResponseHead = ResponseHead()
        done.status = 200
        self._one_way = None
        if self.alone:
            self.receiver = None
            self.finish()
        receiver.response(done, None, True)

    def cancel(self, receiver):
        if self.alone or self.settings.mode == PING_PONG or self.settings.mode == ORDERED or self._one_way is receiver:
            self._one_way = None
            self.calls.forget(receiver)
            if self._incoming is receiver:
                self._incoming = None
            self.break_off(TERMINATED, "a request before it was given up")
        elif self._incoming is receiver:
            self._incoming = None  # the rest of the answer goes nowhere
        else:
            self.calls.give_up(receiver)
            self.freed()
            if self.calls.reserved > self.settings.max_reserved and not self.leaving:
                self.retire()

    def carries(self, receiver):
        if self._incoming is receiver or self._one_way is receiver or self.receiver is receiver:
            return True
        return self.calls.carries(receiver)

    def hold(self, receiver):
        if self.alone:
            self.pause_reading()

    def proceed(self, receiver):
        if self.alone:
            self.resume_reading()

    # -- room ----------------------------------------------------------------------------------------------------------

    def under_way(self):
        return self.calls.waiting + (1 if self._streaming else 0)

    def most(self):
        return self.settings.max_requests

    def bound_elsewhere(self):
        return self.alone or self._bound_to is not None

    # -- to the peer ---------------------------------------------------------------------------------------------------

    def congested(self):
        self.slots = 0
        if self.alone and self.receiver is not None:
            self.receiver.upstream_congested()

    def drained(self):
        self.look_for_room()
        if self.alone and self.receiver is not None:
            self.receiver.upstream_drained()

    # -- from the transport --------------------------------------------------------------------------------------------

    def opened(self):
        self.begin()

    def received(self, data):
        progress: cython.int
        self.cluster.stats.add(_RX_BYTES, len(data))
        self.heard = self.cluster.wheel.now()
        self.asked = 0
        self.reader.feed(data)
        while not self.closing:
            progress = self._read()
            if progress == MORE:
                return
            if progress == READY:
                self._frame()
            elif progress == BEGUN:
                self._begun()
            elif progress == DATA:
                self._more()
            else:
                if self.reader.faulty and self.settings.failed is not None:
                    self.settings.failed(RuntimeError(self.reader.error))
                self.cluster.stats.up(_PROTOCOL_ERROR)
                self.break_off(PROTOCOL_ERROR, self.reader.error)

    def _read(self):
        """What the protocol raises is the end of this connection, and of no other."""
        try:
            return self.reader.read()
        except Exception as error:
            self._raised(error)
            return MORE

    def _raised(self, error):
        self.break_off(PROTOCOL_ERROR, self._blamed(error))

    def _blamed(self, error):
        """Has what the protocol raised counted and named; in words."""
        if self.settings.failed is not None:
            self.settings.failed(error)
        return f"the protocol {self.codec.name} raised {type(error).__name__}"

    def _frame(self):
        kind: cython.int = self.reader.kind
        receiver: Receiver
        if kind == RESPONSE:
            receiver = self.calls.answered(self.reader.id)
            if receiver is None:
                self.cluster.stats.up(_LATE)
                return
            if not self.alone:
                self.freed()  # first, so that who asks next finds the room
            if self._loaded(receiver):
                receiver.response(self._answer, None, True)
            if self.alone:
                self._answered(receiver)
        elif kind == REQUEST or kind == ONE_WAY:
            if not self._relays() and kind == REQUEST:
                self._respond(kind)
        elif kind == HEARTBEAT:
            self._respond(kind)
        elif kind == GO_AWAY:
            self.cluster.stats.up(_GO_AWAY)
            self.retire()

    def _answered(self, receiver):
        """All of the answer has come that a connection was dialled for; one whose request was not complete is given up
        by its receiver."""
        if self.receiver is receiver:
            self.receiver = None
            self.leaving = True
            self.freed()

    def _loaded(self, receiver):
        try:
            self._answer.load(self.codec, self.reader)
        except Exception as error:
            self._raised(error)
            receiver.reset(PROTOCOL_ERROR, "")
            return False
        return True

    def _begun(self):
        """An answer, if it is one, that comes in pieces. It is under way until its last."""
        receiver: Receiver = None
        if self.reader.kind == RESPONSE:
            receiver = self.calls.answered(self.reader.id)
            if receiver is None:
                self.cluster.stats.up(_LATE)
        if receiver is None or not self._loaded(receiver):
            return
        self._incoming = receiver
        self._streaming = True
        receiver.response(self._answer, None, False)

    def _more(self):
        receiver: Receiver = self._incoming
        last: cython.bint = self.reader.left == 0
        if last and self._streaming:
            self._incoming = None
            self._streaming = False
            if not self.alone:
                self.freed()
        if receiver is None:
            return
        receiver.response_data(self.reader.frame, last)
        if last and self.alone:
            self._answered(receiver)

    def _respond(self, kind):
        """To what the peer asks of its own accord; not into the middle of a frame."""
        frame: bytes
        if self._sending:
            return
        try:
            if kind == HEARTBEAT:
                frame = self.codec.heartbeat_answer(self.reader.frame, self.reader.shape)
            else:
                frame = self.codec.reply(
                    self.reader.frame, self.reader.shape, 404, b"requests of a server's own are not carried"
                )
        except Exception as error:
            self._raised(error)
            return
        if frame is not None:
            self._out.put(frame)
            self.output.queue()

    # -- of one client alone -------------------------------------------------------------------------------------------

    def bound(self, downstream):
        self.alone = False
        self._bound_to = downstream

    def _relays(self):
        """Whether the client has got what the peer asks of its own accord."""
        client: DownstreamConnection = self._bound_to
        if client is None:
            return False
        return client.relay(self, self.reader.frame, self.reader.shape, self.reader.id)

    def relayed(self, frame, shape, number):
        put_frame(self._out, frame, shape, self.codec, number)
        self.output.queue()

    # -- the end -------------------------------------------------------------------------------------------------------

    def give_up(self):
        waiting: list = self.calls.take_all()
        if self._incoming is not None:
            waiting.append(self._incoming)
            self._incoming = None
        if self._one_way is not None:
            waiting.append(self._one_way)
            self._one_way = None
        self._bound_to = None
        self._streaming = False
        return waiting

    def ask(self):
        frame: bytes
        if self._sending:
            return
        try:
            frame = self.codec.heartbeat_frame()
        except Exception as error:
            self._raised(error)
            return
        if frame is None:
            return
        shape: Shape = self.settings.heartbeat
        if shape is None:
            self._out.put(frame)
        else:
            put_frame(self._out, frame, shape, self.codec, self.calls.next_id(shape.id_most))
        self.output.queue()
