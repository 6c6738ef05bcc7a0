cimport cython

from tage.dataplane cimport native
from tage.dataplane.native cimport Random
from tage.dataplane.upstream.balancing.balancer cimport Balancer
from tage.dataplane.upstream.balancing.edf cimport Edf
from tage.dataplane.upstream.balancing.slow_start cimport SlowStart
from tage.dataplane.upstream.host cimport Host

@cython.final
cdef class LeastRequest(Balancer):
    cdef Py_ssize_t _choices

@cython.final
cdef class WeightedLeastRequest(Balancer):
    cdef Edf _turns
    cdef double _bias
    cdef SlowStart _slow_start
