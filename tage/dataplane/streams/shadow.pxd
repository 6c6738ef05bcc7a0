cimport cython

from tage.dataplane.protocols.edits cimport HeaderEdits, edited_request
from tage.dataplane.protocols.message cimport RequestHead
from tage.dataplane.streams.context cimport Context
from tage.dataplane.streams.loops cimport MAX_HOPS, count_hop, hops_made
from tage.dataplane.upstream.cluster cimport Cluster
from tage.dataplane.upstream.connection cimport Receiver, UpstreamConnection
from tage.dataplane.upstream.host cimport Host
from tage.dataplane.upstream.pool cimport Pool

@cython.final
cdef class Shadow(Receiver):
    cdef Context context
    cdef Cluster cluster
    cdef Host host
    cdef UpstreamConnection upstream
    cdef RequestHead head
    cdef HeaderEdits edits
    cdef bytes preface
    cdef long long limit
    cdef long long started
    cdef list body
    cdef Py_ssize_t size
    cdef bint ended
    cdef bint over
    cdef bint full
    cdef bint came_by_http2
    cdef bint start(self, RequestHead head, HeaderEdits edits, bint append_suffix, list body, bint end)
    cdef bint _connect(self)
    cdef request_data(self, bytes data, bint end)
    cdef abandon(self)
    cdef _part(self)
    cdef _leave(self)

cdef bytes shadowed(bytes authority)
