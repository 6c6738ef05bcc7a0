cimport cython

from tage.dataplane.upstream.cells cimport Cells

@cython.final
cdef class TokenBucket:
    cdef readonly unsigned long long maximum
    cdef readonly double per_second
    cdef Cells _cells
    cdef Py_ssize_t _at
    cdef unsigned long long _token
    cdef unsigned long long _size
    cpdef TokenBucket placed(self, Cells cells, Py_ssize_t at)
    cpdef bint take(self, long long now) noexcept
    cpdef unsigned long long remaining(self, long long now) noexcept
    cpdef unsigned long long next_in(self, long long now) noexcept
    cdef unsigned long long _filled(self, long long now) noexcept
