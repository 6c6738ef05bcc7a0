cimport cython

from tage.dataplane cimport native

@cython.final
cdef class ByteWriter:
    cdef bytearray _buffer
    cdef unsigned char* _p
    cdef Py_ssize_t _capacity
    cdef readonly Py_ssize_t size
    cdef _room(self, Py_ssize_t more)
    cdef void clear(self) noexcept
    cpdef put(self, bytes source)
    cpdef put_slice(self, bytes source, Py_ssize_t start, Py_ssize_t end)
    cpdef put_decimal(self, unsigned long long value)
    cpdef put_hex(self, unsigned long long value, int digits)
    cpdef bytes take(self)
    cpdef put_number_at(self, Py_ssize_t at, unsigned long long value, int width, bint little)
    cpdef unsigned long long crc32(self, Py_ssize_t start, Py_ssize_t end) except? 0xFFFFFFFFFFFFFFFF
    cdef void cut(self, Py_ssize_t size) noexcept
