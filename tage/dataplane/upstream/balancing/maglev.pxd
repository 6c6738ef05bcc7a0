cimport cython

from tage.dataplane.routing.hashing cimport xxh64
from tage.dataplane.upstream.balancing.hashing cimport Hashing

@cython.final
cdef class Maglev(Hashing):
    cdef Py_ssize_t _size
    cdef int[::1] _table
    cdef double[::1] _weights
    cdef double[::1] _targets
    cdef long long[::1] _next
    cdef long long[::1] _skips
    cdef double _largest
    cdef Py_ssize_t _filled
    cdef long long _turn
    cdef Py_ssize_t _host
    cdef bint _seeking
    cdef long long _after(self, Py_ssize_t i, long long at) noexcept
    cdef void _pass_on(self, Py_ssize_t n) noexcept
