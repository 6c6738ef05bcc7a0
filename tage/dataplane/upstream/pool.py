"""The connections to one host by one protocol, and who waits for one.

A `Pool` keeps its free connections as a stack (the one used last is used next, so that the others can go idle) and a
queue of streams that wait for one. A connection is opened for each waiting stream, as far as the limits allow. What the
limits refuse is refused at once (flag UO), never queued without bound. What waits here goes on when something ends
here: that another worker has room again, nobody says.

Who needs a connection of his own *dials*: it is opened for him alone and joins no pool.
"""

from collections import deque

import cython

from tage.dataplane.protocols.http2.settings import Http2Settings
from tage.dataplane.telemetry.layout import CLUSTER
from tage.dataplane.upstream.cluster_info import ClusterInfo
from tage.dataplane.upstream.connection import Receiver, UpstreamConnection

if not cython.compiled:
    # Compiled, these are the enumerations in the .pxd files.
    from tage.dataplane.upstream.cluster_info import FOR_DOWNSTREAM
    from tage.dataplane.upstream.connection import CONNECT_FAILURE, NONE, OVERFLOW
    from tage.dataplane.upstream.limits import CONNECTIONS, PENDING

_PENDING_TOTAL = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_rq_pending_total"))
_PENDING_OVERFLOW = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_rq_pending_overflow"))
_PENDING_ACTIVE = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_rq_pending_active"))
_CX_TOTAL = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_total"))
_CX_ACTIVE = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_active"))
_CX_DESTROY = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_destroy"))
_CX_OVERFLOW = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_overflow"))
_CX_MAX_REQUESTS = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_max_requests"))


class Dial:
    """A connection of `pool` that is being opened for one receiver. `make(pool)` gives it (None: the connection that a
    pool would have); `preface` is sent before anything else. `attempt` is what the cluster's `connect` answered."""

    def __init__(self, pool, receiver: Receiver, make, preface: bytes) -> None:
        self.receiver = receiver
        self.make = make
        self.preface = preface
        self.pool = pool
        self.attempt = None


