"""What a route says about retries (envoy.config.route.v3.RetryPolicy)."""

import cython

if not cython.compiled:
    # Compiled, these are the members of the enumeration in the .pxd.
    CONNECT_FAILURE = 1
    REFUSED_STREAM = 2
    RESET = 4
    GATEWAY_ERROR = 8
    SERVER_ERROR = 16
    CONFLICT = 32
    STATUS_CODES = 64

_CONDITIONS = {
    "connect-failure": CONNECT_FAILURE,
    "refused-stream": REFUSED_STREAM,
    "reset": RESET,
    "reset-before-request": CONNECT_FAILURE,
    "gateway-error": GATEWAY_ERROR | RESET,
    "5xx": SERVER_ERROR | RESET | CONNECT_FAILURE | REFUSED_STREAM,
    "retriable-4xx": CONFLICT,
    "retriable-status-codes": STATUS_CODES,
}
GRPC_CONDITIONS = frozenset({"cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"})
"""Accepted, and met by gRPC answers only."""


class RetryPolicy:
    """`on` is a set of `RetryOn` bits; `attempts` is how many retries after the first try; times in ms."""

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
        for name in conditions:
            if name in _CONDITIONS:
                self.on |= _CONDITIONS[name]
            elif name not in GRPC_CONDITIONS:
                raise ValueError(f"unknown retry condition {name!r}")
        self.attempts = attempts
        self.per_try_timeout = per_try_timeout
        self.statuses = frozenset(statuses)
        self.backoff_base = backoff_base
        self.backoff_max = backoff_max

    def retries_status(self, status):
        """Whether an answer with this status is tried again."""
        if status < 400:
            return bool(self.on & STATUS_CODES) and status in self.statuses
        if self.on & SERVER_ERROR and status >= 500:
            return True
        if self.on & GATEWAY_ERROR and 502 <= status <= 504:
            return True
        if self.on & CONFLICT and status == 409:
            return True
        return bool(self.on & STATUS_CODES) and status in self.statuses
