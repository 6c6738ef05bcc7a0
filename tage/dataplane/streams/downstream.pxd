from tage.dataplane.net.connection cimport Connection
from tage.dataplane.protocols.message cimport RequestHead, ResponseHead
from tage.dataplane.streams.context cimport ListenerState

cdef class DownstreamConnection(Connection):
    cdef public ListenerState listener
    cdef bytes forwarded_for
    cdef send_interim(self, ResponseHead head)
    cdef send_response(self, ResponseHead head, bytes data, bint end)
    cdef send_data(self, bytes data, bint end)
    cdef send_error(self, object error, int status, bytes body)
    cdef reset_stream(self)
    cdef stream_ended(self)
    cdef hold(self)
    cdef proceed(self)
