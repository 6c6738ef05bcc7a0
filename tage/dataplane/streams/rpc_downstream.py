"""Downstream connections of x-protocols: many requests at a time, each a stream of its own, answered as they come.

    frame --> a request? --> names --> stream --> ... --> answer, with the id that the client gave
                `--> a heartbeat: answered here

What is written goes out at the end of a batch of events (`net.flushes`); an answer that comes in pieces is not parted
(`rpc_answers`).

Bounds. A client with `max_requests` under way, or that does not take its answers, is read no further. Answers that were
asked for still come, and an upstream connection that others share is not held up for them: with too much waiting the
client is cut off (`shared_downstream`).

A frame that cannot be read is the end of the connection: where the next one begins, nobody knows. Requests under way
are given up.

Connections of its own (mode "pinned"): where a cluster says so, the requests of this client to it have a connection on
which no other's go, and a server's own requests there are relayed to the client, its answers back.

Draining. The client is told to go where the protocol has words for it. The connection ends when all is answered and it
has been quiet for `_DRAIN_QUIET_MS`.
"""

import cython

from tage.dataplane.protocols import errors
from tage.dataplane.protocols.writer import ByteWriter
from tage.dataplane.protocols.xprotocol.message import RpcRequest, RpcResponse
from tage.dataplane.protocols.xprotocol.reader import FrameReader
from tage.dataplane.protocols.xprotocol.shape import Shape
from tage.dataplane.streams.context import ListenerState
from tage.dataplane.streams.downstream import Binding
from tage.dataplane.streams.rpc_answers import Answers
from tage.dataplane.streams.rpc_calls import Relays
from tage.dataplane.streams.shared_downstream import SharedDownstreamConnection
from tage.dataplane.streams.stream import Stream
from tage.dataplane.telemetry.layout import LISTENER
from tage.dataplane.upstream.connection import UpstreamConnection

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.xprotocol.edits import edited_frame
    from tage.dataplane.protocols.xprotocol.message import new_request
    from tage.dataplane.protocols.xprotocol.reader import BEGUN, DATA, MORE, READY
    from tage.dataplane.protocols.xprotocol.shape import GO_AWAY, HEARTBEAT, ONE_WAY, REQUEST, RESPONSE, put_frame

_CX_IDLE = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_cx_idle_timeout"))
_CX_PROTOCOL_ERROR = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_cx_protocol_error"))
_RX_BYTES = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_cx_rx_bytes_total"))
_HEAD_TIMEOUT = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_rq_header_timeout"))

_DRAIN_QUIET_MS = cython.declare(cython.longlong, 1_000)
_UNREADABLE = cython.declare(bytes, b"the service and the method that are called cannot be read")


