cimport cython

cpdef enum RetryOn:
    CONNECT_FAILURE = 1
    REFUSED_STREAM = 2
    RESET = 4
    GATEWAY_ERROR = 8
    SERVER_ERROR = 16
    CONFLICT = 32
    STATUS_CODES = 64

@cython.final
cdef class RetryPolicy:
    cdef public int on
    cdef public int attempts
    cdef public long long per_try_timeout
    cdef public frozenset statuses
    cdef public long long backoff_base
    cdef public long long backoff_max
    cpdef bint retries_status(self, int status)
