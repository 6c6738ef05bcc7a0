"""`Stream`: one request and its answer, whatever the protocol.

    start --route--> [waiting for a connection] --> try under way --> response --> over
                          ^                              |
                          |<---- backing off <-----------|   retry: failed before a byte of the answer went downstream

What comes from below (`Receiver`): a connection or none, the answer, its end, a reset. What comes from above: the rest
of the request's body, its end, the client's going. A stream ends exactly once (`_complete`), and has then left the
connection, the queue, the limits and the timer wheel.

Retries. While no byte of the answer has gone downstream, a try that failed may be made again: as the route's policy
says, or once without any policy if a *reused* connection closed before any byte of the answer to an idempotent method
came (it was closing when the request met it), or the upstream says that it has not looked at it (GOAWAY). Such a replay
waits for a connection that is new or has just answered: what else lies in the pool may have been closed with it. The
body is kept for that, up to `REPLAY_BYTES`; a larger one goes once.

Trailers. Each side's connection leaves those that it read with the stream before the body's end, where the other finds
them when it writes that end; so each further try has them too.

Filters. Between the head and the route, and on the way back, stand the listener's filters (`filters.filter`). While one
of them holds the request its body is kept as if it waited for a connection; an answer that is held is read no further.

Time. One timer a stream (`deadlines`).

Tunnels. A request may ask to switch protocols (RFC 9110, 7.8, or CONNECT, 9.3.6); what route and listener do not enable
is not asked for. An upstream that agrees makes the exchange a tunnel: the request goes on, raw as the answer is, the
route's timeout and retries are over, and the stream is over when both directions have ended. A route that terminates
CONNECT leads to a raw connection, dialled for it.

Back-pressure. The answer is read no faster than the client takes it, the request no faster than the upstream does; what
waits for a connection is bounded by `REPLAY_BYTES` and then the client is read no further.
"""

import cython

from tage.dataplane.protocols import errors
from tage.dataplane.protocols.message import ResponseHead
from tage.dataplane.routing.policy import RetryPolicy
from tage.dataplane.streams.downstream import Binding, DownstreamConnection
from tage.dataplane.streams.routed import Routed
from tage.dataplane.streams.shadow import Shadow
from tage.dataplane.streams.tcp_upstream import TcpUpstreamConnection
from tage.dataplane.telemetry import layout
from tage.dataplane.upstream.connection import UpstreamConnection
from tage.dataplane.upstream.host import Host
from tage.dataplane.upstream.pool import Pool

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.filters.filter import CONTINUE, STOPPED
    from tage.dataplane.protocols.edits import copied_response
    from tage.dataplane.protocols.grpc import CANCELLED, end_lines, local_status, status_in, to_http
    from tage.dataplane.streams.loops import MALFORMED, MAX_HOPS, UNLIMITED, count_hop, forwards_left, hops_made
    from tage.dataplane.upstream.connection import (
        CONNECT_FAILURE,
        CONNECT_TIMEOUT,
        OVERFLOW,
        PROTOCOL_ERROR,
        REFUSED,
        RESET,
        TERMINATED,
        UNPROCESSED,
    )

