cimport cython

from tage.dataplane.native cimport Random
from tage.dataplane.upstream.balancing.balancer cimport Balancer
from tage.dataplane.upstream.host cimport Host

@cython.final
cdef class Priorities(Balancer):
    cdef list _parts
    cdef list _loads
    cdef bint _hashed
