"""What a route says about retries (envoy.config.route.v3.RetryPolicy)."""

import cython

from tage.dataplane.protocols.grpc import GrpcStatus
from tage.dataplane.routing.matcher import HeaderMatcher

if not cython.compiled:
    # Compiled, these are the members of the enumeration in the .pxd.
    CONNECT_FAILURE = 1
    REFUSED_STREAM = 2
    RESET = 4
    GATEWAY_ERROR = 8
    SERVER_ERROR = 16
    CONFLICT = 32
    STATUS_CODES = 64
    RESET_BEFORE_REQUEST = 128
    HEADERS = 256
    RATE_LIMITED = 512

_CONDITIONS = {
    "connect-failure": CONNECT_FAILURE,
    "refused-stream": REFUSED_STREAM,
    "reset": RESET | CONNECT_FAILURE,
    "reset-before-request": RESET_BEFORE_REQUEST | CONNECT_FAILURE,
    "gateway-error": GATEWAY_ERROR | RESET | CONNECT_FAILURE,
    "5xx": SERVER_ERROR | RESET | CONNECT_FAILURE | REFUSED_STREAM,
    "retriable-4xx": CONFLICT,
    "retriable-status-codes": STATUS_CODES,
    "retriable-headers": HEADERS,
    "envoy-ratelimited": RATE_LIMITED,
}
_GRPC_CONDITIONS = {
    "cancelled": GrpcStatus.CANCELLED,
    "deadline-exceeded": GrpcStatus.DEADLINE_EXCEEDED,
    "internal": GrpcStatus.INTERNAL,
    "resource-exhausted": GrpcStatus.RESOURCE_EXHAUSTED,
    "unavailable": GrpcStatus.UNAVAILABLE,
}
"""Met by a call of gRPC whose status stands in the head of the answer."""


class RetryPolicy:
    """`on` is a set of `RetryOn` bits, `grpc` one of gRPC statuses (1 << status); `attempts` is how many retries after
    the first try; times in ms, 0: no limit.

    `headers` (HeaderMatcher) are of answers that are tried again, `request_headers` of requests that may be: where
    there are any, one of them has to match.
    """

    def __init__(
        self,
        conditions,
        attempts: cython.int,
        per_try_timeout: cython.longlong = 0,
        statuses=(),
        backoff_base: cython.longlong = 25,
        backoff_max: cython.longlong = 250,
    ) -> None:
        """Raises ValueError naming a condition that is unknown."""
        self.on = 0
        self.grpc = 0
        for name in conditions:
            if name in _CONDITIONS:
                self.on |= _CONDITIONS[name]
            elif name in _GRPC_CONDITIONS:
                self.grpc |= 1 << _GRPC_CONDITIONS[name]
            else:
                raise ValueError(f"unknown retry condition {name!r}")
        self.attempts = attempts
        self.per_try_timeout = per_try_timeout
        self.per_try_idle_timeout = 0
        self.statuses = frozenset(statuses)
        self.headers = []
        self.request_headers = []
        self.backoff_base = backoff_base
        self.backoff_max = backoff_max

    def applies(self, head):
        """Whether this request may be tried again at all."""
        matcher: HeaderMatcher
        if not self.request_headers:
            return True
        for matcher in self.request_headers:
            if matcher.matches(head):
                return True
        return False

    def retries(self, head, grpc=-1):
        """Whether this answer is tried again. `grpc` is the gRPC status in its head, -1: none. One that another Envoy
        has rate-limited is not, but where just that is a condition."""
        matcher: HeaderMatcher
        i: cython.Py_ssize_t
        again: cython.bint = self.retries_status(head.status)
        if not again and 0 <= grpc <= 16:
            again = (self.grpc >> grpc) & 1
        if not again and self.on & HEADERS:
            for matcher in self.headers:
                if matcher.matches_block(head.block):
                    again = True
                    break
        if again or self.on & RATE_LIMITED:
            for i in range(head.block.count):
                if head.block.name_is(i, b"x-envoy-ratelimited"):
                    return bool(self.on & RATE_LIMITED)
        return again

    def looks_into(self, status):
        """Whether `retries` asks for the headers of an answer with this status."""
        return status >= 400 or bool(self.on & (HEADERS | RATE_LIMITED | STATUS_CODES))

    def retries_status(self, status):
        """Whether an answer with this status is tried again, whatever its headers."""
        if status < 400:
            return bool(self.on & STATUS_CODES) and status in self.statuses
        if self.on & SERVER_ERROR and status >= 500:
            return True
        if self.on & GATEWAY_ERROR and 502 <= status <= 504:
            return True
        if self.on & CONFLICT and status == 409:
            return True
        return bool(self.on & STATUS_CODES) and status in self.statuses

    def retries_reset(self, connected, sent):
        """Whether a try that ended without an answer is made again. `connected`: there was a connection; `sent`: some
        of the request went out on it."""
        if self.on & RESET:
            return True
        if not connected:
            return bool(self.on & CONNECT_FAILURE)
        return not sent and bool(self.on & RESET_BEFORE_REQUEST)

    def retries_refused(self):
        """Whether a request is sent again that its upstream has refused before it looked at it (RFC 9113, 8.7)."""
        return bool(self.on & (REFUSED_STREAM | RESET))
