from tage.dataplane.net.connection cimport Connection
from tage.dataplane.net.timers cimport Timer
from tage.dataplane.protocols.message cimport RequestHead, ResponseHead
from tage.dataplane.protocols.edits cimport HeaderEdits

cpdef enum Failure:
    NONE = 0
    CONNECT_FAILURE = 1
    CONNECT_TIMEOUT = 2
    OVERFLOW = 3
    TERMINATED = 4
    PROTOCOL_ERROR = 5

cdef class Receiver(Timer):
    cdef bytes request_trailers
    cdef bytes response_trailers
    cdef upstream_ready(self, UpstreamConnection connection)
    cdef upstream_failed(self, int failure, str reason)
    cdef interim(self, ResponseHead head)
    cdef response(self, ResponseHead head, bytes data, bint end)
    cdef response_data(self, bytes data, bint end)
    cdef reset(self, int failure, str reason)
    cdef upstream_congested(self)
    cdef upstream_drained(self)

cdef class UpstreamConnection(Connection):
    cdef Receiver receiver
    cdef public long long requests
    cdef bint received_any
    cdef send_request(self, Receiver receiver, RequestHead head, HeaderEdits edits, bytes data, bint end)
    cdef send_data(self, bytes data, bint end)
    cdef cancel(self)
