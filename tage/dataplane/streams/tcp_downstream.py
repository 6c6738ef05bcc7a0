"""TCP connections of clients whose bytes are relayed as they are (Envoy's tcp_proxy), each to a connection of its own.

    opened --weight--> cluster --> host --dial--> connected: bytes both ways --> both ends over
                ^                            |
                |<----- another attempt <----|   failed, and max_connect_attempts allows it

The way of a byte is one chain of C calls: the reactor reads, `received` counts and gives what was read to the other
connection's `write`, which sends it. What comes from the client before there is such a connection waits here, one read
of it, and the client is read no further.

Ends. Each direction ends on its own: the end of one side is passed on to the other behind the bytes, and the other
direction goes on. When both have ended both connections close, once the peers have taken what was written. A reset is
passed on as a reset, in either direction: neither side may take what it has got for the whole. TLS that ends without
saying so (no close_notify) is passed on as an end, as Envoy does: many never say it, and what they sent has to arrive.

Time. One timer a connection, at the earlier of idle timeout and maximum duration. Idle time is looked at when it is
due; a peer that has taken something of what waits for it since the last look is not idle.

Draining. Bytes have no place for "this is the last": a connection is kept until the drain time is over, then reset.
"""

import ssl

import cython

from tage.dataplane.net.proxy_protocol import encode
from tage.dataplane.streams.context import ListenerState
from tage.dataplane.streams.downstream import DownstreamConnection
from tage.dataplane.streams.record import StreamRecord
from tage.dataplane.telemetry.layout import CLUSTER, LISTENER, TCP
from tage.dataplane.upstream.cluster import Cluster
from tage.dataplane.upstream.connection import Receiver, UpstreamConnection
from tage.dataplane.upstream.host import Host

_L_IDLE = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_cx_idle_timeout"))
_L_MAX_DURATION = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_cx_max_duration_reached"))
_L_NO_ROUTE = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_cx_no_route"))
_L_RX = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_cx_rx_bytes_total"))
_L_TX = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_cx_tx_bytes_total"))
_C_RX = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_rx_bytes_total"))
_C_TX = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_tx_bytes_total"))
_C_RQ_TOTAL = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_rq_total"))
_C_NONE_HEALTHY = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_none_healthy"))
_C_EXHAUSTED = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_connect_attempts_exceeded"))
_T_OPENED = cython.declare(cython.Py_ssize_t, TCP.offset("tcp_cx_opened"))
_T_CLOSED = cython.declare(cython.Py_ssize_t, TCP.offset("tcp_cx_closed"))
_T_RX = cython.declare(cython.Py_ssize_t, TCP.offset("tcp_cx_rx_bytes_total"))
_T_TX = cython.declare(cython.Py_ssize_t, TCP.offset("tcp_cx_tx_bytes_total"))

_STUCK_MS = cython.declare(cython.longlong, 3_600_000)
"""For a peer that takes nothing of what is left for it, where there is no idle timeout."""


