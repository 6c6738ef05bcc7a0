cimport cython

from tage.dataplane.net.verdict cimport MALFORMED, MORE, OTHER, READY

@cython.final
cdef class ClientHello:
    cdef readonly str server_name
    cdef readonly tuple alpn
    cdef readonly tuple versions
    cdef readonly int legacy_version

@cython.final
cdef class ClientHelloParser:
    cdef readonly ClientHello hello
    cdef readonly object error
    cdef readonly Py_ssize_t needed
    cdef readonly Py_ssize_t size
    cdef Py_ssize_t _max_hello
    cdef Py_ssize_t _max_records
    cdef int _verdict
    cdef Py_ssize_t _record
    cdef Py_ssize_t _records
    cdef Py_ssize_t _total
    cdef bytearray _gathered
    cpdef int read(self, bytes data)
    cdef int _read_record(self, bytes data) except -3
    cdef int _handshake_header(self, bytes data, Py_ssize_t start, Py_ssize_t have) except -3
    cdef int _wait(self, Py_ssize_t needed) noexcept
    cdef int _fail(self, object error) except -3
    cdef int _parse(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -3
    cdef int _extensions(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -3
    cdef int _server_name(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -3
    cdef int _alpn(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -3
    cdef int _supported_versions(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -3

cdef int _u16(const unsigned char* p, Py_ssize_t at) noexcept
cdef bint _is_grease(int high, int low) noexcept
cdef bint _valid_host_name(bytes data, Py_ssize_t at, Py_ssize_t end) noexcept
