cimport cython

from tage.dataplane.net.timers cimport TimerWheel
from tage.dataplane.protocols.edits cimport HeaderEdits
from tage.dataplane.protocols.message cimport RequestHead, ResponseHead
from tage.dataplane.upstream.cluster_info cimport ClusterInfo
from tage.dataplane.upstream.host cimport Host
from tage.dataplane.upstream.connection cimport TERMINATED, Receiver, UpstreamConnection, reason_of

@cython.final
cdef class TcpUpstreamConnection(UpstreamConnection):
    cdef Host host
    cdef ClusterInfo cluster
    cdef bint _request_ended
    cdef bint _response_ended
    cdef _break(self, str reason)