REPLAY_BYTES = cython.declare(cython.Py_ssize_t, 65_536)
_IDEMPOTENT = cython.declare(frozenset, frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"}))

_C_TOTAL = cython.declare(cython.Py_ssize_t, layout.CLUSTER.offset("upstream_rq_total"))
_C_1XX = cython.declare(cython.Py_ssize_t, layout.CLUSTER.offset("upstream_rq_1xx"))
_C_TIMEOUT = cython.declare(cython.Py_ssize_t, layout.CLUSTER.offset("upstream_rq_timeout"))
_C_TRY_TIMEOUT = cython.declare(cython.Py_ssize_t, layout.CLUSTER.offset("upstream_rq_per_try_timeout"))
_C_TRY_IDLE_TIMEOUT = cython.declare(
    cython.Py_ssize_t, layout.CLUSTER.offset("upstream_rq_per_try_idle_timeout")
)
_C_RETRY = cython.declare(cython.Py_ssize_t, layout.CLUSTER.offset("upstream_rq_retry"))
_C_RETRY_SUCCESS = cython.declare(cython.Py_ssize_t, layout.CLUSTER.offset("upstream_rq_retry_success"))
_C_REPLAY = cython.declare(cython.Py_ssize_t, layout.CLUSTER.offset("upstream_rq_replay"))
_C_CANCELLED = cython.declare(cython.Py_ssize_t, layout.CLUSTER.offset("upstream_rq_cancelled"))
_C_RX_RESET = cython.declare(cython.Py_ssize_t, layout.CLUSTER.offset("upstream_rq_rx_reset"))
_C_NONE_HEALTHY = cython.declare(cython.Py_ssize_t, layout.CLUSTER.offset("upstream_cx_none_healthy"))
_L_RX_RESET = cython.declare(cython.Py_ssize_t, layout.LISTENER.offset("downstream_rq_rx_reset"))
_L_IDLE = cython.declare(cython.Py_ssize_t, layout.LISTENER.offset("downstream_rq_idle_timeout"))
_L_MAX_DURATION = cython.declare(cython.Py_ssize_t, layout.LISTENER.offset("downstream_rq_max_duration_reached"))
_L_SHED = cython.declare(cython.Py_ssize_t, layout.LISTENER.offset("overload.shed"))
_R_RETRY = cython.declare(cython.Py_ssize_t, layout.ROUTE.offset("rq_retry"))
_R_TIMEOUT = cython.declare(cython.Py_ssize_t, layout.ROUTE.offset("rq_timeout"))

_ERRORS = {
    CONNECT_FAILURE: errors.CONNECT_FAILURE,
    CONNECT_TIMEOUT: errors.CONNECT_TIMEOUT,
    OVERFLOW: errors.OVERFLOW,
    TERMINATED: errors.TERMINATED,
    PROTOCOL_ERROR: errors.PROTOCOL_ERROR,
    REFUSED: errors.REFUSED,
    RESET: errors.REMOTE_RESET,
    UNPROCESSED: errors.TERMINATED,
}


class Stream(Routed):
    def __init__(self, downstream: DownstreamConnection) -> None:
        if cython.compiled:
            # What is None, 0 or False is so already: six calls of `__init__` would cost more than finding the route.
            self.downstream = downstream
            self.listener = downstream.listener
            self.context = downstream.listener.context
            self.peer = downstream.forwarded_for
            self.flags = "-"
            self.forwards = UNLIMITED
        else:
            Routed.__init__(self, downstream)
            self.tried = None
            self.upstream = None
            self.waiting = False
            self.responded = False
            self.over = False
            self.held = False
            self.tunnel = False
            self.response_ended = False
            self.local = None
            self.held_answer = None
            self.held_end = False
            self.body_size = 0
            self.request_trailers = None
            self.response_trailers = None
            self.upstream_id = 0
            self.upstream_state = None
            self.downstream_state = None
        self.replayable = True

    # -- from above: the downstream connection -------------------------------------------------------------------------

    def start(self, head, data, end):
        """A request's head, with the part of its body (or None) that came with it. `head` stays valid and unchanged
        until the stream is over."""
        verdict: cython.int
        self.head = head
        self.begin()
        if self.record is not None:
            if data is not None:
                self.record.bytes_received = len(data)
            if end:
                self.record.request_duration = 0
        if data is not None:
            self._keep(data)
        self.request_ended = end
        self.patient = end and self.listener.carries is not None
        if self.context.overload.share and self._sheds():
            return
        if self.record is not None or self.listener.filters is not None:
            head.complete()
        if len(head.method) > 4:
            self.forwards = forwards_left(head)
            if self.forwards != UNLIMITED and not self._goes_on(self.forwards):
                return
        self.route = self.listener.routes.route(head) if self.listener.routes is not None else None
        if head.malformed:
            self.fail(errors.MALFORMED, "its metadata cannot be read")
            return
        self.filters = self.listener.filters
        if self.filters is not None:
            self.edit()
            verdict = self.filter_request()
            if verdict != CONTINUE:
                if verdict == STOPPED and not self.over:
                    self.rearm(self.last_activity)
                return
        self.filtered()

    def _sheds(self):
        """Whether the request is refused because the worker is overloaded."""
        if not self.listener.sheds or not self.context.overload.refuses(self.context.random):
            return False
        self.listener.stats.up(_L_SHED)
        self.fail(errors.OVERLOADED, "")
        return True

    def _goes_on(self, left):
        """Whether Max-Forwards lets the request go on; else it is answered here."""
        if left == MALFORMED:
            self.fail(errors.BAD_MAX_FORWARDS, "")
        elif left == 0:
            self.fail(errors.OPTIONS if self.head.method == b"OPTIONS" else errors.NO_TRACE, "")
        return left > 0

    # -- for filters ---------------------------------------------------------------------------------------------------

    def reply(self, error, status, body, headers):
        if self.over:
            return
        for name, _ in headers:
            self.answer().remove(name)
        for name, value in headers:  # some may stand there more than once
            self.answer().add(name, value)
        self._leave_upstream()
        self.reply_with(error, status, body)

    # -- from above, further -------------------------------------------------------------------------------------------

    def request_data(self, data, end):
        """More of the request's body."""
        if self.over:
            return
        self.active()
        self.request_ended = end
        if self.record is not None:
            if data is not None:
                self.record.bytes_received += len(data)
            if end:
                self.record.request_duration = self.context.wheel.now_us() - self.started
        if self.shadows is not None:
            self._mirror_data(data, end)
        if self.upstream is not None:
            if self.replayable and data is not None:
                self._keep(data)
            self.upstream.send_data(self, data, end)
        else:
            if data is not None:
                self._keep(data)
            if self.body_size > REPLAY_BYTES and not end:
                self.held = True
                self.downstream.hold(self)
        if end:
            self._ended_request()

    def _mirror_data(self, data, end):
        shadow: Shadow
        for shadow in self.shadows:
            shadow.request_data(data, end)
        if end:
            self.shadows = None

    def downstream_failed(self, error, status):
        """The rest of the request is malformed; the downstream connection has answered with `status`, or aborts."""
        if not self.over:
            self.flag(error.flag)
            self.status = status
            self.grpc_status = local_status(error, status)
            if self.record is not None:
                self.record.details = error.details
            self._leave_upstream()
            self._complete(False)

    def downstream_closed(self):
        """The client went away."""
        if not self.over:
            self.flag(errors.CLIENT_GONE.flag)
            self.grpc_status = CANCELLED
            if self.record is not None:
                self.record.details = errors.CLIENT_GONE.details
            self.listener.stats.up(_L_RX_RESET)
            if self.cluster is not None:
                self.cluster.stats.up(_C_CANCELLED)
            self._leave_upstream()
            self._complete(False)

    def downstream_congested(self):
        # While the end of the answer is written, its connection is in the pool, or carries another's already.
        if self.upstream is not None and self.upstream.carries(self):
            self.upstream.hold(self)

    def downstream_drained(self):
        if self.upstream is not None and self.upstream.carries(self) and self.held_answer is None:
            self.upstream.proceed(self)

    # -- one try -------------------------------------------------------------------------------------------------------

    def forward(self):
        self._try(False)

    def _try(self, fresh):
        """`fresh`: not on a connection that lies in the pool."""
        connection: UpstreamConnection = None
        failure: cython.int = 0
        if self.cluster.pinned and self._try_bound():
            return
        self.host = self.cluster.pick(self.context.random, self.tried, self.key, self.subset)
        if self.host is None:
            self.cluster.stats.up(_C_NONE_HEALTHY)
            self.fail(errors.NO_HEALTHY_HOST, "")
            return
        if self.host.own and self.listener.carries is None:
            if hops_made(self.head) >= MAX_HOPS:
                self.fail(errors.LOOP, "")
                return
            count_hop(self.edits, self.head)
        self.tries += 1
        self.cluster.stats.up(_C_TOTAL)
        alone: cython.bint = self.cluster.proxy_protocol != 0 or self.terminates or self.head.exclusive
        alone = alone or self.cluster.pinned
        pool: Pool = self.host
        if self.cluster.two_pools and not self.terminates:
            if self.cluster.by_second(self.downstream_state is not None, self.head.upgrade is not None):
                pool = self.host.second()
        if alone:
            failure = self._dial(pool)
        else:
            if not fresh:
                connection = pool.take()
            if connection is None:
                failure = pool.enqueue(self)
        if failure:
            self.fail(_ERRORS[failure], "")
            return
        if connection is not None:
            self._dispatch(connection)
        else:
            self.waiting = True
        if self.cluster.preconnects and not alone and pool is self.host:
            self.cluster.preconnect(self.host, self.context.random)

    def _try_bound(self):
        """On the connection that only this client's requests go to, if there is one with room."""
        binding: Binding = self.downstream.bound_to(self.cluster)
        if binding is None or binding.connection.closing or binding.connection.slots <= 0:
            return False
        self.host = binding.host
        self.tries += 1
        self.cluster.stats.up(_C_TOTAL)
        self._dispatch(binding.connection)
        return True

    def _dial(self, pool):
        """A connection that joins no pool: its bytes are a tunnel's, or it begins with the client's addresses and no
        other client's will do, or the request would hold up those of others."""
        preface: bytes = self.preface(self.cluster)
        return pool.dial(self, TcpUpstreamConnection if self.terminates else None, preface)

    def upstream_ready(self, connection):
        self.waiting = False
        if self.cluster.pinned:
            host: Host = self.host
            self.downstream.bind(self.cluster, Binding(host, connection))
        if self.terminates:
            self.request_ended = False  # the tunnel is open, and the client has not closed its end of it
        self._dispatch(connection)

    def upstream_failed(self, failure, reason):
        self.waiting = False
        self._report(0, failure)
        self._avoid_host()
        policy: RetryPolicy = self.route.retry
        if policy is not None and policy.retries_reset(False, False) and self._may_retry():
            self._retry()
            return
        self.fail(_ERRORS[failure], reason)

    def _avoid_host(self):
        """A further try goes to another, where there is one."""
        if self.tried is None:
            self.tried = [self.host]
        else:
            self.tried.append(self.host)

    def _dispatch(self, connection):
        data: bytes = None
        self.upstream = connection
        self.host.active += 1
        self.try_started = self.started if self.tries == 1 and not self.replayed else self.context.wheel.now_us()
        if self.body is not None:
            data = self.body[0] if len(self.body) == 1 else b"".join(self.body)
            if self.body_size > REPLAY_BYTES:
                self.replayable = False
                self.body = None
            else:
                self.body = [data]
        if self.request_ended:
            self.start_try_clock(self.try_started // 1000)
        if self.record is not None:
            self.record.upstream_local = connection.local_address()
            if self.cluster.logical:  # the host's address may have moved since the connection was opened
                self.record.upstream = connection.peer_address()
        connection.send_request(self, self.head, self.edits, data, self.request_ended)
        if self.upstream is connection and self.downstream.full(self):
            connection.hold(self)
        if self.held and not self.over and not connection.full(self):
            self.held = False
            self.downstream.proceed(self)

    def _keep(self, data):
        """Of the body, for a first or further try."""
        self.body_size += len(data)
        if self.upstream is not None and self.body_size > REPLAY_BYTES:
            self.replayable = False
            self.body = None
        elif self.body is None:
            self.body = [data]
        else:
            self.body.append(data)

    def _ended_request(self):
        if self.tunnel:
            if self.response_ended:
                self._finish()
            return
        if not self.admitted:
            return  # a filter holds it
        self.start_clock()
        if self.upstream is not None and not self.responded:
            self.start_try_clock(self.last_activity)
        self.rearm(self.last_activity)

    # -- from below: the upstream connection ---------------------------------------------------------------------------

    def interim(self, head):
        self.active()
        self.downstream.send_interim(self, head)

    def response(self, head, data, end):
        policy: RetryPolicy = self.route.retry
        status: cython.int = head.status
        outcome: cython.int = status
        if self.head.grpc:
            self.grpc_status = status_in(head.block)
            if self.grpc_status >= 0:
                outcome = to_http(self.grpc_status)
        if self.host.monitor is not None:
            self.host.monitor.result(outcome, 0)
        if self.head.upgrade is not None and self._agrees(status):
            self._open_tunnel(head, data)
            return
        if self.filters is not None or self.record is not None or (policy is not None and policy.looks_into(status)):
            head.complete()
        if policy is not None and self._answer_retried(policy, head):
            self.cluster.stats.up_class(_C_1XX, status)
            self.count_try(self.context.wheel.now_us() - self.try_started)
            self._avoid_host()
            self.grpc_status = -1
            self.response_trailers = None
            self._leave_upstream()
            self._retry()
            return
        if self.retrying and outcome < 500:
            self.cluster.stats.up(_C_RETRY_SUCCESS)
        self.cluster.stats.up_class(_C_1XX, status)
        self.status = status
        self.try_deadline = 0
        self.body = None
        self.replayable = False
        if not end:
            self.active()
        self.record_answer(head)
        if self.share is not None or self.route.response_edits is not None:
            head.complete()
            self.edit_answer(head.block)
        if self.filters is not None and not self._let_through(head, data, end):
            return
        self._send_answer(head, data, end)

    def _send_answer(self, head, data, end):
        self.responded = True
        if self.record is not None and data is not None:
            self.record.bytes_sent += len(data)
        self.downstream.send_response(self, head, self.answer_edits, data, end)
        if end and not self.over:
            self._finish()

    def _let_through(self, head, data, end):
        """Whether the filters do; what one of them holds stays here, and its connection is read no further."""
        verdict: cython.int = self.filter_response(head)
        if verdict == STOPPED:
            self.answer_head = copied_response(head, self.context.writer)
            if self.record is not None:
                self.record.answer = self.answer_head
            self.held_answer = [] if data is None else [data]
            self.held_end = end
            if not end:
                self.upstream.hold(self)
        return verdict == CONTINUE

    def answered(self):
        head: ResponseHead = self.answer_head
        held: list
        if self.filter_response(head) != CONTINUE:
            return
        if self.local is not None:
            error, status, body = self.local
            self._send_local(error, status, body)
            return
        held = self.held_answer
        self.held_answer = None
        if not self.held_end and not self.downstream.full(self):
            self.upstream.proceed(self)
        self._send_answer(head, b"".join(held) or None, self.held_end)

    def _answer_retried(self, policy, head):
        return policy.retries(head, self.grpc_status) and not self._looped(head.status) and self._may_retry()

    def _looped(self, status):
        """Tried again at each hop, it would go round many times more than `MAX_HOPS`."""
        return status == 508 and self.host.own

    def _agrees(self, status):
        """An upstream connection gives a 101 only where it was asked for."""
        return status == 101 or (self.head.method == b"CONNECT" and 200 <= status < 300)

    def _open_tunnel(self, head, data):
        if self.retrying:
            self.cluster.stats.up(_C_RETRY_SUCCESS)
        self.cluster.stats.up_class(_C_1XX, head.status)
        self.status = head.status
        self.responded = self.tunnel = True
        self.request_ended = self.replayable = False
        self.route_deadline = self.try_deadline = 0
        self.body = None
        self.record_answer(head)
        if self.record is not None and data is not None:
            self.record.bytes_sent += len(data)
        self.active()
        if self.share is not None or self.route.response_edits is not None:
            self.edit_answer(head.block)
        self.downstream.open_tunnel(self, head, self.answer(), data)

    def response_data(self, data, end):
        if self.over:
            return
        if self.held_answer is not None:
            if data is not None:
                self.held_answer.append(data)
            self.held_end = end
            return
        if self.record is not None and data is not None:
            self.record.bytes_sent += len(data)
        if not end:
            self.active()
        self.downstream.send_data(self, data, end)
        if end and not self.over:
            self._finish()

    def _finish(self):
        if not self.request_ended:
            if self.tunnel:
                self.response_ended = True  # the client's direction goes on
                return
            # Answered before the request was complete: its connection can carry no other.
            self._leave_upstream()
        else:
            self._part()
        self._complete(True)

    def reset(self, failure, reason):
        policy: RetryPolicy = self.route.retry
        connection: UpstreamConnection = self.upstream
        silent: cython.bint = connection is not None and not connection.received_any
        reused: cython.bint = connection is not None and connection.requests > 1
        again: cython.bint
        self._part()
        self.cluster.stats.up(_C_RX_RESET)
        if not self.responded and not self.answering:
            if failure == UNPROCESSED:
                again = True
            else:
                again = failure == TERMINATED and reused and silent and self.head.method in _IDEMPOTENT
            if again and self.replayable and not self.replayed:
                self.replayed = True
                self.tries -= 1
                self.cluster.stats.up(_C_REPLAY)
                self._try(True)
                return
            self._report(0, failure)
            self._avoid_host()
            if policy is not None and self._retries_reset(policy, failure) and self._may_retry():
                self._retry()
                return
        else:
            self._report(0, failure)
        self.fail(_ERRORS[failure], reason)

    def _retries_reset(self, policy, failure):
        return policy.retries_reset(True, True) or (failure == REFUSED and policy.retries_refused())

    def upstream_congested(self):
        if not self.request_ended:
            self.held = True
            self.downstream.hold(self)

    def upstream_drained(self):
        if self.held:
            self.held = False
            self.downstream.proceed(self)

    def _report(self, status, failure):
        """How the try ended, to outlier detection (`outlier.HostMonitor.result`)."""
        if self.host.monitor is not None:
            self.host.monitor.result(status, failure)

    # -- retries, time -------------------------------------------------------------------------------------------------

    def _may_retry(self):
        if self.responded or not self.replayable or self.tries > self.route.retry.attempts:
            return False
        if not self.retrying and self.route.retry.applies(self.head):
            self.retrying = self.cluster.admit_retry()
        return self.retrying

    def _retry(self):
        """Another try, after a back-off."""
        self.cluster.stats.up(_C_RETRY)
        if self.route.stats is not None:
            self.route.stats.up(_R_RETRY)
        self.back_off(self.tries)

    def expire(self):
        now: cython.longlong = self.context.wheel.now_us() // 1000
        if self.over:
            return
        if self.too_long(now):
            self.listener.stats.up(_L_MAX_DURATION)
            self._leave_upstream()
            self.fail(errors.MAX_DURATION if self.request_ended else errors.REQUEST_MAX_DURATION, "")
            return
        if self.route_deadline and now >= self.route_deadline:
            self.cluster.stats.up(_C_TIMEOUT)
            if self.route.stats is not None:
                self.route.stats.up(_R_TIMEOUT)
            if self.upstream is not None and not self.responded and not self.answering:
                self._report(0, 0)
            self._leave_upstream()
            self.fail(errors.REQUEST_TIMEOUT, "")
            return
        if self.resume_at and now >= self.resume_at:
            self.resume_at = 0
            self.go_on()
            if self.over:
                return
        elif self.backing_off and now >= self.retry_at:
            self.backing_off = False
            self._try(False)
            if self.over:
                return
        elif self.try_deadline and now >= self.try_deadline and not self.responded:
            self.cluster.stats.up(_C_TRY_TIMEOUT)
            self._try_timed_out()
            return
        elif self.try_idle(now):
            self.cluster.stats.up(_C_TRY_IDLE_TIMEOUT)
            self._try_timed_out()
            return
        elif self._idle(now):
            self.listener.stats.up(_L_IDLE)
            self._leave_upstream()
            self.fail(errors.STREAM_IDLE if self.request_ended else errors.REQUEST_IDLE, "")
            return
        self.rearm(now)

    def _idle(self, now):
        limit: cython.longlong = 0 if self.route is None or self.patient else self.route.idle_timeout
        return limit > 0 and now >= self.last_activity + limit

    def _try_timed_out(self):
        """As Envoy: it counts as a 5xx and as a gateway error."""
        policy: RetryPolicy = self.route.retry
        self.try_deadline = 0
        self.idle_limit = 0
        self._report(0, 0)
        self._avoid_host()
        self._leave_upstream()
        if policy.retries_status(504) and self._may_retry():
            self._retry()
            return
        self.fail(errors.REQUEST_TIMEOUT, "")

    # -- the end -------------------------------------------------------------------------------------------------------

    def _part(self):
        """From the connection, which goes its own way."""
        if self.upstream is not None:
            self.upstream = None
            self.host.active -= 1

    def _leave_upstream(self):
        """From the connection or the queue; what is under way there is given up."""
        connection: UpstreamConnection = self.upstream
        if self.waiting:
            self.waiting = False
            self.host.forget(self)
            self.host.undial(self)
        if connection is not None:
            self._part()
            if connection.carries(self):
                connection.cancel(self)

    def fail(self, error, detail):
        if self.record is not None and detail and error.flag == "UF":
            self.record.upstream_failure = detail.replace(" ", "_")
        if self.responded:
            self.flag(error.flag)
            if self.head.grpc:
                self.response_trailers = end_lines(local_status(error, error.status), error.reason.encode())
            if self.record is not None:
                self.record.details = error.details.replace("before_response", "after_response")
            self.downstream.reset_stream(self)
            if not self.over:
                self._complete(False)
            return
        text = f"{error.reason}: {detail}" if detail else error.reason
        self.reply_with(error, error.status, text.encode())

    def reply_with(self, error, status, body):
        """An answer made here; filters see it too, unless one of them made it of an answer."""
        head: ResponseHead
        if self.filters is not None and not self.answering:
            head = ResponseHead()
            head.status = status
            self.local = (error, status, body)
            if self.filter_response(head) != CONTINUE:
                return
        self._send_local(error, status, body)

    def _send_local(self, error, status, body):
        self.flag(error.flag)
        self.status = status
        if self.head.grpc:
            self.status = 200
            self.grpc_status = local_status(error, status)
        sent = self.downstream.send_error(self, error, status, body, self.answer_edits)
        if self.record is not None:
            self.record.details = error.details
            self.record.bytes_sent = sent
        if self.cluster is not None:
            self.cluster.stats.up_class(_C_1XX, status)
        if not self.over:
            self._complete(True)

    def _complete(self, answered):
        """`answered`: the last try's time counts."""
        shadow: Shadow
        self.over = True
        self.context.wheel.disarm(self)
        if self.filters is not None:
            self.filters_over()
        if self.shadows is not None:
            for shadow in self.shadows:
                shadow.abandon()
        self.count_end(answered)
        downstream: DownstreamConnection = self.downstream
        self.body = None
        self.held_answer = None
        self.downstream = None
        downstream.stream_ended(self)
