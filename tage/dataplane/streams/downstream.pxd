cimport cython

from tage.dataplane.net.connection cimport Connection
from tage.dataplane.net.timers cimport Timer
from tage.dataplane.protocols.edits cimport HeaderEdits
from tage.dataplane.protocols.message cimport RequestHead, ResponseHead
from tage.dataplane.streams.context cimport ListenerState
from tage.dataplane.streams.record cimport StreamRecord

cdef class DownstreamConnection(Connection):
    cdef public ListenerState listener
    cdef bytes forwarded_for
    cdef public str server_name
    cdef long long log_id
    cdef too_old(self)
    cdef StreamRecord record(self)
    cdef str protocol(self)
    cdef send_interim(self, ResponseHead head)
    cdef send_response(self, ResponseHead head, HeaderEdits edits, bytes data, bint end)
    cdef open_tunnel(self, ResponseHead head, HeaderEdits edits, bytes data)
    cdef send_data(self, bytes data, bint end)
    cdef send_error(self, object error, int status, bytes body, HeaderEdits edits)
    cdef reset_stream(self)
    cdef stream_ended(self)
    cdef hold(self)
    cdef proceed(self)

@cython.final
cdef class MaxDuration(Timer):
    cdef DownstreamConnection connection
