cimport cython

from tage.dataplane.protocols.http1.decoder cimport FAILED, MORE, READY
from tage.dataplane.protocols.http1.request cimport RequestDecoder
from tage.dataplane.protocols.http1.response cimport Http1ResponseHead
from tage.dataplane.protocols.edits cimport HeaderEdits
from tage.dataplane.protocols.http1.encoder cimport write_chunk, write_last_chunk, write_response
from tage.dataplane.protocols.message cimport CONTENT_LENGTH, TRAILER, ResponseHead
from tage.dataplane.protocols.writer cimport ByteWriter
from tage.dataplane.streams.context cimport AUTO
from tage.dataplane.streams.downstream cimport DownstreamConnection
from tage.dataplane.streams.stream cimport Stream

@cython.final
cdef class Http1DownstreamConnection(DownstreamConnection):
    cdef RequestDecoder decoder
    cdef Stream stream
    cdef bint _request_ended
    cdef bint _reading
    cdef bint _close_after
    cdef bint _chunked
    cdef bint _in_head
    cdef bint _held
    cdef bint _draining
    cdef bint _ended
    cdef bint _tunnel
    cdef long long _quiet_since
    cdef long long _requests
    cdef bint _undecided
    cdef bytes _first
    cdef bytes _decided(self, bytes data)
    cdef _hand_over(self, bytes data)
    cdef _advance(self)
    cdef _next_request(self)
    cdef _more_body(self)
    cdef _end_tunnel(self)
    cdef _refuse(self, object error)
    cdef _send(self, bytes data)
    cdef _write_end(self, ByteWriter out)
    cdef _finish_writing(self)
