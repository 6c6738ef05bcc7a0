"""What the hosts of a cluster and the connections to them know of it: its limits, timeouts and counters, and how a
connection is opened. Who is picked is `cluster`'s.

The limits hold for the whole sidecar (envoy.config.cluster.v3.CircuitBreakers; `limits`).
"""

import cython

from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.telemetry.layout import CLUSTER
from tage.dataplane.telemetry.store import StatGroup
from tage.dataplane.upstream.limits import Counts, alone

if not cython.compiled:
    # Compiled, these names come from the .pxd files.
    import enum

    from tage.dataplane.upstream.limits import REQUESTS, RETRIES

    # What HTTP/2 is for, where a cluster has any: all requests; those on connections whose TLS has agreed to it; those
    # that came by it.
    Http2For = enum.IntEnum("Http2For", ["FOR_ALL", "FOR_ALPN", "FOR_DOWNSTREAM"], start=0)
    FOR_ALL, FOR_ALPN, FOR_DOWNSTREAM = Http2For

_PENDING_OVERFLOW = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_rq_pending_overflow"))
_RETRY_OVERFLOW = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_rq_retry_overflow"))
_RQ_ACTIVE = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_rq_active"))


class ClusterInfo:
    """Times in ms; limits are counts.

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
        self.grpc_stats = None
        """What calls of gRPC count besides (`layout.GRPC`), once there is one."""
        self.proxy_protocol = 0
        """The version of the PROXY protocol's header with which connections begin; 0: with none."""
        self.http2 = None
        """`Http2Settings`, where its hosts speak HTTP/2; None: HTTP/1.1."""
        self.http2_for = FOR_ALL
        self.two_pools = False
        """Each host has a second pool, for requests that the first is not for, see `by_second`."""
        self.rpc = None
        """`UpstreamSettings` of the RPC protocol that its hosts speak; None: HTTP, or a TCP proxy's bytes."""
        self.wheel = wheel
        self.connect = connect
        self.dials = {}
        self.tls = None
        """`net.tls.ClientTls`, for connections to come; None: plain."""
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
        self.max_requests_per_connection = 0
        self.enable_trailers = False
        self.logical = False
        self.carries = None
        """The name of the x-protocol that its hosts speak; None: HTTP."""
        self.pinned = False
        """Each client has connections of its own."""
        self.concurrency = 1
        """How many requests a connection carries at a time."""

    def speak(self, rpc, http2=None, http2_for=0) -> None:
        """What its hosts speak, over connections to come: `xprotocol.settings.UpstreamSettings`, or None for HTTP, and
        then `http2.settings.Http2Settings` with what that is for (`Http2For`), or None for HTTP/1.1."""
        self.rpc = rpc
        self.http2 = http2
        self.http2_for = http2_for
        self.two_pools = rpc is None and http2 is not None and http2_for != FOR_ALL
        self.carries = None if rpc is None else rpc.protocol.name
        self.concurrency = 1
        if rpc is not None:
            self.concurrency = rpc.max_requests
        elif http2 is not None and http2_for == FOR_ALL:
            self.concurrency = http2.max_concurrent_streams
        self.pinned = rpc is not None and rpc.pinned

    def by_second(self, came_by_http2, upgrade):
        """Where hosts have two pools, whether a request goes by the second. FOR_DOWNSTREAM, that is the pool of HTTP/2;
        FOR_ALPN, one of HTTP/1.1 for requests to switch protocols, which are written before it is known what a
        connection will have agreed to."""
        return came_by_http2 if self.http2_for == FOR_DOWNSTREAM else upgrade

    def set_retry_budget(self, percent: cython.double, min_concurrency: cython.Py_ssize_t) -> None:
        """Retries are limited by how many requests are under way, not by `max_retries`. Negative: by `max_retries`."""
        self.retry_budget = percent
        self.min_retries = min_concurrency

    def set_preconnect(self, per_upstream: cython.double, predictive: cython.double) -> None:
        """How many connections there are to be for each request, see `Cluster.preconnect`; 1: none ahead."""
        self.per_upstream_preconnect = per_upstream
        self.predictive_preconnect = predictive
        self.preconnects = per_upstream > 1 or predictive > 1

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
