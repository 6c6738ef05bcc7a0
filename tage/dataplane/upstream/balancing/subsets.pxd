cimport cython

from tage.dataplane.native cimport Random
from tage.dataplane.upstream.balancing.balancer cimport Balancer
from tage.dataplane.upstream.host cimport Host

@cython.final
cdef class Subsets:
    cdef readonly dict by_metadata
    cdef readonly dict selectors
    cdef readonly Balancer fallback
    cpdef Balancer select(self, tuple metadata)

@cython.final
cdef class Else(Balancer):
    cdef Balancer _first
    cdef Balancer _second
