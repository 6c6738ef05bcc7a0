"""Clusters, their hosts, load balancing and connection pools.

A `Host` keeps its free connections as a stack (the one used last is used next, so that the others can go idle) and a
queue of streams that wait for one. A connection is opened for each waiting stream, as far as the limits allow. What the
limits refuse is refused at once (flag UO), never queued without bound.

Who needs a connection of his own *dials*: it is opened for him alone and joins no pool.

The limits are the cluster's and hold for the whole sidecar (envoy.config.cluster.v3.CircuitBreakers; `limits`). What
waits here goes on when something ends here: that another worker has room again, nobody says.
"""

from collections import deque
from math import gcd

import cython

from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.telemetry.layout import CLUSTER
from tage.dataplane.telemetry.store import StatGroup
from tage.dataplane.upstream.connection import Receiver, UpstreamConnection
from tage.dataplane.upstream.limits import Counts, alone

if not cython.compiled:
    # Compiled, these names come from the .pxd files.
    import enum

    Health = enum.IntFlag("Health", ["EDS_FAILED", "CHECK_FAILED", "EJECTED", "UNCHECKED", "DEGRADED"])
    from tage.dataplane.upstream.connection import CONNECT_FAILURE, NONE, OVERFLOW
    from tage.dataplane.upstream.limits import CONNECTIONS, PENDING, REQUESTS, RETRIES

_PENDING_TOTAL = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_rq_pending_total"))
_PENDING_OVERFLOW = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_rq_pending_overflow"))
_PENDING_ACTIVE = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_rq_pending_active"))
_RETRY_OVERFLOW = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_rq_retry_overflow"))
_RQ_ACTIVE = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_rq_active"))
_CX_TOTAL = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_total"))
_CX_ACTIVE = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_active"))
_CX_DESTROY = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_destroy"))
_CX_OVERFLOW = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_overflow"))
_CX_MAX_REQUESTS = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_max_requests"))
_MEMBERS = cython.declare(cython.Py_ssize_t, CLUSTER.offset("membership_total"))
_MEMBERS_HEALTHY = cython.declare(cython.Py_ssize_t, CLUSTER.offset("membership_healthy"))

ROUND_ROBIN = cython.declare(cython.int, 0)
RANDOM = cython.declare(cython.int, 1)
LEAST_REQUEST = cython.declare(cython.int, 2)

_LB = {"round_robin": 0, "random": 1, "least_request": 2}
_MAX_SCHEDULE = 10_000
_AHEAD = cython.declare(cython.Py_ssize_t, 3)


class Dial:
    """A connection that is being opened for one receiver. `make(host)` gives it (None: the connection that a pool would
    have); `preface` is sent before anything else. `attempt` is what the cluster's `connect` answered."""

    def __init__(self, receiver: Receiver, make, preface: bytes) -> None:
        self.receiver = receiver
        self.make = make
        self.preface = preface
        self.attempt = None


class Host:
    """One endpoint of a cluster, with its pool. `active` counts the requests under way on it, `connections` those that
    are open or being opened, the latter in `connecting` too; all of this worker. `own`: a listener of this sidecar."""

    def __init__(
        self, cluster, address: str, port: cython.int, weight: cython.int = 1, healthy: cython.bint = True
    ) -> None:
        self.cluster = cluster
        self.address = address
        self.port = port
        self.weight = weight
        self.healthy = healthy
        self.retired = False
        self.own = False
        self.health = 0
        self.usable = healthy
        self.monitor = None
        """`outlier.HostMonitor`; None: nobody asks how tries at it end."""
        self.active = 0
        self.connecting = 0
        self.connections = 0
        self._idle = []
        self._waiting = deque()

    def mark(self, reason, on):
        """Adds a reason not to use it (`Health`), or takes it away. Whether it became usable, or unusable, by that;
        then its cluster is to `refresh`."""
        usable: cython.bint = self.usable
        self.health = self.health | reason if on else self.health & ~reason
        self.usable = self.healthy and not self.health
        return self.usable != usable

    def take(self):
        """A free connection, or None."""
        connection: UpstreamConnection
        while self._idle:
            connection = self._idle.pop()
            if not connection.closing:
                return connection
        return None

    def enqueue(self, receiver):
        """Waits for a connection: `receiver` gets `upstream_ready` or `upstream_failed`. Answers a `Failure`: NONE when
        it waits now, OVERFLOW when the cluster's limits refuse it."""
        cluster: Cluster = self.cluster
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
        cluster: Cluster = self.cluster
        if self.connecting >= len(self._waiting):
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
        cluster: Cluster = self.cluster
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
        """A connection is free: the first that waits gets it, else the stack."""
        receiver: Receiver
        if self._waiting:
            receiver = self._waiting.popleft()
            self._waited()
            receiver.upstream_ready(connection)
        elif self.retired:
            connection.close()
        else:
            self._idle.append(connection)

    def dial(self, receiver, make, preface=b""):
        """Opens a connection for this receiver alone, see `Dial`. Answers a `Failure`: NONE when it will get
        `upstream_ready` or `upstream_failed`, OVERFLOW when the cluster has as many connections as it may."""
        cluster: Cluster = self.cluster
        if not cluster.counts.below(CONNECTIONS, cluster.max_connections):
            cluster.stats.up(_CX_OVERFLOW)
            return OVERFLOW
        self.opening()
        dial = Dial(receiver, make, preface)
        cluster.dials[receiver] = dial
        dial.attempt = cluster.connect(self, dial)
        return NONE

    def undial(self, receiver):
        """It does not want the connection that it dialled any more; no harm if it has been told already."""
        dial = self.cluster.dials.pop(receiver, None)
        if dial is not None:
            dial.attempt.cancel()
            self._closed()
            self._open()

    def dialled(self, dial: Dial, connection: UpstreamConnection) -> None:
        """A connection that was dialled is open, or has been."""
        receiver: Receiver = dial.receiver
        del self.cluster.dials[receiver]
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
        if connection in self._idle:
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
            connection.close()

    def idle_connections(self) -> int:
        return len(self._idle)


