cimport cython

from tage.dataplane.filters.filter cimport CONTINUE, REPLIED, STOPPED, Exchange, HttpFilter
from tage.dataplane.routing.route cimport Fraction
from tage.dataplane.net.timers cimport Timer
from tage.dataplane.protocols.grpc cimport UNAUTHENTICATED
from tage.dataplane.protocols.message cimport ResponseHead
from tage.dataplane.routing.matcher cimport HeaderMatcher, first_value
from tage.dataplane.telemetry.store cimport StatGroup

@cython.final
cdef class Faults:
    cdef readonly Fraction delay
    cdef readonly long long delay_ms
    cdef readonly Fraction abort
    cdef readonly int abort_status
    cdef readonly list headers
    cdef readonly frozenset nodes
    cdef readonly long long max_active
    cdef readonly int grpc_status
    cdef object _error
    cdef bint meant_for(self, Exchange exchange) except -1
    cdef Py_ssize_t delay_of(self, Exchange exchange) except -1
    cdef object abort_of(self, Exchange exchange)

cdef object _with(int status, int grpc_status)
cdef bint _drawn(Fraction share, Exchange exchange, bytes header) except -1
cdef Py_ssize_t _number(bytes text) except -2

@cython.final
cdef class FaultFilter(HttpFilter):
    cdef readonly Faults faults
    cdef readonly StatGroup stats
    cdef long long _active
    cdef bint _begin(self, Faults faults)
    cdef ended(self)
    cdef abort(self, Exchange exchange, object error)

@cython.final
cdef class Fault(Timer):
    cdef FaultFilter _filter
    cdef Exchange _exchange
    cdef Faults _faults
    cdef bint _active
    cdef _inactive(self)
    cdef end(self, Exchange exchange)
