cimport cython

from tage.dataplane.protocols.message cimport RequestHead
from tage.dataplane.routing.index cimport PathIndex
from tage.dataplane.routing.route cimport Route

@cython.final
cdef class VirtualHost:
    cdef public str name
    cdef public list routes
    cdef public Route secure
    cdef public bint needs_headers
    cdef PathIndex _index
    cdef list _plain
    cdef list _connect
    cpdef Route match(self, RequestHead head)

@cython.final
cdef class RouteTable:
    cdef public str name
    cdef public bint ignore_port
    cdef public bint exact
    cdef public bint needs_headers
    cdef dict _exact
    cdef dict _suffixes
    cdef dict _prefixes
    cdef list _suffix_sizes
    cdef list _prefix_sizes
    cdef VirtualHost _default
    cdef public list virtual_hosts
    cpdef VirtualHost find(self, bytes authority)
    cdef VirtualHost _wild(self, bytes lower)
    cpdef Route route(self, RequestHead head)

cpdef bytes without_port(bytes authority)