class Cluster:
    """A set of hosts that can all answer. Times in ms; limits are counts.

    `connect(host)` starts opening a connection and later calls `host.connected` or `host.connect_failed`.
    `connect(host, dial)` does it for one receiver, calls `host.dialled` or `host.dial_failed`, and answers something
    with a `cancel`, after which it calls neither. Without `counts` the worker counts for itself.
    """

    def __init__(self, name: str, stats: StatGroup, wheel: TimerWheel, connect, counts: Counts = None) -> None:
        self.name = name
        self.stats = stats
        self.counts = alone() if counts is None else counts
        self.tcp_stats = None
        """What a TCP proxy counts (`layout.TCP`), once there is one."""
        self.proxy_protocol = 0
        """The version of the PROXY protocol's header with which connections begin; 0: with none."""
        self.wheel = wheel
        self.connect = connect
        self.dials = {}
        self.tls = None
        """`net.tls.ClientTls`, for connections to come; None: plain."""
        self.hosts = []
        self.schedule = []
        self.watch = None
        """`health.state.ClusterHealth`; None: nobody looks after the hosts' health."""
        self._next = 0
        self.lb = "round_robin"
        self._lb = ROUND_ROBIN
        self.connect_timeout = 5_000
        self.idle_timeout = 3_600_000
        self.max_connection_duration = 0
        self.tcp_keepalive = None
        self.max_connections = 1024
        self.max_pending = 1024
        self.max_requests = 1024
        self.max_retries = 3
        self.retry_budget = -1
        self.min_retries = 0
        self.per_upstream_preconnect = 1
        self.predictive_preconnect = 1
        self.preconnects = False
        self._drawn = []
        self.max_requests_per_connection = 0
        self.enable_trailers = False
        self.logical = False

    def set_lb(self, lb: str) -> None:
        """round_robin, random or least_request."""
        self._lb = _LB[lb]
        self.lb = lb

    def set_retry_budget(self, percent: cython.double, min_concurrency: cython.Py_ssize_t) -> None:
        """Retries are limited by how many requests are under way, not by `max_retries`. Negative: by `max_retries`."""
        self.retry_budget = percent
        self.min_retries = min_concurrency

    def set_preconnect(self, per_upstream: cython.double, predictive: cython.double) -> None:
        """How many connections there are to be for each request, see `preconnect`; 1: none ahead."""
        self.per_upstream_preconnect = per_upstream
        self.predictive_preconnect = predictive
        self.preconnects = per_upstream > 1 or predictive > 1

    def set_hosts(self, endpoints) -> None:
        """Makes these (address, port, weight, healthy) the cluster's hosts. Hosts that stay keep their connections; of
        two with the same address and port the first counts. A logical cluster's host stays, and its address moves: that
        concerns the connections it opens from now on."""
        known = {(host.address, host.port): host for host in self.hosts}
        if self.logical and known and endpoints and endpoints[0][:2] not in known:
            host = known.pop((self.hosts[0].address, self.hosts[0].port))
            host.address, host.port = endpoints[0][:2]
            known[host.address, host.port] = host
        hosts: list = []
        seen = set()
        for address, port, weight, healthy in endpoints:
            if (address, port) in seen:
                continue
            seen.add((address, port))
            host = known.pop((address, port), None)
            if host is None:
                host = Host(self, address, port, weight, healthy)
            else:
                host.weight = weight
                host.healthy = healthy
                host.mark(0, False)
            hosts.append(host)
        self.hosts = hosts
        self.refresh()
        self.stats.put(_MEMBERS, len(hosts))
        for host in known.values():
            host.retire()

    def pick(self, random, avoid):
        """A healthy host, or None. Not `avoid` (where a try just failed; None: no such) if there is another."""
        host: Host
        other: Host
        if self.watch is not None and self.watch.changed() and self.watch.update():
            self.refresh()
        n: cython.Py_ssize_t = len(self.schedule)
        if n == 0:
            return None
        if n == 1:
            return self.schedule[0]
        for _ in range(5):
            if self._lb == ROUND_ROBIN:
                if self._next >= n:
                    self._next = 0
                host = self.schedule[self._next]
                self._next += 1
            else:
                host = self._drawn.pop(0) if self._drawn else self.schedule[random.below(n)]
                if self._lb == LEAST_REQUEST:
                    # Power of two choices.
                    other = self.schedule[random.below(n)]
                    if other.active < host.active:
                        host = other
            if host is not avoid:
                return host
        for other in self.schedule:  # drawn again and again: it has most of the weight
            if other is not avoid:
                return other
        return host

    def refresh(self):
        """Some host became usable, or is not any more. Where none is left, those count that discovery says are healthy:
        there is no better choice."""
        self.schedule = _schedule([host for host in self.hosts if host.usable])
        if not self.schedule:
            self.schedule = _schedule([host for host in self.hosts if host.healthy])
        self._drawn = []
        self.stats.put(_MEMBERS_HEALTHY, len([host for host in self.hosts if host.usable]))

    def preconnect(self, host, random):
        """Opens connections ahead, as Envoy's preconnect_policy says, when `host` has got a request (it has the
        connection, or waits): `host` is to have its ratio of connections to requests, and the cluster its own, at the
        hosts that are picked next. At most `_AHEAD` of each kind at a time, and none because another failed.
        Envoy: ConnPoolImplBase::shouldConnect and tryCreateNewConnections, ClusterManagerImpl::maybePreconnect."""
        other: Host
        ahead: cython.Py_ssize_t = 0
        if self.per_upstream_preconnect > 1 and host.healthy:
            while ahead < _AHEAD and host._open_ahead(self.per_upstream_preconnect, 0):
                ahead += 1
        if self.predictive_preconnect <= 1:
            return
        ahead = 0
        while ahead < _AHEAD and self.counts.own(REQUESTS) * self.predictive_preconnect > self.counts.own(CONNECTIONS):
            other = self._peek(ahead, random)
            if other is None or not other._open_ahead(self.predictive_preconnect, 1):
                return
            ahead += 1

    def _peek(self, ahead, random):
        """The host that will be picked after `ahead` others, if that can be told: a least busy one cannot."""
        n: cython.Py_ssize_t = len(self.schedule)
        if n == 0 or self._lb == LEAST_REQUEST:
            return None
        if self._lb == ROUND_ROBIN or n == 1:
            return self.schedule[(self._next + ahead) % n]
        while len(self._drawn) <= ahead:
            self._drawn.append(self.schedule[random.below(n)])
        return self._drawn[ahead]

    def admit(self):
        """Counts a request in, unless the limit is reached."""
        if not self.counts.below(REQUESTS, self.max_requests):
            self.stats.up(_PENDING_OVERFLOW)
            return False
        self.counts.up(REQUESTS)
        self.stats.up(_RQ_ACTIVE)
        return True

    def leave(self):
        self.counts.down(REQUESTS)
        self.stats.down(_RQ_ACTIVE)

    def admit_retry(self):
        """Counts a request in that is tried again, unless the limit is reached."""
        allowed: cython.Py_ssize_t = self.max_retries
        if self.retry_budget >= 0:
            allowed = cython.cast(cython.Py_ssize_t, self.retry_budget / 100 * self.counts.total(REQUESTS))
            if allowed < self.min_retries:
                allowed = self.min_retries
        if not self.counts.below(RETRIES, allowed):
            self.stats.up(_RETRY_OVERFLOW)
            return False
        self.counts.up(RETRIES)
        return True

    def leave_retry(self):
        self.counts.down(RETRIES)

    def close(self) -> None:
        """The cluster is gone from the configuration."""
        self.set_hosts([])


def _schedule(hosts) -> list:
    """The hosts in an order that spreads each evenly by its weight, one turn of it.
    A turn is about `_MAX_SCHEDULE` long at most: larger weights are scaled down, none below 1."""
    hosts = [host for host in hosts if host.weight > 0]
    if not hosts:
        return []
    divisor = gcd(*[host.weight for host in hosts])
    weights = [host.weight // divisor for host in hosts]
    total = sum(weights)
    if total > _MAX_SCHEDULE:
        weights = [max(1, weight * _MAX_SCHEDULE // total) for weight in weights]
    turns = [((2 * turn + 1) / weight, index) for index, weight in enumerate(weights) for turn in range(weight)]
    return [hosts[index] for _, index in sorted(turns)]
