cimport cython

from tage.dataplane cimport native
from tage.dataplane.protocols.writer cimport ByteWriter

@cython.final
cdef class Pairs:
    cdef readonly int width
    cdef readonly bint little
    cdef readonly object null
    cdef unsigned long long _null
    cdef bint _nullable
    cdef unsigned long long _most
    cdef Py_ssize_t _next(self, const unsigned char* p, Py_ssize_t at, Py_ssize_t end) noexcept
    cdef Py_ssize_t _length(self, const unsigned char* p, Py_ssize_t at) noexcept
    cdef (Py_ssize_t, Py_ssize_t) find(self, const unsigned char* p, Py_ssize_t start, Py_ssize_t end, tuple keys) noexcept
    cpdef list read(self, bytes data, Py_ssize_t start, Py_ssize_t end)
    cdef bint put_lines(self, bytes data, Py_ssize_t start, Py_ssize_t end, ByteWriter out) except -1
    cdef _put(self, ByteWriter out, bytes text, bint null)
    cpdef bytes write(self, list items, list before=*)

cdef put_line(bytes name, Py_ssize_t start, Py_ssize_t end, bytes value, Py_ssize_t value_start, Py_ssize_t value_end, ByteWriter out)
cdef unsigned long long number(const unsigned char* p, Py_ssize_t at, int width, bint little) noexcept
cdef ByteWriter _OUT