class RpcDownstreamConnection(SharedDownstreamConnection):
    """`streams` are under way. `large` is the one whose request comes in pieces."""

    def __init__(self, listener: ListenerState) -> None:
        SharedDownstreamConnection.__init__(self, listener)
        self.settings = listener.rpc
        self.codec = listener.rpc.protocol
        self.reader = FrameReader(self.codec, whole=self.settings.whole, limit=self.settings.limit)
        self.streams = set()
        self.large = None
        self._out = self.output.writer
        self._answers = Answers(self._out)
        self._reading = False
        self._held = False
        self._partial_since = 0
        self._bindings = None
        self._relays = None

    # -- from the transport --------------------------------------------------------------------------------------------

    def opened(self):
        self.enter()
        self.begin()

    def received(self, data):
        self.listener.stats.add(_RX_BYTES, len(data))
        if self.closing:
            return
        self.heard = self.listener.context.wheel.now()
        self.reader.whole = self.settings.whole  # other routes may have to see more of a frame
        self.reader.feed(data)
        self._advance()

    def ended(self):
        """The client sends no more; what it asked for completely is still answered."""
        self.peer_ended = True
        if self.large is not None:
            return False
        if self.streams:
            return True
        self.flush()
        return False

    def lost(self, error):
        stream: Stream
        streams: list = list(self.streams)
        self.leave()
        self._answers.clear()
        for stream in streams:
            stream.downstream_closed()
        if self._bindings is not None:
            self._unbind()

    def congested(self):
        stream: Stream
        self.pause_reading()
        for stream in list(self.streams):
            stream.downstream_congested()

    def drained(self):
        stream: Stream
        for stream in list(self.streams):
            stream.downstream_drained()
        self._go_on()

    # -- requests ------------------------------------------------------------------------------------------------------

    def _go_on(self):
        """Reads what waits, where there is room for it again."""
        if self._reading or self.closing or not self.read_paused:
            return
        if not self._held and not self.write_paused and len(self.streams) < self.settings.max_requests:
            self.resume_reading()
            self._advance()

    def _advance(self):
        """Reads as far as what was fed goes. Streams that end within it do not enter it again."""
        progress: cython.int
        if self._reading:
            return
        self._reading = True
        try:
            while not self.closing:
                if self._held or self.write_paused or len(self.streams) >= self.settings.max_requests:
                    self.pause_reading()
                    break
                progress = self.reader.read()
                if progress == MORE:
                    break
                if progress == READY:
                    self._frame()
                elif progress == BEGUN:
                    self._begun()
                elif progress == DATA:
                    self._more()
                else:
                    self._malformed()
        except Exception as error:
            self._raised(error)
        finally:
            self._reading = False
        self._watch_partial()

    def _frame(self):
        kind: cython.int = self.reader.kind
        answer: bytes
        if kind == REQUEST or kind == ONE_WAY:
            self._request(True)
        elif kind == HEARTBEAT:
            answer = self.codec.heartbeat_answer(self.reader.frame, self.reader.shape)
            if answer is not None:
                self._say(answer)
        elif kind == GO_AWAY:
            self.leaving = True
            self.end_if_done()
        elif kind == RESPONSE and self._relays is not None:
            self._answer_relay()

    def _begun(self):
        if self.reader.kind == REQUEST or self.reader.kind == ONE_WAY:
            self._request(False)

    def _more(self):
        """Of a large request. Without its stream, which was answered or refused already, it goes nowhere."""
        stream: Stream = self.large
        last: cython.bint = self.reader.left == 0
        if last:
            self.large = None
        if stream is not None:
            stream.request_data(self.reader.frame, last)

    def _request(self, whole):
        head: RpcRequest = new_request(self.codec, self.reader)
        stream: Stream
        head.scheme = self.scheme
        if not self.settings.names:
            head.path = b"/"
        elif not head.names():
            self._refuse(head)
            return
        self.count_request()
        stream = Stream(self)
        self.streams.add(stream)
        if not whole:
            head.exclusive = True
            self.large = stream
        stream.start(head, None, whole)

    def _refuse(self, head):
        """It is whole, and service and method cannot be read: the next one may be better."""
        error = errors.MALFORMED
        sent: cython.Py_ssize_t = 0
        frame: bytes
        if not head.one_way:
            frame = self.codec.reply(head.frame, head.shape, error.status, _UNREADABLE)
            if frame is not None:
                sent = len(_UNREADABLE)
                self._say(frame)
        self.count_refused(error, error.status, sent)

    def _malformed(self):
        if self.reader.faulty and self.settings.failed is not None:
            self.settings.failed(RuntimeError(self.reader.error))
        self.listener.stats.up(_CX_PROTOCOL_ERROR)
        self.flush()
        self.abort()

    def _raised(self, error):
        """The protocol did, or we: the end of this connection, and of no other."""
        if self.settings.failed is not None:
            self.settings.failed(error)
        self.abort()

    def _watch_partial(self):
        """A frame that has begun has to be there in time."""
        if self.reader.buffered() == 0 or self.read_paused or self.large is not None:
            self._partial_since = 0
        elif self._partial_since == 0 and self.listener.head_timeout:
            self._partial_since = self.heard
            self.listener.context.wheel.arm(self, self.listener.head_timeout)

    def protocol(self):
        return self.codec.name

    # -- answers, from streams -----------------------------------------------------------------------------------------

    def send_interim(self, stream, head):
        """There is no such thing."""

    def send_response(self, stream, head, edits, data, end):
        asker: Stream = stream
        request: RpcRequest = asker.head
        answer: RpcResponse
        frame: bytes
        if request.one_way:
            return
        answer = head
        try:
            frame = answer.frame if edits is None else edited_frame(answer, edits)
        except ValueError as error:  # it has no place for what the route wants to say in it, or cannot be read
            self.send_error(stream, errors.PROTOCOL_ERROR, errors.PROTOCOL_ERROR.status, str(error).encode(), None)
            return
        except Exception as error:
            self._raised(error)
            return
        if self._answers.writing is not None:
            self._answers.put(asker, self._piece(answer, frame, request.id, data), end)
        else:
            put_frame(self._out, frame, answer.shape, self.codec, request.id)
            if data is not None:
                self._out.put(data)
            if not end:
                self._answers.writing = asker
        self.queue()

    def _piece(self, answer, frame, number, data):
        out: ByteWriter = self.listener.context.writer
        out.clear()
        put_frame(out, frame, answer.shape, self.codec, number)
        if data is not None:
            out.put(data)
        return out.take()

    def send_data(self, stream, data, end):
        self._answers.more(stream, data, end)
        self.queue()

    def send_error(self, stream, error, status, body, edits):
        asker: Stream = stream
        request: RpcRequest = asker.head
        frame: bytes
        if request.one_way:
            return 0
        try:
            frame = self.codec.reply(request.frame, request.shape, status, body)
        except Exception as raised:
            self._raised(raised)
            return 0
        if frame is None:
            return 0
        self._answers.put(asker, frame, True)
        self.queue()
        return len(body)

    def open_tunnel(self, stream, head, edits, data):
        raise NotImplementedError("no request of an x-protocol asks for a tunnel")

    def reset_stream(self, stream):
        """An answer was begun that will not be completed: what comes behind it could not be told from it."""
        self.reset()

    def stream_ended(self, stream):
        self.streams.discard(stream)
        if self.large is stream:
            self.large = None  # the rest of the request goes nowhere
        if self.closing:
            return
        if not self.streams:
            self.end_if_done()
            if self.draining and not self.closing:
                self.listener.context.wheel.arm(self, _DRAIN_QUIET_MS)
        if self._held and self.large is None:
            self._held = False
        if self.read_paused:
            self._go_on()

    def hold(self, stream):
        """Of a large request."""
        if self.large is stream:
            self._held = True
            self.pause_reading()

    def proceed(self, stream):
        if self._held:
            self._held = False
            self._go_on()

    # -- connections of this client alone ------------------------------------------------------------------------------

    def bound_to(self, cluster):
        return None if self._bindings is None else self._bindings.get(cluster.name)

    def bind(self, cluster, binding):
        bindings: dict = self._bindings
        if bindings is None:
            bindings = self._bindings = {}
        bindings[cluster.name] = binding
        binding.connection.bound(self)

    def _unbind(self):
        binding: Binding
        bindings: list = list(self._bindings.values())
        self._bindings = None
        self._relays = None
        for binding in bindings:
            if not binding.connection.closing:
                binding.connection.retire()

    def relay(self, upstream, frame, shape, number):
        """A server's request; the client knows it under an id of ours."""
        ours: Shape = shape
        known: cython.ulonglong
        relays: Relays = self._relays
        if self.closing or self._answers.writing is not None or self.write_paused:
            return False
        if relays is None:
            relays = self._relays = Relays()
        if relays.count() >= self.settings.max_requests:
            return False
        known = relays.next_id(ours.id_most)
        if ours.kind == REQUEST:
            relays.enter(known, upstream, number)
        put_frame(self._out, frame, ours, self.codec, known)
        self.queue()
        return True

    def _answer_relay(self):
        upstream: UpstreamConnection
        asked: tuple = self._relays.answered(self.reader.id)
        if asked is not None:
            upstream = asked[0]
            if not upstream.closing:
                upstream.relayed(self.reader.frame, self.reader.shape, asked[1])

    # -- to the client -------------------------------------------------------------------------------------------------

    def _say(self, frame):
        """Something of our own; not into the middle of an answer."""
        self._answers.put(None, frame, True)
        self.queue()

    def queue(self):
        self.output.queue()
        if self.write_paused or self._answers.parked_bytes:
            self.bound()

    def parked(self):
        return self._answers.parked_bytes

    # -- the end -------------------------------------------------------------------------------------------------------

    def nothing_waits(self):
        return not self.streams

    def tell_to_go(self):
        frame: bytes
        try:
            frame = self.codec.go_away_frame()
        except Exception as error:
            self._raised(error)
            return
        if frame is not None:
            self._say(frame)
        if not self.streams:
            self.listener.context.wheel.arm(self, _DRAIN_QUIET_MS)

    def expire(self):
        listener: ListenerState = self.listener
        now: cython.longlong = listener.context.wheel.now()
        quiet: cython.longlong = now - self.heard
        if self.closing:
            self.expire_closing(listener.context.wheel)
            return
        if self._partial_since and listener.head_timeout:
            if now - self._partial_since >= listener.head_timeout:
                listener.stats.up(_HEAD_TIMEOUT)
                self._malformed()
                return
            listener.context.wheel.arm(self, self._partial_since + listener.head_timeout - now)
            return
        limit: cython.longlong = _DRAIN_QUIET_MS if self.draining else listener.idle_timeout
        if limit == 0:
            return
        if self.streams:
            if not self.draining:
                listener.context.wheel.arm(self, limit)
        elif quiet < limit:
            listener.context.wheel.arm(self, limit - quiet)
        else:
            if not self.draining:
                listener.stats.up(_CX_IDLE)
            self.close()
