"""A stream's time: one timer, at the earliest of its deadlines.

    whole stream   the route's limit or the listener's, from the request's head to the answer's end
    route          its timeout, or the client's own if that is less, from the request's end to the answer's end; a call
                   of gRPC that says for how long its caller waits: that, from the head on, as the route bounds it
    try            from the request's end, or the try's begin if that is later, to the answer's head
    idle           without a byte in either direction, of a stream and of a try; looked at when the timer is due, not
                   moved at each byte. Not of a call that is one frame (`patient`): it is quiet until it is answered
    next try, and the end of a filter's delay
"""

import cython

from tage.dataplane.filters.filter import Exchange
from tage.dataplane.routing.policy import RetryPolicy
from tage.dataplane.streams.context import ListenerState

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.grpc import timeout_in, timeout_value


class Deadlines(Exchange):
    """All in ms of the worker's clock, but `started` and `try_started`, which are in us. 0: not set."""

    def __init__(self, listener: ListenerState) -> None:
        Exchange.__init__(self)
        self.listener = listener
        self.context = listener.context
        self.backing_off = False
        self.patient = False
        self.started = 0
        self.try_started = 0
        self.route_deadline = 0
        self.try_deadline = 0
        self.idle_limit = 0
        self.idle_limit = 0
        self.retry_at = 0
        self.resume_at = 0
        self.last_activity = 0

    def now(self):
        return self.context.wheel.now_us() // 1000

    def active(self):
        """Something has come, or gone. Gives the time."""
        self.last_activity = self.context.wheel.now_us() // 1000
        return self.last_activity

    def too_long(self, now):
        """Whether the limit for a whole stream is reached."""
        limit: cython.longlong = self._longest()
        return limit > 0 and now - self.started // 1000 >= limit

    def _longest(self):
        """The route's limit, where it has one of its own, else the listener's."""
        if self.route is not None and self.route.max_stream_duration >= 0:
            return self.route.max_stream_duration
        return self.listener.max_stream_duration

    def try_idle(self, now):
        """Whether the try under way has been quiet for longer than the retry policy lets one be."""
        return self.idle_limit > 0 and now >= self.last_activity + self.idle_limit

    def start_call_clock(self):
        """A call of gRPC is on its way, complete or not. Its deadline is the caller's; the server is told where it has
        less time than its caller thinks (Envoy: max_grpc_timeout)."""
        limit: cython.longlong
        most: cython.longlong = self.route.grpc_timeout_max
        if most < 0:
            return
        limit = timeout_in(self.head.block)
        if limit < 0:
            return
        if 0 < most < limit:
            limit = most
            self.edits.put(b"grpc-timeout", timeout_value(limit))
        self.route_deadline = self.started // 1000 + limit

    def start_clock(self):
        """The request is complete, and on its way."""
        limit: cython.longlong = self.route.timeout
        if self.route_deadline:
            return
        if self.head.timeout and (limit == 0 or self.head.timeout < limit):
            limit = self.head.timeout
        if limit:
            self.route_deadline = self.last_activity + limit

    def start_try_clock(self, now):
        policy: RetryPolicy = self.route.retry
        if policy is not None and (policy.per_try_timeout or policy.per_try_idle_timeout):
            if policy.per_try_timeout:
                self.try_deadline = now + policy.per_try_timeout
            self.idle_limit = policy.per_try_idle_timeout
            self.rearm(now)

    def back_off(self, tries):
        """The next try follows after a jittered exponential back-off (Envoy's: 25 ms, doubling, to 250 ms)."""
        policy: RetryPolicy = self.route.retry
        ceiling: cython.longlong = policy.backoff_base
        doublings: cython.int = tries - 1
        now: cython.longlong
        while doublings > 0 and ceiling < policy.backoff_max:
            ceiling *= 2
            doublings -= 1
        if ceiling > policy.backoff_max:
            ceiling = policy.backoff_max
        now = self.now()
        self.backing_off = True
        self.try_started = 0
        self.try_deadline = 0
        self.idle_limit = 0
        self.retry_at = now + self.context.random.below(ceiling + 1)
        self.rearm(now)

    def pause(self, delay):
        now: cython.longlong = self.now()
        self.paused = True
        self.resume_at = now + delay
        self.rearm(now)

    def rearm(self, now):
        """Sets the timer to the earliest of the deadlines."""
        due: cython.longlong = 0
        limit: cython.longlong = self._longest()
        if self.route is not None and self.route.idle_timeout and not self.patient:
            due = self.last_activity + self.route.idle_timeout
        if self.route_deadline and (due == 0 or self.route_deadline < due):
            due = self.route_deadline
        if self.try_deadline and (due == 0 or self.try_deadline < due):
            due = self.try_deadline
        if self.backing_off and (due == 0 or self.retry_at < due):
            due = self.retry_at
        if self.resume_at and (due == 0 or self.resume_at < due):
            due = self.resume_at
        if self.idle_limit and (due == 0 or self.last_activity + self.idle_limit < due):
            due = self.last_activity + self.idle_limit
        if limit:
            limit += self.started // 1000
            if due == 0 or limit < due:
                due = limit
        if due:
            if self.armed and self.deadline <= due:
                return  # it will be due before, and looks again then
            self.context.wheel.arm(self, due - now if due > now else 0)
