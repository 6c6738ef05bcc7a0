from tage.dataplane cimport native

cdef class ByteWriter:
    cdef bytearray _buffer
    cdef unsigned char* _p
    cdef Py_ssize_t _capacity
    cdef readonly Py_ssize_t size
    cdef void _room(self, Py_ssize_t more)
    cdef void clear(self) noexcept
    cpdef void put(self, bytes source)
    cpdef void put_slice(self, bytes source, Py_ssize_t start, Py_ssize_t end)
    cpdef void put_decimal(self, unsigned long long value)
    cpdef void put_hex(self, unsigned long long value, int digits)
    cpdef bytes take(self)
