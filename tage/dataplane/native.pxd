cimport cython

cdef Py_ssize_t find_byte(const unsigned char* data, Py_ssize_t start, Py_ssize_t end, int byte) noexcept
cdef void copy(unsigned char* target, Py_ssize_t at, const unsigned char* source, Py_ssize_t start, Py_ssize_t size) noexcept
cdef bint equal(const unsigned char* a, Py_ssize_t start, const unsigned char* b, Py_ssize_t size) noexcept
cdef long long now_us() noexcept

@cython.final
cdef class Random:
    cdef unsigned long long state
    cdef unsigned long long next(self) noexcept
    cdef Py_ssize_t below(self, Py_ssize_t n) noexcept
