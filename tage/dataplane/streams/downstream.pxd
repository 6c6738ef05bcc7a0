cimport cython

from tage.dataplane.net.connection cimport Connection
from tage.dataplane.net.timers cimport Timer
from tage.dataplane.protocols.edits cimport HeaderEdits
from tage.dataplane.protocols.message cimport RequestHead, ResponseHead
from tage.dataplane.streams.context cimport ListenerState
from tage.dataplane.streams.record cimport StreamRecord
from tage.dataplane.upstream.cluster_info cimport ClusterInfo
from tage.dataplane.upstream.connection cimport Receiver, UpstreamConnection
from tage.dataplane.upstream.host cimport Host

cdef class DownstreamConnection

@cython.final
cdef class MaxDuration(Timer):
    cdef DownstreamConnection connection

@cython.final
cdef class Binding:
    cdef Host host
    cdef UpstreamConnection connection

cdef class DownstreamConnection(Connection):
    cdef public ListenerState listener
    cdef bytes forwarded_for
    cdef public str server_name
    cdef long long log_id
    cdef MaxDuration _duration
    cdef enter(self)
    cdef succeed(self, DownstreamConnection former)
    cdef start_clocks(self)
    cdef leave(self)
    cdef count_refused(self, object error, int status, Py_ssize_t sent)
    cdef too_old(self)
    cdef StreamRecord record(self)
    cdef str protocol(self)
    cdef send_interim(self, Receiver stream, ResponseHead head)
    cdef send_response(self, Receiver stream, ResponseHead head, HeaderEdits edits, bytes data, bint end)
    cdef open_tunnel(self, Receiver stream, ResponseHead head, HeaderEdits edits, bytes data)
    cdef send_data(self, Receiver stream, bytes data, bint end)
    cdef send_error(self, Receiver stream, object error, int status, bytes body, HeaderEdits edits)
    cdef reset_stream(self, Receiver stream)
    cdef Binding bound_to(self, ClusterInfo cluster)
    cdef bind(self, ClusterInfo cluster, Binding binding)
    cdef bint relay(self, UpstreamConnection upstream, bytes frame, object shape, unsigned long long number) except -1
    cdef bint full(self, Receiver stream)
    cdef stream_ended(self, Receiver stream)
    cdef hold(self, Receiver stream)
    cdef proceed(self, Receiver stream)
