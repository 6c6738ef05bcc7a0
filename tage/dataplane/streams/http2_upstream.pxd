cimport cython

from tage.dataplane.protocols.http2.frames cimport CANCEL, REFUSED_STREAM
from tage.dataplane.protocols.http2.heads cimport Http2ResponseHead
from tage.dataplane.protocols.http2.control cimport DATA, END, FAILED, GOAWAY, HEAD, MORE, ROOM, SETTINGS
from tage.dataplane.protocols.http2.control cimport RESET as WAS_RESET
from tage.dataplane.protocols.http2.session cimport Session
from tage.dataplane.protocols.http2.settings cimport Http2Settings
from tage.dataplane.protocols.http2.stream_state cimport StreamState
from tage.dataplane.streams.context cimport Context
from tage.dataplane.streams.shared_upstream cimport SharedUpstreamConnection
from tage.dataplane.upstream.connection cimport (
    PROTOCOL_ERROR, REFUSED, RESET, UNPROCESSED,
    Receiver,
)

@cython.final
cdef class Http2UpstreamConnection(SharedUpstreamConnection):
    cdef Http2Settings settings
    cdef readonly Session session
    cdef _part(self, StreamState state)
    cdef _freed(self)
    cdef _head(self, StreamState state)
    cdef _data(self, StreamState state)
    cdef _end(self, StreamState state)
    cdef _answered(self, StreamState state)
    cdef _room(self, StreamState state)
    cdef _reset(self, StreamState state)
    cdef _go_away(self)
