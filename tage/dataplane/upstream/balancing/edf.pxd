cimport cython

@cython.final
cdef class Edf:
    cdef Py_ssize_t size
    cdef double[::1] weights
    cdef double[::1] _due
    cdef int[::1] _heap
    cdef readonly double now
    cdef readonly Py_ssize_t last
    cpdef seek(self, double now, Py_ssize_t last)
    cpdef Py_ssize_t first(self)
    cpdef advance(self, double weight)
    cdef void _sink(self, Py_ssize_t at) noexcept

cdef bint _before(double[::1] due, int a, int b) noexcept
