cimport cython

from tage.dataplane.net.timers cimport TimerWheel
from tage.dataplane.protocols.http1.decoder cimport FAILED, MORE, READY
from tage.dataplane.protocols.http1.response cimport ResponseDecoder
from tage.dataplane.protocols.edits cimport HeaderEdits
from tage.dataplane.protocols.http1.encoder cimport write_chunk, write_last_chunk, write_request
from tage.dataplane.protocols.message cimport RequestHead
from tage.dataplane.protocols.writer cimport ByteWriter
from tage.dataplane.upstream.cluster_info cimport ClusterInfo
from tage.dataplane.upstream.pool cimport Pool
from tage.dataplane.upstream.connection cimport PROTOCOL_ERROR, TERMINATED, Receiver, UpstreamConnection, reason_of

@cython.final
cdef class Http1UpstreamConnection(UpstreamConnection):
    cdef Pool host
    cdef ClusterInfo cluster
    cdef ByteWriter writer
    cdef ResponseDecoder decoder
    cdef bint _in_body
    cdef bint _chunked
    cdef bint _request_ended
    cdef long long _opened_at
    cdef bint _response_ended
    cdef bint _tunnel
    cdef bytes _upgrade
    cdef long long _free_since
    cdef bint _aged
    cdef _write_end(self, ByteWriter out)
    cdef _read(self)
    cdef _watch(self)
    cdef _switch(self, Receiver receiver)
    cdef bint _end_tunnel(self)
    cdef _complete(self, Receiver receiver)
    cdef _break(self, int failure, str reason)
