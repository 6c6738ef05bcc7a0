cimport cython

from tage.dataplane.net.crc32c cimport crc32c
from tage.dataplane.net.verdict cimport MALFORMED, MORE, OTHER, READY

@cython.final
cdef class ProxyHeader:
    cdef readonly int version
    cdef readonly bint local
    cdef readonly int family
    cdef readonly tuple source
    cdef readonly tuple destination

@cython.final
cdef class ProxyHeaderParser:
    cdef readonly ProxyHeader header
    cdef readonly object error
    cdef readonly Py_ssize_t needed
    cdef readonly Py_ssize_t size
    cdef Py_ssize_t _max_size
    cdef int _verdict
    cpdef int read(self, bytes data)
    cdef int _wait(self, Py_ssize_t needed) noexcept
    cdef int _fail(self, object error) except -3
    cdef int _line(self, bytes data) except -3
    cdef int _fields(self, list fields) except -3
    cdef int _block(self, bytes data) except -3
    cdef int _addresses(self, bytes data) except -3
    cdef int _attributes(self, bytes data, Py_ssize_t at) except -3

cdef int _u16(const unsigned char* p, Py_ssize_t at) noexcept
