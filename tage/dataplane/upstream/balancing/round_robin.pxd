cimport cython

from tage.dataplane.native cimport Random
from tage.dataplane.upstream.balancing.balancer cimport Balancer
from tage.dataplane.upstream.balancing.edf cimport Edf
from tage.dataplane.upstream.balancing.slow_start cimport SlowStart
from tage.dataplane.upstream.host cimport Host

@cython.final
cdef class RoundRobin(Balancer):
    cdef Py_ssize_t _next

@cython.final
cdef class WeightedRoundRobin(Balancer):
    cdef Edf _turns
    cdef SlowStart _slow_start
