cimport cython

from tage.dataplane.protocols.http2.defences cimport FRAMES_A_STREAM, RESETS, RESETS_A_SECOND, Budget
from tage.dataplane.protocols.http2.frames cimport (
    ACK, ENABLE_CONNECT_PROTOCOL, ENABLE_PUSH, FLOW_CONTROL_ERROR, FRAME_GOAWAY, FRAME_PING, FRAME_PRIORITY,
    FRAME_PUSH_PROMISE, FRAME_RST_STREAM, FRAME_SETTINGS, FRAME_SIZE_ERROR, FRAME_WINDOW_UPDATE, HEADER_TABLE_SIZE,
    INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, PROTOCOL_ERROR, number, put_frame_head, put_goaway,
    put_rst,
)
from tage.dataplane.protocols.http2.hpack.decoder cimport HpackDecoder
from tage.dataplane.protocols.http2.sending cimport Sending
from tage.dataplane.protocols.http2.stream_state cimport StreamState

cpdef enum Event:
    MORE = 0
    HEAD = 1
    DATA = 2
    END = 3
    RESET = 4
    ROOM = 5
    GOAWAY = 6
    SETTINGS = 7
    PONG = 8
    FAILED = 9
    PROBLEM = 10

cdef class Control(Sending):
    cdef readonly StreamState stream
    cdef readonly unsigned int code
    cdef readonly unsigned int last_id
    cdef readonly unsigned long long opaque
    cdef readonly object error
    cdef readonly str problem
    cdef readonly long long last_peer_id
    cdef readonly bint peer_allows_connect
    cdef HpackDecoder _decoder
    cdef Budget _resets
    cdef StreamState _last
    cdef unsigned int _seen
    cdef long long _now
    cdef bint _settings_seen
    cdef StreamState _find(self, unsigned int id)
    cdef bint _idle(self, unsigned int id) noexcept
    cdef bint _ignored(self, unsigned int id)
    cdef int _control_frame(self, bytes data, Py_ssize_t at, Py_ssize_t size, int type, int flags, unsigned int id) except -1
    cdef int _read_rst(self, bytes data, Py_ssize_t at, Py_ssize_t size, unsigned int id) except -1
    cdef int _read_priority(self, bytes data, Py_ssize_t at, Py_ssize_t size, unsigned int id) except -1
    cdef int _read_settings(self, bytes data, Py_ssize_t at, Py_ssize_t size, int flags, unsigned int id) except -1
    cdef object _setting(self, unsigned int setting, unsigned int value)
    cdef object _resize_windows(self, long long window)
    cdef int _read_ping(self, bytes data, Py_ssize_t at, Py_ssize_t size, int flags, unsigned int id) except -1
    cdef int _read_goaway(self, bytes data, Py_ssize_t at, Py_ssize_t size, unsigned int id) except -1
    cdef int _read_window_update(self, bytes data, Py_ssize_t at, Py_ssize_t size, unsigned int id) except -1
    cdef int _charge(self, long long frames) except -1
    cdef int _stream_error(self, StreamState s, unsigned int code, str problem) except -1
    cdef int _gone(self, StreamState s, unsigned int code, str problem) except -1
    cdef _refuse(self, unsigned int id, unsigned int code)
    cdef int _told(self, StreamState s, int event) except -1
    cdef int _lost(self, StreamState s) except -1
    cdef int _fail(self, object error) except -1
