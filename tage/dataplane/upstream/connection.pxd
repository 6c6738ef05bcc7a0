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
    REFUSED = 6
    RESET = 7
    UNPROCESSED = 8

cdef str reason_of(object error)

cdef class Receiver(Timer):
    cdef bytes request_trailers
    cdef bytes response_trailers
    cdef unsigned long long upstream_id
    cdef object upstream_state
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
    cdef bint shared
    cdef Py_ssize_t slots
    cdef bint alone
    cdef bint pooled
    cdef send_request(self, Receiver receiver, RequestHead head, HeaderEdits edits, bytes data, bint end)
    cdef send_data(self, Receiver receiver, bytes data, bint end)
    cdef cancel(self, Receiver receiver)
    cdef bint carries(self, Receiver receiver)
    cdef bint full(self, Receiver receiver)
    cdef hold(self, Receiver receiver)
    cdef proceed(self, Receiver receiver)
    cdef relayed(self, bytes frame, object shape, unsigned long long number)
    cdef bound(self, Connection downstream)
    cdef retire(self)
