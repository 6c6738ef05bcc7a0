"""What a stream knows of the connection that it came on; protocols fill it in."""

import time

import cython

from tage.dataplane.net.connection import Connection
from tage.dataplane.net.timers import Timer
from tage.dataplane.streams.context import ListenerState
from tage.dataplane.streams.record import StreamRecord
from tage.dataplane.telemetry.layout import LISTENER
from tage.dataplane.upstream.connection import UpstreamConnection
from tage.dataplane.upstream.host import Host

_CX_TOTAL = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_cx_total"))
_CX_ACTIVE = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_cx_active"))
_CX_DESTROY = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_cx_destroy"))
_RQ_TOTAL = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_rq_total"))
_RQ_1XX = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_rq_1xx"))


class DownstreamConnection(Connection):
    """`forwarded_for` is the peer's address, as it stands in x-forwarded-for; `server_name` the SNI, where there was
    one."""

    def __init__(self, listener: ListenerState) -> None:
        Connection.__init__(self)
        self.listener = listener
        self.forwarded_for = b""
        self.server_name = None
        self.log_id = -1
        self._duration = None

    def enter(self):
        """It is open: counted, and known to its listener."""
        self.listener.connections.add(self)
        self.listener.stats.up(_CX_TOTAL)
        self.listener.stats.up(_CX_ACTIVE)

    def succeed(self, former):
        """In place of `former`, whose protocol it was not; both are the same connection to everybody else."""
        self.listener.context.wheel.disarm(former)
        self.listener.connections.discard(former)
        self.listener.connections.add(self)
        self.server_name = former.server_name
        self.replace(former)

    def start_clocks(self):
        """The listener's limits for a connection that carries requests: without one, and of its age."""
        listener: ListenerState = self.listener
        if listener.idle_timeout:
            listener.context.wheel.arm(self, listener.idle_timeout)
        if listener.max_connection_duration:
            self._duration = MaxDuration(self)
            listener.context.wheel.arm(self._duration, listener.max_connection_duration)

    def leave(self):
        """It is not open any more."""
        self.listener.context.wheel.disarm(self)
        if self._duration is not None:
            self.listener.context.wheel.disarm(self._duration)
            self._duration = None
        self.listener.connections.discard(self)
        self.listener.stats.up(_CX_DESTROY)
        self.listener.stats.down(_CX_ACTIVE)

    def count_refused(self, error, status, sent):
        """A request that never became a stream; `sent` bytes of body answered it."""
        record: StreamRecord
        self.listener.stats.up(_RQ_TOTAL)
        self.listener.stats.up_class(_RQ_1XX, status)
        if self.listener.access_logs is not None:
            record = self.record()
            record.code = status
            record.flags = error.flag
            record.details = error.details
            record.bytes_sent = sent
            self.listener.write_logs(record)

    def too_old(self):
        """It has lasted as long as it may."""
        raise NotImplementedError

    def record(self):
        """The beginning of an entry in the access log: what it says of the connection. A connection gets its number
        with the first: random, so that the workers of a sidecar need not agree, and exact in a JSON number."""
        record: StreamRecord = StreamRecord()
        if self.log_id < 0:
            self.log_id = self.listener.context.random.next() >> 11
        record.started = time.time_ns() // 1000
        record.connection_id = self.log_id
        record.remote = self.peer_address()
        record.direct_remote = self.direct_address()
        record.local = self.local_address()
        record.server_name = self.server_name
        record.tls = self.tls()
        record.protocol = self.protocol()
        return record

    def protocol(self):
        """Of the present request, as `%PROTOCOL%` has it."""
        raise NotImplementedError

    def send_interim(self, stream, head):
        """A 1xx answer."""
        raise NotImplementedError

    def send_response(self, stream, head, edits, data, end):
        """`edits` None: none."""
        raise NotImplementedError

    def open_tunnel(self, stream, head, edits, data):
        """The answer to a request to switch protocols, which agrees, and the first of the tunnel's bytes (or None);
        `edits` are added to.
        From here on both bodies are raw, the request's goes on, and each ends when its side does."""
        raise NotImplementedError

    def send_data(self, stream, data, end):
        """More of the answer's body."""
        raise NotImplementedError

    def send_error(self, stream, error, status, body, edits):
        """A whole answer of our own, in the protocol's form; `edits` (None: none) add to its headers. Answers how many
        bytes of body it has."""
        raise NotImplementedError

    def reset_stream(self, stream):
        """An answer that was begun cannot be completed: the client must not take it for a whole one."""
        raise NotImplementedError

    def bound_to(self, cluster):
        """The `Binding` to a host of this cluster, None: there is none."""

    def bind(self, cluster, binding):
        """Requests to this cluster go there from now on, as long as it lasts."""
        raise NotImplementedError

    def relay(self, upstream, frame, shape, number):
        """The upstream connection, which is bound, has read a request of its peer's own, with this id there: the client
        gets it, and its answer goes back by `upstream.relayed`. False: it cannot."""
        raise NotImplementedError

    def full(self, stream):
        """Whether more of its answer would wait here: `downstream_drained` is told when it would not."""
        return self.write_paused

    def stream_ended(self, stream):
        """The stream is over, one way or another; after this it is not heard from again."""
        raise NotImplementedError

    def hold(self, stream):
        """Read no more of the request for now."""
        raise NotImplementedError

    def proceed(self, stream):
        """Read on."""
        raise NotImplementedError


class Binding:
    """An upstream connection that carries the requests of one downstream connection alone."""

    def __init__(self, host: Host, connection: UpstreamConnection) -> None:
        self.host = host
        self.connection = connection


class MaxDuration(Timer):
    """Tells a connection that it is too old. A timer beside the connection's own, which is for what it waits for."""

    def __init__(self, connection: DownstreamConnection) -> None:
        Timer.__init__(self)
        self.connection = connection

    def expire(self):
        self.connection.too_old()
