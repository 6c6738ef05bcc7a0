cimport cython

from tage.dataplane cimport native
from tage.dataplane.protocols.message cimport RequestHead
from tage.dataplane.routing.destination cimport Destination
from tage.dataplane.routing.policy cimport RetryPolicy
from tage.dataplane.telemetry.store cimport StatGroup

cpdef enum StringKind:
    PRESENT = 0
    EXACT = 1
    PREFIX = 2
    SUFFIX = 3
    CONTAINS = 4
    REGEX = 5

@cython.final
cdef class StringMatcher:
    cdef public int kind
    cdef public bytes value
    cdef public bint ignore_case
    cdef object _fullmatch
    cpdef bint matches(self, bytes text)

@cython.final
cdef class HeaderMatcher:
    cdef public bytes name
    cdef public StringMatcher value
    cdef public bint invert
    cpdef bint matches(self, RequestHead head)

@cython.final
cdef class Route(Destination):
    cdef public str name
    cdef public StringMatcher path
    cdef public list headers
    cdef bint _begins
    cdef public int direct_status
    cdef public bytes direct_body
    cdef public long long timeout
    cdef public long long idle_timeout
    cdef public RetryPolicy retry
    cdef public bytes prefix_rewrite
    cdef public bint connect
    cdef public bint terminates
    cdef public dict upgrades
    cdef public dict filters
    cdef public StatGroup stats
    cpdef bint matches(self, RequestHead head)
    cpdef bytes rewrite(self, bytes path)

@cython.final
cdef class VirtualHost:
    cdef public str name
    cdef public list routes
    cdef list _plain
    cdef list _connect
    cpdef Route match(self, RequestHead head)

@cython.final
cdef class RouteTable:
    cdef public str name
    cdef dict _exact
    cdef list _suffixes
    cdef list _prefixes
    cdef VirtualHost _default
    cdef public list virtual_hosts
    cpdef VirtualHost find(self, bytes authority)
    cpdef Route route(self, RequestHead head)
