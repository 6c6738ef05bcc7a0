cimport cython

from tage.dataplane.native cimport Random
from tage.dataplane.upstream.balancing.balancer cimport Balancer
from tage.dataplane.upstream.host cimport Host

@cython.final
cdef class RandomHost(Balancer):
    pass

@cython.final
cdef class WeightedRandomHost(Balancer):
    cdef long long[::1] _bounds
