from tage.dataplane cimport native
from tage.dataplane.protocols.message cimport HeaderBlock

cpdef enum GrpcStatus:
    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16

cpdef int from_http(int status) noexcept
cpdef int to_http(int status) except -1
cpdef int known(int status) noexcept
cpdef int status_in(HeaderBlock block) noexcept
cpdef int status_of(bytes lines) noexcept
cdef int _number(const unsigned char* p, Py_ssize_t start, Py_ssize_t end) noexcept
cpdef long long timeout_in(HeaderBlock block) noexcept
cdef long long _timeout(const unsigned char* p, Py_ssize_t start, Py_ssize_t end) noexcept
cpdef bytes timeout_value(long long ms)
cpdef int local_status(object error, int status) except -1
cpdef bytes local_answer(object error, int status, bytes body)
cpdef bytes end_lines(int status, bytes message)
cpdef bytes encoded(bytes text)
cpdef bytes decoded(bytes text)
