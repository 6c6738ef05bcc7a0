cimport cython

from tage.dataplane.protocols.http2.frames cimport INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR
from tage.dataplane.protocols.http2.heads cimport Http2RequestHead
from tage.dataplane.protocols.http2.control cimport DATA, END, FAILED, GOAWAY, HEAD, MORE, PROBLEM, RESET, ROOM
from tage.dataplane.protocols.http2.session cimport Session
from tage.dataplane.protocols.http2.settings cimport Http2Settings
from tage.dataplane.protocols.http2.stream_state cimport StreamState
from tage.dataplane.protocols.message cimport CONTENT_LENGTH
from tage.dataplane.streams.context cimport ListenerState
from tage.dataplane.streams.downstream cimport DownstreamConnection
from tage.dataplane.streams.shared_downstream cimport SharedDownstreamConnection
from tage.dataplane.streams.stream cimport Stream

@cython.final
cdef class Http2DownstreamConnection(SharedDownstreamConnection):
    cdef readonly Session session
    cdef Py_ssize_t _live
    cdef long long _asked
    cdef long long _quiet_since
    cdef long long _drain_due
    cdef dict _early
    cpdef take_over(self, DownstreamConnection former, bytes data)
    cdef _give_up(self)
    cdef _head(self, StreamState state)
    cdef _asks_for_tunnel(self, StreamState state, bint ended)
    cdef _data(self, StreamState state)
    cdef _end(self, StreamState state)
    cdef _room(self, StreamState state)
    cdef _reset(self, StreamState state)
    cdef _problem(self, StreamState state)
    cdef _failed(self)
    cdef _send_local(self, StreamState state, int status, bytes lines, bytes body)
    cdef _watch(self, long long now)
    cdef _leave(self)
    cdef long long _until_idle(self, long long now) except *
    cdef long long _until_asked(self, long long now) except *
