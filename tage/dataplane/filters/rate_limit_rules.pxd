cimport cython

from tage.dataplane.filters.filter cimport Exchange
from tage.dataplane.routing.matcher cimport HeaderMatcher, QueryMatcher, first_value, query_value

cdef enum ActionKind:
    GENERIC_KEY = 0
    REQUEST_HEADER = 1
    QUERY_PARAMETER = 2
    REMOTE_ADDRESS = 3
    HEADERS_MATCH = 4
    QUERY_MATCH = 5

@cython.final
cdef class Action:
    cdef readonly int kind
    cdef readonly bytes key
    cdef readonly bytes value
    cdef readonly bytes name
    cdef readonly bint optional
    cdef readonly bint expect
    cdef readonly list headers
    cdef readonly list query
    cdef bytes value_of(self, Exchange exchange)
    cdef bint _matches(self, Exchange exchange, bytes path) except -1

@cython.final
cdef class Rule:
    cdef readonly list actions
    cdef tuple _constant
    cdef tuple key_of(self, Exchange exchange)
