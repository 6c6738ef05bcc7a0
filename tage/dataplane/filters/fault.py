"""Fault injection: some requests wait, some are answered with an error, some both, in that order.

Envoy's envoy.filters.http.fault. A delay is drawn when the request comes, an abort when the delay is over. A request
counts as one active fault while it waits, and until its end if it is aborted; where `max_active` are active no further
one is made (per worker: each draws, and counts, for itself).
"""

import cython

from tage.dataplane.filters.filter import Exchange, HttpFilter
from tage.dataplane.net.timers import Timer
from tage.dataplane.protocols import errors
from tage.dataplane.routing.matcher import HeaderMatcher
from tage.dataplane.telemetry.layout import FAULT

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.filters.filter import CONTINUE, REPLIED, STOPPED
    from tage.dataplane.protocols.grpc import UNAUTHENTICATED
    from tage.dataplane.routing.matcher import first_value

_DELAYS = cython.declare(cython.Py_ssize_t, FAULT.offset("fault.delays_injected"))
_ABORTS = cython.declare(cython.Py_ssize_t, FAULT.offset("fault.aborts_injected"))
_OVERFLOW = cython.declare(cython.Py_ssize_t, FAULT.offset("fault.faults_overflow"))
_ACTIVE = cython.declare(cython.Py_ssize_t, FAULT.offset("fault.active_faults"))

_DELAY = b"x-envoy-fault-delay-request"
_DELAY_SHARE = b"x-envoy-fault-delay-request-percentage"
_ABORT = b"x-envoy-fault-abort-request"
_ABORT_GRPC = b"x-envoy-fault-abort-grpc-request"
_ABORT_SHARE = b"x-envoy-fault-abort-request-percentage"
_NODE = b"x-envoy-downstream-service-node"
_MAX_DELAY = cython.declare(cython.Py_ssize_t, 86_400_000)
"""What a header may ask for, in ms; Envoy knows no bound."""


class Faults:
    """What is injected: a listener's, or a route's own.

    `delay` and `abort` are the shares of requests, None where there is none. Their `delay_ms` and `abort_status` are 0
    where the request's headers say it (header_delay, header_abort), whose percentage then is an upper bound too.
    `grpc_status` (-1: none) stands in place of `abort_status`: calls of gRPC get it, others an empty success, as Envoy
    has it.
    `headers` and `nodes` (bytes; empty: any) have to match. `max_active` is -1 where there is no limit.
    """

    def __init__(
        self,
        delay=None,
        delay_ms: int = 0,
        abort=None,
        abort_status: int = 0,
        headers=(),
        nodes=frozenset(),
        max_active: int = -1,
        grpc_status: int = -1,
    ) -> None:
        self.delay = delay
        self.delay_ms = delay_ms
        self.abort = abort
        self.abort_status = abort_status
        self.headers = list(headers)
        self.nodes = nodes
        self.max_active = max_active
        self.grpc_status = grpc_status
        self._error = _with(abort_status, grpc_status) if abort_status or grpc_status >= 0 else None

    def meant_for(self, exchange):
        """Whether the request is one of those that may get a fault."""
        matcher: HeaderMatcher
        if self.nodes and first_value(exchange.head, exchange.edits, _NODE) not in self.nodes:
            return False
        for matcher in self.headers:
            if not matcher.matches(exchange.head):
                return False
        return True

    def delay_of(self, exchange):
        """For how many ms this request waits; 0: it does not."""
        asked: cython.Py_ssize_t
        if self.delay is None:
            return 0
        if self.delay_ms:
            return self.delay_ms if self.delay.drawn(exchange.dice()) else 0
        if not _drawn(self.delay, exchange, _DELAY_SHARE):
            return 0
        asked = _number(first_value(exchange.head, exchange.edits, _DELAY))
        return min(asked, _MAX_DELAY) if asked > 0 else 0

    def abort_of(self, exchange):
        """The `ProxyError` with which it is answered; None: it is not."""
        asked: cython.Py_ssize_t
        if self.abort is None:
            return None
        if self._error is not None:
            return self._error if self.abort.drawn(exchange.dice()) else None
        if not _drawn(self.abort, exchange, _ABORT_SHARE):
            return None
        asked = _number(first_value(exchange.head, exchange.edits, _ABORT))
        if 200 <= asked < 600:
            return _with(asked, -1)
        asked = _number(first_value(exchange.head, exchange.edits, _ABORT_GRPC))
        return _with(0, asked) if 0 <= asked <= UNAUTHENTICATED else None


def _with(status, grpc_status):
    return errors.FAULT._replace(status=status if grpc_status < 0 else 200, grpc=grpc_status)


def _drawn(share, exchange, header):
    """With the header's numerator where it has one."""
    asked: cython.Py_ssize_t = _number(first_value(exchange.head, exchange.edits, header))
    if asked < 0:
        return share.drawn(exchange.dice())
    asked = min(asked, share.numerator)
    return asked > 0 and exchange.dice().below(share.denominator) < asked


def _number(text):
    """A whole number of a header, or -1."""
    digits: bytes
    if text is None:
        return -1
    digits = text.strip()
    return int(digits) if digits.isdigit() and len(digits) <= 10 else -1


class FaultFilter(HttpFilter):
    """`faults` are those of requests whose routes have none of their own; None: none. `stats` has the layout FAULT."""

    def __init__(self, name: str, faults, stats) -> None:
        HttpFilter.__init__(self, name)
        self.faults = faults
        self.stats = stats
        self._active = 0

    def request(self, exchange, settings):
        faults: Faults = self.faults if settings is None else settings
        delay: cython.Py_ssize_t
        fault: Fault
        if faults is None or not faults.meant_for(exchange):
            return CONTINUE
        delay = faults.delay_of(exchange)
        if delay and self._begin(faults):
            fault = Fault(self, exchange, faults)
            exchange.keep(self, fault)
            exchange.flag("DI")
            self.stats.up(_DELAYS)
            exchange.timers().arm(fault, delay)
            return STOPPED
        error = faults.abort_of(exchange)
        if error is not None and self._begin(faults):
            exchange.keep(self, Fault(self, exchange, faults))
            self.abort(exchange, error)
            return REPLIED
        return CONTINUE

    def _begin(self, faults):
        if 0 <= faults.max_active <= self._active:
            self.stats.up(_OVERFLOW)
            return False
        self._active += 1
        self.stats.up(_ACTIVE)
        return True

    def ended(self):
        """A fault is not active any more."""
        self._active -= 1
        self.stats.down(_ACTIVE)

    def abort(self, exchange, error):
        self.stats.up(_ABORTS)
        exchange.reply(error, error.status, error.reason.encode(), ())

    def over(self, exchange):
        fault: Fault = exchange.kept(self)
        fault.end(exchange)


class Fault(Timer):
    """One request's: due when its delay is over."""

    def __init__(self, filter, exchange, faults) -> None:
        Timer.__init__(self)
        self._filter = filter
        self._exchange = exchange
        self._faults = faults
        self._active = True

    def expire(self):
        exchange: Exchange = self._exchange
        error = self._faults.abort_of(exchange)
        if error is not None:
            self._filter.abort(exchange, error)
            return
        self._inactive()
        exchange.go_on()

    def _inactive(self):
        if self._active:
            self._active = False
            self._filter.ended()

    def end(self, exchange):
        """The stream is over."""
        exchange.timers().disarm(self)
        self._inactive()
        self._exchange = None
