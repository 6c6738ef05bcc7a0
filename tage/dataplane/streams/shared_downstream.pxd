from tage.dataplane.streams.downstream cimport DownstreamConnection
from tage.dataplane.streams.output cimport Output

cdef class SharedDownstreamConnection(DownstreamConnection):
    cdef Output output
    cdef bytes scheme
    cdef long long heard
    cdef bint peer_ended
    cdef bint draining
    cdef bint leaving
    cdef long long _requests
    cdef bint nothing_waits(self)
    cdef tell_to_go(self)
    cdef Py_ssize_t parked(self)
    cdef begin(self)
    cdef count_request(self)
    cdef queue(self)
    cdef bound(self)
    cdef end_if_done(self)
    cpdef drain(self)