class TcpDownstreamConnection(DownstreamConnection):
    def __init__(self, listener: ListenerState) -> None:
        DownstreamConnection.__init__(self, listener)
        self.route = listener.tcp
        self.wheel = listener.context.wheel
        self.stats = listener.stats
        self.upstream = None
        self._dialer = None
        self._cluster = None
        self._host = None
        self._early = None
        self._ended = False
        self._over = False
        self._draining = False
        self._attempts = 0
        self.started = 0
        self.active_at = 0
        self._deadline = 0
        self.received_bytes = 0
        self.sent_bytes = 0
        self._flags = "-"
        self._record = None

    # -- from the transport --------------------------------------------------------------------------------------------

    def opened(self):
        self.enter()
        self.started = self.wheel.now_us()
        if self.route.max_duration:
            self._deadline = self.started // 1000 + self.route.max_duration
        if self.listener.access_logs is not None:
            self._record = self.record()
        self._rearm(self.started // 1000)
        self._attempt()

    def received(self, data):
        upstream: RelayedConnection = self.upstream
        size: cython.Py_ssize_t = len(data)
        self.stats.add(_L_RX, size)
        self.received_bytes += size
        if upstream is not None:
            self.active_at = self.wheel.now_us() // 1000
            upstream.relay(data)
        elif not self.closing:
            self._early = data if self._early is None else self._early + data
            self.pause_reading()

    def ended(self):
        """The client sends no more."""
        upstream: RelayedConnection = self.upstream
        self._ended = True
        if upstream is not None:
            if upstream.ended_already:
                self._finish()
            else:
                upstream.write_eof()
        return True

    def lost(self, error):
        upstream: RelayedConnection = self.upstream
        self.leave()
        if self._record is not None:
            self._log()
        if upstream is not None:
            self.upstream = None
            upstream.leave(self._over or isinstance(error, ssl.SSLEOFError))
        elif self._dialer is not None:
            self._host.undial(self._dialer)
            self._cluster.leave()
            self._dialer.downstream = None
            self._dialer = None

    def congested(self):
        if self.upstream is not None:
            self.upstream.pause_reading()

    def drained(self):
        if self.upstream is not None:
            self.upstream.resume_reading()

    def protocol(self):
        return None

    # -- the upstream connection ---------------------------------------------------------------------------------------

    def _attempt(self):
        """One more; the cluster is drawn anew."""
        cluster: Cluster = self.listener.context.clusters.get(self.route.pick_cluster(self.listener.context.random))
        host: Host
        if cluster is None:
            self.stats.up(_L_NO_ROUTE)
            self._fail("NC")
            return
        self._cluster = cluster
        host = cluster.pick(self.listener.context.random, [self._host] if self._host is not None else None)
        if host is None:
            cluster.stats.up(_C_NONE_HEALTHY)
            self._fail("UH")
            return
        if not cluster.admit():
            self._fail("UO")
            return
        if self._dialer is None:
            self._dialer = Dialer(self)
        if host.dial(self._dialer, self._make, self._preface(cluster)):
            cluster.leave()
            self._fail("UO")
            return
        self._host = host
        self._attempts += 1
        cluster.stats.up(_C_RQ_TOTAL)

    def _make(self, host: Host):
        return RelayedConnection(host, self)

    def _preface(self, cluster):
        if cluster.proxy_protocol == 0:
            return b""
        return encode(cluster.proxy_protocol, self.peer_address(), self.local_address())

    def _connected(self, upstream):
        data: bytes = self._early
        self.upstream = upstream
        self._dialer.downstream = None
        self._dialer = None
        if self.closing:
            return  # `lost` is on its way
        self._early = None
        self.active_at = self.wheel.now()
        if self._record is not None:
            self._record.upstream_local = upstream.local_address()
        if data is not None:
            upstream.relay(data)
        if self._ended:
            upstream.write_eof()
        if not upstream.write_paused:
            self.resume_reading()
        self._rearm(self.active_at)

    def _connect_failed(self, failure, reason):
        self._cluster.leave()
        if self._record is not None:
            self._record.upstream_failure = reason.replace(" ", "_")
        if self._attempts < self.route.max_connect_attempts:
            self._attempt()
            return
        self._cluster.stats.up(_C_EXHAUSTED)
        self._fail("UF,URX")

    def _fail(self, flags):
        """There will be no upstream connection, and nothing was relayed."""
        self._dialer = None
        self._flags = flags
        self.reset()

    # -- the end -------------------------------------------------------------------------------------------------------

    def _finish(self):
        """Both directions have ended: what was written goes out."""
        self._over = True
        self.close()
        self.upstream.close()
        self._rearm(self.wheel.now())

    def _upstream_ended(self):
        if self._ended:
            self._finish()
        else:
            self.write_eof()

    def _upstream_lost(self, error):
        self.upstream = None
        if isinstance(error, ssl.SSLEOFError):
            self._over = True
            self.close()
            self._rearm(self.wheel.now())
        elif not self._over and not self.closing:
            self._flags = "UR" if isinstance(error, (ConnectionResetError, BrokenPipeError)) else "UC"
            self.reset()

    def _cut(self, why):
        """For a reason of our own; `why` stands in the access log."""
        self._over = False
        if self._record is not None:
            self._record.termination_details = why
        self.reset()

    # -- time ----------------------------------------------------------------------------------------------------------

    def _rearm(self, now):
        """`now` in ms. Before there is an upstream connection the cluster's connect timeout takes care."""
        due: cython.longlong = self._deadline
        idle: cython.longlong = self.route.idle_timeout
        if idle == 0 and self.closing:
            idle = _STUCK_MS
        if self.upstream is not None or self.closing:
            if idle and (due == 0 or self.active_at + idle < due):
                due = self.active_at + idle
        if due:
            self.wheel.arm(self, due - now if due > now else 0)

    def expire(self):
        now: cython.longlong = self.wheel.now()
        idle: cython.longlong = self.route.idle_timeout
        unsent: cython.Py_ssize_t
        if idle == 0:
            idle = _STUCK_MS
        if self._deadline and now >= self._deadline:
            if self._draining:
                self._cut("drained")
                return
            self._flags = "DT"
            self.stats.up(_L_MAX_DURATION)
            self._cut("max_downstream_connection_duration")
            return
        if now >= self.active_at + idle:
            unsent = self._waiting()
            if unsent == 0 or unsent == self._unsent:
                self.stats.up(_L_IDLE)
                self._cut("idle_timeout")
                return
            self._unsent = unsent
            self.active_at = now
        self._rearm(now)

    def _waiting(self):
        """What waits for the two peers to take it."""
        upstream: RelayedConnection = self.upstream
        unsent: cython.Py_ssize_t = self.transport.unsent()
        if upstream is not None and upstream.transport is not None:
            unsent += upstream.transport.unsent()
        return unsent

    def drain(self) -> None:
        """It is reset when the drain time is over."""
        now: cython.longlong = self.wheel.now()
        end: cython.longlong = now + self.listener.context.drain_time
        if self._deadline == 0 or end < self._deadline:
            self._draining = True
            self._deadline = end
            self._rearm(now)

    # -- the access log ------------------------------------------------------------------------------------------------

    def _log(self):
        record: StreamRecord = self._record
        self._record = None
        record.duration = self.wheel.now_us() - self.started
        record.flags = self._flags
        record.attempts = self._attempts
        record.bytes_received = self.received_bytes
        record.bytes_sent = self.sent_bytes
        if self._cluster is not None:
            record.cluster = self._cluster.name
        if self._host is not None:
            record.upstream = (self._host.address, self._host.port)
        if self.listener.access_logs is not None:
            self.listener.write_logs(record)


class Dialer(Receiver):
    """What a host says of the connection that was dialled for a client."""

    def __init__(self, downstream: TcpDownstreamConnection) -> None:
        Receiver.__init__(self)
        self.downstream = downstream

    def upstream_ready(self, connection):
        """The connection itself has told the client, for bytes may come before this."""

    def upstream_failed(self, failure, reason):
        downstream: TcpDownstreamConnection = self.downstream
        if downstream is not None:
            if downstream._host.monitor is not None:
                downstream._host.monitor.result(0, failure)
            downstream._connect_failed(failure, reason)


class RelayedConnection(UpstreamConnection):
    """The upstream connection of one client, never pooled. It counts as a request of its host's for as long as it is
    open. `downstream` None: the client is gone, and what was written still goes out."""

    def __init__(self, host: Host, downstream: TcpDownstreamConnection) -> None:
        UpstreamConnection.__init__(self)
        self.host = host
        self.cluster = host.cluster
        self.stats = host.cluster.stats
        self.wheel = host.cluster.wheel
        self.downstream = downstream
        if self.cluster.tcp_stats is None:
            self.cluster.tcp_stats = self.stats.store.group(TCP, self.cluster.name)
        self.tcp_stats = self.cluster.tcp_stats
        self.ended_already = False
        self._opened_at = 0

    def relay(self, data):
        """The client's bytes."""
        size: cython.Py_ssize_t = len(data)
        self.stats.add(_C_TX, size)
        self.tcp_stats.add(_T_RX, size)
        self.write(data)

    # -- from the transport --------------------------------------------------------------------------------------------

    def opened(self):
        self.host.active += 1
        if self.host.monitor is not None:
            self.host.monitor.result(200, 0)
        self.tcp_stats.up(_T_OPENED)
        self._opened_at = self.wheel.now_us()
        self.downstream._connected(self)

    def received(self, data):
        downstream: TcpDownstreamConnection = self.downstream
        size: cython.Py_ssize_t = len(data)
        self.stats.add(_C_RX, size)
        if downstream is None:
            return
        self.tcp_stats.add(_T_TX, size)
        downstream.stats.add(_L_TX, size)
        downstream.sent_bytes += size
        downstream.active_at = self.wheel.now_us() // 1000
        downstream.write(data)

    def ended(self):
        """The upstream sends no more."""
        self.ended_already = True
        if self.downstream is not None:
            self.downstream._upstream_ended()
        return True

    def lost(self, error):
        downstream: TcpDownstreamConnection = self.downstream
        self.downstream = None
        self.wheel.disarm(self)
        self.host.active -= 1
        self.cluster.leave()
        self.tcp_stats.up(_T_CLOSED)
        self.tcp_stats.record(self.wheel.now_us() - self._opened_at)
        self.host.lost(self)
        if downstream is not None:
            downstream._upstream_lost(error)

    def congested(self):
        if self.downstream is not None:
            self.downstream.pause_reading()

    def drained(self):
        if self.downstream is not None:
            self.downstream.resume_reading()

    # -- without a client ----------------------------------------------------------------------------------------------

    def leave(self, orderly):
        """The client is gone. `orderly`: after all was said; else this side is told that it was not."""
        self.downstream = None
        if not orderly:
            self.reset()
        elif self.open:
            self.close()
            self._unsent = self.transport.unsent()
            self.wheel.arm(self, _STUCK_MS)

    def expire(self):
        """The upstream still has to take what was written: it is waited for as long as it takes something."""
        unsent: cython.Py_ssize_t = self.transport.unsent()
        if unsent == self._unsent:
            self.reset()
        else:
            self._unsent = unsent
            self.wheel.arm(self, _STUCK_MS)
