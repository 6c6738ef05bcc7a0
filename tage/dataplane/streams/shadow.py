"""A mirrored request: a copy that is sent to a cluster whose answers nobody waits for.

The copy is made once the head is edited, so it says what the upstream is told, but for the authority, which gets
`-shadow` behind its host (unless the policy says not). The body follows as it comes. A mirror never holds up the
request itself: one that does not keep up, with more than `BACKLOG` bytes waiting, is given up. It counts in its own
cluster's statistics and limits, is tried once, and lasts as long as the route's timeout, or a minute where there is
none, from its beginning. To a listener of this sidecar it goes as seldom as the request itself may (`loops`): each
round would mirror it again. Source: RouteAction.RequestMirrorPolicy.
"""

import cython

from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.telemetry import layout
from tage.dataplane.upstream.connection import Receiver, UpstreamConnection
from tage.dataplane.upstream.pool import Pool

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.edits import edited_request
    from tage.dataplane.streams.loops import MAX_HOPS, count_hop, hops_made

BACKLOG = cython.declare(cython.Py_ssize_t, 65_536)
_MINUTE = cython.declare(cython.longlong, 60_000)

_C_TOTAL = cython.declare(cython.Py_ssize_t, layout.CLUSTER.offset("upstream_rq_total"))
_C_1XX = cython.declare(cython.Py_ssize_t, layout.CLUSTER.offset("upstream_rq_1xx"))
_C_CANCELLED = cython.declare(cython.Py_ssize_t, layout.CLUSTER.offset("upstream_rq_cancelled"))
_C_TIMEOUT = cython.declare(cython.Py_ssize_t, layout.CLUSTER.offset("upstream_rq_timeout"))
_C_RX_RESET = cython.declare(cython.Py_ssize_t, layout.CLUSTER.offset("upstream_rq_rx_reset"))
_C_NONE_HEALTHY = cython.declare(cython.Py_ssize_t, layout.CLUSTER.offset("upstream_cx_none_healthy"))


def shadowed(authority):
    """With `-shadow` behind the host, in front of a port."""
    at: cython.Py_ssize_t = authority.rfind(b":")
    if at <= 0 or authority.endswith(b"]"):
        return authority + b"-shadow"
    return authority[:at] + b"-shadow" + authority[at:]


class Shadow(Receiver):
    """`timeout` in ms. `preface`: what its connection begins with; with one it has a connection of its own.
    `came_by_http2`: what it is a copy of did."""

    def __init__(self, context, cluster, timeout: cython.longlong, preface: bytes = b"") -> None:
        Receiver.__init__(self)
        self.context = context
        self.cluster = cluster
        self.host = None
        self.upstream = None
        self.head = None
        self.edits = None
        self.preface = preface
        self.limit = timeout if timeout > 0 else _MINUTE
        self.started = 0
        self.body = None
        self.size = 0
        self.ended = False
        self.over = False
        self.full = False
        self.came_by_http2 = False
        self.request_trailers = None
        self.response_trailers = None
        self.upstream_id = 0
        self.upstream_state = None

    def start(self, head, edits, append_suffix, body, end):
        """`body`: what has come of it, or None. Whether there is more to be told it."""
        if not self.cluster.admit():
            return False
        self.host = self.cluster.pick(self.context.random, None)
        if self.host is None:
            self.cluster.stats.up(_C_NONE_HEALTHY)
            self.cluster.leave()
            return False
        self.started = self.context.wheel.now_us()
        self.head = edited_request(head, edits, self.context.writer)
        self.edits = HeaderEdits()
        if self.cluster.carries is None:
            self.edits.remove(b"expect")
        if self.host.own and self.cluster.carries is None:
            if hops_made(self.head) >= MAX_HOPS:
                self.cluster.leave()
                return False
            count_hop(self.edits, self.head)
        if append_suffix:
            self.edits.authority = shadowed(self.head.authority)
        self.ended = end
        if body is not None:
            self.body = list(body)
            for data in body:
                self.size += len(data)
        self.cluster.stats.up(_C_TOTAL)
        self.context.wheel.arm(self, self.limit)
        if not self._connect():
            self._leave()
        return not self.over and not end

    def _connect(self):
        """Whether there is, or will be, a connection."""
        connection: UpstreamConnection
        pool: Pool = self.host
        if self.cluster.two_pools and self.cluster.by_second(self.came_by_http2, False):
            pool = self.host.second()
        if self.cluster.proxy_protocol:
            return pool.dial(self, None, self.preface) == 0
        connection = pool.take()
        if connection is None:
            return pool.enqueue(self) == 0
        self.upstream_ready(connection)
        return True

    def request_data(self, data, end):
        """More of the body."""
        if self.over:
            return
        self.ended = end
        if data is not None and (self.upstream is None or self.full):
            self.size += len(data)
            if self.full or self.size > BACKLOG:
                self.abandon()
                return
        if self.upstream is not None:
            self.upstream.send_data(self, data, end)
        elif data is not None:
            if self.body is None:
                self.body = []
            self.body.append(data)

    def abandon(self):
        """The rest of the request will not come, or cannot be taken."""
        if not self.over:
            self.cluster.stats.up(_C_CANCELLED)
            self._leave()

    def upstream_ready(self, connection):
        data: bytes = None
        self.upstream = connection
        self.host.active += 1
        if self.body is not None:
            data = b"".join(self.body)
            self.body = None
        connection.send_request(self, self.head, self.edits, data, self.ended)

    def upstream_failed(self, failure, reason):
        self._part()

    def interim(self, head):
        """Nobody is told."""

    def response(self, head, data, end):
        self.cluster.stats.up_class(_C_1XX, head.status)
        if end:
            self.response_data(None, True)

    def response_data(self, data, end):
        if end and not self.over:
            self.cluster.stats.record(self.context.wheel.now_us() - self.started)
            if self.ended:
                self._part()
            else:
                self._leave()

    def reset(self, failure, reason):
        self.cluster.stats.up(_C_RX_RESET)
        self._part()

    def upstream_congested(self):
        self.full = True

    def upstream_drained(self):
        self.full = False

    def expire(self):
        self.cluster.stats.up(_C_TIMEOUT)
        self._leave()

    def _part(self):
        """It is over; the connection goes its own way."""
        if not self.over:
            self.over = True
            self.context.wheel.disarm(self)
            self.cluster.leave()
            if self.upstream is not None:
                self.upstream = None
                self.host.active -= 1

    def _leave(self):
        """It is over, and what is under way given up."""
        connection: UpstreamConnection = self.upstream
        if connection is None and self.host is not None:
            self.host.forget(self)
            self.host.undial(self)
        self._part()
        if connection is not None and connection.carries(self):
            connection.cancel(self)
