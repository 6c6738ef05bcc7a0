cimport cython

from tage.dataplane.telemetry.store cimport StatStore

@cython.final
cdef class FilterInstance:
    cdef readonly long long serial
    cdef readonly str name
    cdef readonly str label
    cdef readonly str file
    cdef readonly object filter
    cdef object on_request
    cdef object on_response
    cdef readonly bint fails_open
    cdef readonly long long timeout
    cdef readonly long long blocking_us
    cdef StatStore store
    cdef Py_ssize_t _requests
    cdef Py_ssize_t _errors
    cdef Py_ssize_t _timeouts
    cdef Py_ssize_t _replies
    cdef Py_ssize_t _blocked
    cdef object _reporter
    cdef object _of_errors
    cdef object _of_blocking
    cdef void count_request(self) noexcept
    cdef void count_reply(self) noexcept
    cpdef failed(self, str method, object error)
    cpdef timed_out(self, str method)
    cpdef blocked(self, str method, str how)
