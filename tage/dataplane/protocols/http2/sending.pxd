cimport cython

from tage.dataplane.protocols.edits cimport HeaderEdits
from tage.dataplane.protocols.http2.defences cimport (
    FRAMES, FRAMES_A_DATA, FRAMES_A_SECOND, REMEMBERED, UNREAD_BYTES, Budget,
)
from tage.dataplane.protocols.http2.frames cimport (
    END_HEADERS, END_STREAM, FRAME_CONTINUATION, FRAME_DATA, FRAME_HEADERS, NO_ERROR, PROTOCOL_ERROR, end_frame, put_frame_head,
    put_goaway, put_ping, put_rst,
)
from tage.dataplane.protocols.http2.hpack.encoder cimport HpackEncoder
from tage.dataplane.protocols.http2.settings cimport Http2Settings
from tage.dataplane.protocols.http2.stream_state cimport StreamState, new_stream
from tage.dataplane.protocols.http2.write cimport write_local, write_request, write_response, write_trailers
from tage.dataplane.protocols.message cimport RequestHead, ResponseHead
from tage.dataplane.protocols.writer cimport ByteWriter

cdef class Sending:
    cdef readonly bint server
    cdef readonly Http2Settings settings
    cdef readonly dict streams
    cdef readonly Py_ssize_t active
    cdef readonly long long peer_max_streams
    cdef readonly bint settings_acked
    cdef readonly bint blocked
    cdef readonly bint failed
    cdef readonly bint goaway_sent
    cdef readonly bint goaway_received
    cdef readonly unsigned int goaway_last
    cdef ByteWriter _out
    cdef list _pieces
    cdef HpackEncoder _encoder
    cdef Budget _frames
    cdef long long _window
    cdef long long _peer_window
    cdef Py_ssize_t _peer_frame
    cdef object _ready
    cdef object _roomy
    cdef dict _reset_here
    cdef unsigned int _recent[64]
    cdef int _recent_at
    cdef public unsigned int next_id
    cdef unsigned int _to_begin
    cdef Py_ssize_t _unread
    cdef Py_ssize_t _grown
    cpdef gather(self, list pieces)
    cpdef StreamState open(self, object owner)
    cpdef send_request(self, StreamState s, RequestHead head, HeaderEdits edits, bint end)
    cpdef send_response(self, StreamState s, ResponseHead head, HeaderEdits edits, bint end)
    cpdef send_local(self, StreamState s, int status, bytes lines, bint end)
    cpdef send_data(self, StreamState s, bytes data, bint end, bytes trailers)
    cpdef reset(self, StreamState s, unsigned int code)
    cpdef list owners(self)
    cpdef forget(self, StreamState s)
    cpdef abandon(self, StreamState s)
    cpdef bint spent(self, StreamState s)
    cpdef block(self)
    cpdef unblock(self)
    cpdef StreamState roomy(self)
    cpdef go_away(self, unsigned int last_id, unsigned int code)
    cpdef ping(self, unsigned long long opaque)
    cdef long long _given_window(self) noexcept
    cdef bint _may_send(self, StreamState s) noexcept
    cdef Py_ssize_t _begin_block(self, StreamState s)
    cdef _end_block(self, StreamState s, Py_ssize_t at, bint end)
    cdef _split_block(self, unsigned int id, Py_ssize_t at, bint end)
    cdef _put_body(self, bytes data)
    cdef _put_end(self, StreamState s, bytes trailers)
    cdef _wait(self, StreamState s, bytes data, bint end, bytes trailers)
    cdef _put_pending(self, StreamState s)
    cdef _has_room(self, StreamState s)
    cdef _turn(self, StreamState s)
    cdef _pump(self)
    cdef _local_end(self, StreamState s)
    cdef _close(self, StreamState s)
    cdef _remember(self, unsigned int id)
    cdef bint _closed_lately(self, unsigned int id) noexcept
