"""What becomes of a stream, for those who look at it from outside: statistics and the access log.

Exact code and flags are counted once a request, however many tries there are (Istio's istio_requests_total); classes of
codes once a try. A call of gRPC is counted with its gRPC status: that of the trailers or of the answer's head, else the
one that the HTTP status stands for. A record is made where there is an access log, or where a rule's header value is to
say what a log could.
"""

import cython

from tage.dataplane.streams.deadlines import Deadlines
from tage.dataplane.streams.downstream import DownstreamConnection
from tage.dataplane.streams.record import StreamRecord
from tage.dataplane.telemetry import layout
from tage.dataplane.telemetry.store import StatGroup

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.grpc import from_http, known, status_of

_L_TOTAL = cython.declare(cython.Py_ssize_t, layout.LISTENER.offset("downstream_rq_total"))
_L_1XX = cython.declare(cython.Py_ssize_t, layout.LISTENER.offset("downstream_rq_1xx"))
_L_ACTIVE = cython.declare(cython.Py_ssize_t, layout.LISTENER.offset("downstream_rq_active"))
_R_1XX = cython.declare(cython.Py_ssize_t, layout.ROUTE.offset("rq_1xx"))


class Outcome(Deadlines):
    """`status` and `flags` are the answer's; `grpc_status`, of a call of gRPC, what is known of it (-1: nothing);
    `tries` counts requests to upstreams, one that was `replayed` not twice.
    `admitted`: counted in by the cluster's limits, `retrying`: by its limit for retries."""

    def __init__(self, downstream: DownstreamConnection) -> None:
        Deadlines.__init__(self, downstream.listener)
        self.downstream = downstream
        self.cluster = None
        self.host = None
        self.record = None
        self.admitted = False
        self.retrying = False
        self.replayed = False
        self.tries = 0
        self.status = 0
        self.grpc_status = -1

    def begin(self):
        """A request's head is there."""
        self.started = self.context.wheel.now_us()
        self.last_activity = self.started // 1000
        if self.head.grpc:
            self.grpc_status = -1
        self.listener.stats.up(_L_TOTAL)
        self.listener.stats.up(_L_ACTIVE)
        if self.listener.access_logs is not None:
            self.begin_record()

    def begin_record(self):
        self.record = self.downstream.record()
        self.record.head = self.head

    def described(self):
        """The record, with what is known so far."""
        if self.record is None:
            self.begin_record()
        record: StreamRecord = self.record
        record.edits = self.edits
        record.flags = self.flags
        record.code = self.status
        if self.route is not None and self.route.name:
            record.route = self.route.name
        if self.cluster is not None:
            record.cluster = self.cluster.name
        if self.host is not None and record.upstream is None:
            record.upstream = (self.host.address, self.host.port)
        return record

    def record_answer(self, head):
        if self.record is not None:
            self.record.answer = head
            self.record.details = "via_upstream"
            self.record.response_duration = self.context.wheel.now_us() - self.started
            self.record.upstream_duration = self.record.response_duration + self.started - self.try_started

    def count_try(self, us):
        """A try has been answered, or the stream is over."""
        self.cluster.stats.record(us)
        if self.head.grpc:
            self._grpc_stats().record(us)

    def _grpc_stats(self):
        stats: StatGroup = self.cluster.grpc_stats
        if stats is None:
            stats = self.cluster.grpc_stats = self.cluster.stats.store.group(layout.GRPC, self.cluster.stats.owner)
        return stats

    def _settle_grpc_status(self):
        """That of the trailers counts; where there is none at all, callers take the HTTP status for it."""
        status: cython.int = status_of(self.response_trailers)
        if status >= 0:
            self.grpc_status = status
        elif self.grpc_status < 0:
            self.grpc_status = from_http(self.status)

    def count_end(self, answered):
        """The stream is over. `answered`: the last try's time counts."""
        now: cython.longlong = self.context.wheel.now_us()
        took: cython.longlong = now - self.started
        if self.admitted:
            self.admitted = False
            self.cluster.leave()
        if self.head.grpc:
            self._settle_grpc_status()
        if self.cluster is not None:
            if self.head.grpc:
                self._grpc_stats().count_grpc(self.status, known(self.grpc_status), self.flags)
            else:
                self.cluster.stats.count_code(self.status, self.flags)
            if answered and self.try_started:
                self.count_try(now - self.try_started)
            if self.retrying:
                self.retrying = False
                self.cluster.leave_retry()
        self.listener.stats.down(_L_ACTIVE)
        self.listener.stats.record(took)
        self.listener.stats.up_class(_L_1XX, self.status)
        if self.route is not None and self.route.stats is not None:
            self.route.stats.record(took)
            self.route.stats.up_class(_R_1XX, self.status)
        if self.cluster is not None and self.listener.carries is not None and self.context.methods is not None:
            self.context.methods.count(self.cluster.name, self.head.path, self.status, self.flags, took)
        if self.record is not None:
            self.log(took)

    def log(self, took):
        """The heads are still as they were: the downstream connection reads on, and the upstream one is given a new
        request, only after this."""
        record: StreamRecord = self.described()
        self.record = None
        record.duration = took
        record.attempts = self.tries + self.replayed
        record.trailers = self.response_trailers
        if self.head.grpc:
            record.grpc_status = self.grpc_status
        if self.listener.access_logs is not None:
            self.listener.write_logs(record)
