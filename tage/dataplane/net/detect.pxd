from tage.dataplane cimport native

cpdef enum Protocol:
    UNDECIDED = 0
    TLS = 1
    HTTP2 = 2
    HTTP1 = 3
    UNKNOWN = 4

cpdef int detect(bytes data) noexcept
cdef int _http1(bytes data, Py_ssize_t end) noexcept
cdef Py_ssize_t _absolute(bytes data, Py_ssize_t at, Py_ssize_t end) noexcept
