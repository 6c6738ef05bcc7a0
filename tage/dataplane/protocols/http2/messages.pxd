cimport cython

from tage.dataplane.protocols.http2.control cimport DATA, END, FAILED, HEAD, MORE, PROBLEM, Control
from tage.dataplane.protocols.http2.defences cimport CONTINUATIONS, FRAMES_A_STREAM
from tage.dataplane.protocols.http2.fields cimport REQUEST, RESPONSE, TRAILERS, Fields
from tage.dataplane.protocols.http2.frames cimport (
    END_HEADERS, END_STREAM, FLOW_CONTROL_ERROR, PADDED, PRIORITY, PROTOCOL_ERROR, REFUSED_STREAM, STREAM_CLOSED, number,
    put_window_update,
)
from tage.dataplane.protocols.http2.heads cimport (
    Http2RequestHead, Http2ResponseHead, request_head, response_head, trailer_lines,
)
from tage.dataplane.protocols.http2.stream_state cimport StreamState, new_stream

cdef class Messages(Control):
    cdef readonly object head
    cdef readonly bytes payload
    cdef readonly bytes trailers
    cdef readonly bint ended
    cdef readonly bint too_large
    cdef Fields _fields
    cdef Http2ResponseHead _response
    cdef long long _recv_window
    cdef long long _unacked
    cdef bytearray _block
    cdef unsigned int _block_id
    cdef int _block_flags
    cdef int _block_frames
    cdef bint _block_depends
    cpdef hold(self, StreamState s)
    cpdef proceed(self, StreamState s)
    cdef int _read_data(self, bytes data, Py_ssize_t at, Py_ssize_t size, int flags, unsigned int id) except -1
    cdef int _data_of_none(self, unsigned int id, int flags) except -1
    cdef _give(self, StreamState s)
    cdef int _read_headers(self, bytes data, Py_ssize_t at, Py_ssize_t size, int flags, unsigned int id) except -1
    cdef int _begin_long(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
    cdef int _read_continuation(self, bytes data, Py_ssize_t at, Py_ssize_t size, int flags, unsigned int id) except -1
    cdef int _header_block(self, bytes data, Py_ssize_t at, Py_ssize_t end, unsigned int id, bint ended, bint depends) except -1
    cdef int _decode(self, bytes data, Py_ssize_t at, Py_ssize_t end, int kind) except -1
    cdef int _request(self, bytes data, Py_ssize_t at, Py_ssize_t end, unsigned int id, bint ended, bint depends) except -1
    cdef int _unwanted(self, bytes data, Py_ssize_t at, Py_ssize_t end, unsigned int id, bint ended) except -1
    cdef int _answer(self, bytes data, Py_ssize_t at, Py_ssize_t end, StreamState s, bint ended) except -1
    cdef int _trailers(self, bytes data, Py_ssize_t at, Py_ssize_t end, StreamState s, bint ended, bint depends) except -1
    cdef _remote_end(self, StreamState s)
