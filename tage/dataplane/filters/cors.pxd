cimport cython

from tage.dataplane.filters.filter cimport CONTINUE, REPLIED, Exchange, HttpFilter
from tage.dataplane.routing.route cimport Fraction, Route
from tage.dataplane.protocols.edits cimport HeaderEdits
from tage.dataplane.protocols.message cimport ResponseHead
from tage.dataplane.routing.matcher cimport StringMatcher, first_value
from tage.dataplane.telemetry.store cimport StatGroup

@cython.final
cdef class CorsPolicy:
    cdef readonly list origins
    cdef readonly bytes methods
    cdef readonly bytes headers
    cdef readonly bytes expose
    cdef readonly bytes max_age
    cdef readonly bint credentials
    cdef readonly bint private_network
    cdef readonly bint forward
    cdef readonly Fraction enabled
    cdef readonly Fraction shadow
    cdef bint _any
    cpdef bint allows(self, bytes origin) except -1
    cdef tuple preflight(self, Exchange exchange, bytes origin)

cdef bint _leads(Route route) noexcept

@cython.final
cdef class CorsFilter(HttpFilter):
    cdef readonly StatGroup stats
