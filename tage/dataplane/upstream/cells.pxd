cimport cython

from tage.dataplane.native cimport atomic_add, atomic_exchange, atomic_load, atomic_replace, atomic_store

@cython.final
cdef class Cells:
    cdef readonly Py_ssize_t size
    cdef object _memory
    cdef unsigned long long* _cells
    cdef _point(self, object memory, Py_ssize_t first)
    cpdef unsigned long long load(self, Py_ssize_t index) noexcept
    cpdef void store(self, Py_ssize_t index, unsigned long long value) noexcept
    cpdef unsigned long long add(self, Py_ssize_t index, unsigned long long n) noexcept
    cpdef unsigned long long exchange(self, Py_ssize_t index, unsigned long long value) noexcept
    cpdef bint replace(self, Py_ssize_t index, unsigned long long expected, unsigned long long value) noexcept
    cpdef unsigned long long set_bits(self, Py_ssize_t index, unsigned long long bits) noexcept
    cpdef unsigned long long clear_bits(self, Py_ssize_t index, unsigned long long bits) noexcept
