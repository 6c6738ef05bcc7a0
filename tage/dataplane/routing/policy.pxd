cimport cython

from tage.dataplane.protocols.message cimport HeaderBlock, RequestHead, ResponseHead
from tage.dataplane.routing.matcher cimport HeaderMatcher

cpdef enum RetryOn:
    CONNECT_FAILURE = 1
    REFUSED_STREAM = 2
    RESET = 4
    GATEWAY_ERROR = 8
    SERVER_ERROR = 16
    CONFLICT = 32
    STATUS_CODES = 64
    RESET_BEFORE_REQUEST = 128
    HEADERS = 256
    RATE_LIMITED = 512

@cython.final
cdef class RetryPolicy:
    cdef public int on
    cdef public int grpc
    cdef public int attempts
    cdef public long long per_try_timeout
    cdef public long long per_try_idle_timeout
    cdef public frozenset statuses
    cdef public list headers
    cdef public list request_headers
    cdef public long long backoff_base
    cdef public long long backoff_max
    cpdef bint applies(self, RequestHead head) except -1
    cdef bint looks_into(self, int status)
    cpdef bint retries_status(self, int status) except -1
    cpdef bint retries(self, ResponseHead head, int grpc=*) except -1
    cdef bint retries_refused(self)
    cpdef bint retries_reset(self, bint connected, bint sent) except -1
