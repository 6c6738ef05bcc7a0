cimport cython

from tage.dataplane.routing.hashing cimport xxh64
from tage.dataplane.upstream.balancing.hashing cimport Hashing

@cython.final
cdef class RingHash(Hashing):
    cdef Py_ssize_t _size
    cdef unsigned long long[::1] _points
    cdef int[::1] _owners
    cdef unsigned long long[::1] _other_points
    cdef int[::1] _other_owners
