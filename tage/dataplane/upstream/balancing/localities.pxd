cimport cython

from tage.dataplane.native cimport Random
from tage.dataplane.upstream.balancing.balancer cimport Balancer
from tage.dataplane.upstream.balancing.edf cimport Edf
from tage.dataplane.upstream.host cimport Host

@cython.final
cdef class Localities(Balancer):
    cdef list _parts
    cdef Edf _turns
