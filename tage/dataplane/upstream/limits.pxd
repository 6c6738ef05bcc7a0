cimport cython

cpdef enum Limit:
    CONNECTIONS = 0
    PENDING = 1
    REQUESTS = 2
    RETRIES = 3

@cython.final
cdef class Counts:
    cdef unsigned long long[::1] _cells
    cdef Py_ssize_t _first
    cdef Py_ssize_t _own
    cdef Py_ssize_t _columns
    cpdef void up(self, int limit) noexcept
    cpdef void down(self, int limit) noexcept
    cpdef Py_ssize_t own(self, int limit) noexcept
    cpdef Py_ssize_t total(self, int limit) noexcept
    cpdef bint below(self, int limit, Py_ssize_t maximum) noexcept
