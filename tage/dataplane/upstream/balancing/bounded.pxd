cimport cython

from tage.dataplane.upstream.balancing.hashing cimport Hashing
from tage.dataplane.upstream.host cimport Host
from tage.dataplane.upstream.limits cimport REQUESTS

@cython.final
cdef class Bounded(Hashing):
    cdef Hashing _inner
    cdef double[::1] _weights
    cdef Py_ssize_t _factor
    cdef int[::1] _order
    cdef double _load(self, Py_ssize_t at)