class Pool:
    """A host's first pool is the `Host` itself; a second one, where it has one, is nothing but this.

    `address` and `port`: where connections go to. `active` counts the requests under way on its host, `connections`
    those that are open or being opened, the latter in `connecting` too; all of this worker."""

    def __init__(self, cluster: ClusterInfo, address: str, port: int) -> None:
        self.cluster = cluster
        self.address = address
        self.port = port
        self.retired = False
        self.active = 0
        self.connecting = 0
        self.connections = 0
        self._idle = []
        self._waiting = deque()

    @property
    def http2(self) -> bool:
        """Whether it is spoken on all connections to come."""
        return self.cluster.http2 is not None and self.cluster.http2_for == FOR_DOWNSTREAM

    @property
    def by_alpn(self) -> bool:
        """Whether ALPN says what is spoken on a connection."""
        return False

    def tls(self):
        """`net.tls.ClientTls` of connections to come; None: plain."""
        tls = self.cluster.tls
        return tls if tls is None or tls.second is None else tls.second

    def room(self):
        """How many requests a connection will take that is being opened."""
        http2: Http2Settings = self.cluster.http2
        return http2.max_concurrent_streams if http2 is not None and self.cluster.http2_for == FOR_DOWNSTREAM else 1

    def take(self):
        """A free connection, or None."""
        connection: UpstreamConnection
        while self._idle:
            connection = self._idle[len(self._idle) - 1]
            if connection.closing or connection.slots <= 0:
                self._idle.pop()  # it is offered again when it has room
                connection.pooled = False
                continue
            if not connection.shared:
                self._idle.pop()
                connection.pooled = False
            return connection
        return None

    def enqueue(self, receiver):
        """Waits for a connection: `receiver` gets `upstream_ready` or `upstream_failed`. Answers a `Failure`: NONE when
        it waits now, OVERFLOW when the cluster's limits refuse it."""
        cluster: ClusterInfo = self.cluster
        if not cluster.counts.below(PENDING, cluster.max_pending):
            cluster.stats.up(_PENDING_OVERFLOW)
            return OVERFLOW
        self._waiting.append(receiver)
        cluster.counts.up(PENDING)
        cluster.stats.up(_PENDING_TOTAL)
        cluster.stats.up(_PENDING_ACTIVE)
        self._open()
        return NONE

    def forget(self, receiver):
        """It does not wait any more."""
        if receiver in self._waiting:
            self._waiting.remove(receiver)
            self._waited()

    def _waited(self):
        self.cluster.counts.down(PENDING)
        self.cluster.stats.down(_PENDING_ACTIVE)

    def _open(self):
        """A connection, if more wait than will be served by those that are being opened, and the limits allow it."""
        cluster: ClusterInfo = self.cluster
        if self.connecting * self.room() >= len(self._waiting):
            return
        if not cluster.counts.below(CONNECTIONS, cluster.max_connections):
            # Those that wait get a connection when one is released, or open one when one is lost. With none of their
            # own that is in use, one is opened all the same (as Envoy does), or they would wait for another host's, or
            # another worker's, forever.
            cluster.stats.up(_CX_OVERFLOW)
            if self.connections > len(self._idle):
                return
        self.connecting += 1
        self.opening()
        cluster.connect(self)

    def _open_ahead(self, ratio, anticipated):
        """A connection, unless there are enough for the requests of this host and `anticipated` more, times `ratio`, or
        as many as the limit allows. Whether one was opened."""
        cluster: ClusterInfo = self.cluster
        if (len(self._waiting) + self.active + anticipated) * ratio <= self.connections:
            return False
        if not cluster.counts.below(CONNECTIONS, cluster.max_connections):
            cluster.stats.up(_CX_OVERFLOW)
            return False
        self.connecting += 1
        self.opening()
        cluster.connect(self)
        return True

    def opening(self):
        """Counts a connection in that is being opened."""
        self.connections += 1
        self.cluster.counts.up(CONNECTIONS)
        self.cluster.stats.up(_CX_TOTAL)
        self.cluster.stats.up(_CX_ACTIVE)

    def connected(self, connection: UpstreamConnection) -> None:
        """A connection that was asked for is open, or has been."""
        self.connecting -= 1
        if connection.open and not connection.closing:
            self._offer(connection)
            if connection.shared:
                self._open()  # it may have had room for fewer than were to share it
        else:
            self._disappoint(CONNECT_FAILURE, "closed as soon as it was open")  # `lost` counts it

    def connect_failed(self, failure: cython.int, reason: str) -> None:
        """One that was asked for will not come."""
        self.connecting -= 1
        self._closed()
        self._disappoint(failure, reason)

    def _disappoint(self, failure, reason):
        """One of those that wait is told that there will be no connection: each attempt that fails ends one wait."""
        receiver: Receiver
        if self._waiting:
            receiver = self._waiting.popleft()
            self._waited()
            receiver.upstream_failed(failure, reason)
        self._open()

    def _offer(self, connection):
        """A connection has room: those that wait get it first, the stack then."""
        receiver: Receiver
        while self._waiting and connection.slots > 0 and not connection.closing:
            receiver = self._waiting.popleft()
            self._waited()
            receiver.upstream_ready(connection)
            if not connection.shared:
                return
        if connection.closing:
            return
        if self.retired:
            connection.retire()
        elif connection.slots > 0 and not connection.pooled:
            connection.pooled = True
            self._idle.append(connection)

    def dial(self, receiver, make, preface=b""):
        """Opens a connection for this receiver alone, see `Dial`. Answers a `Failure`: NONE when it will get
        `upstream_ready` or `upstream_failed`, OVERFLOW when the cluster has as many connections as it may."""
        cluster: ClusterInfo = self.cluster
        if not cluster.counts.below(CONNECTIONS, cluster.max_connections):
            cluster.stats.up(_CX_OVERFLOW)
            return OVERFLOW
        self.opening()
        dial = Dial(self, receiver, make, preface)
        cluster.dials[receiver] = dial
        dial.attempt = cluster.connect(self, dial)
        return NONE

    def undial(self, receiver):
        """It does not want the connection that it dialled any more; no harm if it has been told already."""
        dial = self.cluster.dials.pop(receiver, None)
        if dial is not None:
            pool: Pool = dial.pool
            dial.attempt.cancel()
            pool._closed()
            pool._open()

    def dialled(self, dial: Dial, connection: UpstreamConnection) -> None:
        """A connection that was dialled is open, or has been."""
        receiver: Receiver = dial.receiver
        del self.cluster.dials[receiver]
        connection.alone = True
        if connection.open and not connection.closing:
            receiver.upstream_ready(connection)
        else:
            receiver.upstream_failed(CONNECT_FAILURE, "closed as soon as it was open")  # `lost` counts it

    def dial_failed(self, dial: Dial, failure: cython.int, reason: str) -> None:
        """One that was dialled will not come."""
        receiver: Receiver = dial.receiver
        del self.cluster.dials[receiver]
        self._closed()
        receiver.upstream_failed(failure, reason)
        self._open()

    def release(self, connection):
        """Its answer is complete and it can carry another."""
        limit: cython.longlong = self.cluster.max_requests_per_connection
        if limit and connection.requests >= limit:
            self.cluster.stats.up(_CX_MAX_REQUESTS)
            connection.close()
        elif self.cluster.proxy_protocol:
            connection.close()  # it speaks for one client
        else:
            self._offer(connection)

    def lost(self, connection):
        """It is closed."""
        if connection.pooled:
            connection.pooled = False
            self._idle.remove(connection)
        self._closed()
        self._open()

    def _closed(self):
        self.connections -= 1
        self.cluster.counts.down(CONNECTIONS)
        self.cluster.stats.up(_CX_DESTROY)
        self.cluster.stats.down(_CX_ACTIVE)

    def retire(self) -> None:
        """It is not in the cluster any more: what is under way is completed, nothing is kept."""
        connection: UpstreamConnection
        self.retired = True
        idle: list = self._idle
        self._idle = []
        for connection in idle:
            connection.pooled = False
            connection.retire()

    def idle_connections(self) -> int:
        return len(self._idle)
