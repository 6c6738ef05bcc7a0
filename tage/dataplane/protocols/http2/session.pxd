cimport cython

from tage.dataplane cimport native
from tage.dataplane.protocols.http2.control cimport (
    DATA, END, FAILED, GOAWAY, HEAD, MORE, PONG, PROBLEM, RESET, ROOM, SETTINGS,
)
from tage.dataplane.protocols.http2.defences cimport UNREAD_BYTES
from tage.dataplane.protocols.http2.frames cimport (
    ACK, ENABLE_CONNECT_PROTOCOL, ENABLE_PUSH, END_HEADERS, END_STREAM, FRAME_CONTINUATION, FRAME_DATA, FRAME_HEADERS, FRAME_SETTINGS,
    HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE, PADDED,
    PREFACE,    end_frame, number, put_frame_head, put_setting, put_window_update,
)
from tage.dataplane.protocols.http2.messages cimport Messages
from tage.dataplane.protocols.http2.stream_state cimport StreamState

@cython.final
cdef class Session(Messages):
    cdef bytes _data
    cdef Py_ssize_t _pos
    cdef Py_ssize_t _end
    cdef bytearray _partial
    cdef Py_ssize_t _need
    cdef Py_ssize_t _preface
    cdef bint _begun
    cpdef start(self)
    cpdef feed(self, bytes data)
    cpdef int read(self, long long now) except -1
    cpdef Py_ssize_t buffered(self)
    cdef int _read(self) except -1
    cpdef bint follows(self, StreamState s, bint end) except -1
    cdef int _read_preface(self) except -1
    cdef bytes _gathered(self)
    cdef _keep(self, Py_ssize_t need)
    cdef int _frame(self, bytes data, Py_ssize_t at, Py_ssize_t size) except -1
