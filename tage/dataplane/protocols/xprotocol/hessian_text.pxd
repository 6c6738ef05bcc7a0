cimport cython

from tage.dataplane cimport native

cdef Py_ssize_t units_end(const unsigned char* p, Py_ssize_t at, Py_ssize_t end, Py_ssize_t units) noexcept
cdef Py_ssize_t string_end(const unsigned char* p, Py_ssize_t at, Py_ssize_t end, bint final) noexcept
cdef Py_ssize_t chunks_end(const unsigned char* p, Py_ssize_t at, Py_ssize_t end, bint final, bint text) noexcept
cdef int _chunk_head(const unsigned char* p, Py_ssize_t at, Py_ssize_t end, bint final, bint text) noexcept
cdef Py_ssize_t _chunk_size(const unsigned char* p, Py_ssize_t at, int head) noexcept
cpdef bytes string_text(bytes data, Py_ssize_t start, Py_ssize_t end)
