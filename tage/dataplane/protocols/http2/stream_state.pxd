cimport cython

from tage.dataplane.protocols.message cimport RequestHead

@cython.final
@cython.freelist(64)
cdef class StreamState:
    cdef readonly unsigned int id
    cdef public object owner
    cdef readonly RequestHead head
    cdef readonly bint local_ended
    cdef readonly bint remote_ended
    cdef readonly bint closed
    cdef readonly bint held
    cdef readonly bint full
    cdef readonly bint answered
    cdef readonly long long send_window
    cdef readonly long long recv_window
    cdef readonly Py_ssize_t unacked
    cdef readonly Py_ssize_t pending_bytes
    cdef object pending
    cdef Py_ssize_t pending_at
    cdef bint pending_end
    cdef bytes pending_trailers
    cdef bint begun
    cdef bint queued
    cdef bint roomy
    cdef bint dropped
    cdef bint silent
    cdef bint malformed
    cdef bint to_head
    cdef bint connects
    cdef bint switches
    cdef bint tunnel
    cdef bint slowed
    cdef Py_ssize_t grown
    cdef long long given_at
    cdef long long left

cdef StreamState new_stream(unsigned int id, object owner)
