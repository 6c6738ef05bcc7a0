from tage.dataplane.protocols.writer cimport ByteWriter

cpdef enum FrameType:
    FRAME_DATA = 0
    FRAME_HEADERS = 1
    FRAME_PRIORITY = 2
    FRAME_RST_STREAM = 3
    FRAME_SETTINGS = 4
    FRAME_PUSH_PROMISE = 5
    FRAME_PING = 6
    FRAME_GOAWAY = 7
    FRAME_WINDOW_UPDATE = 8
    FRAME_CONTINUATION = 9

cpdef enum Flag:
    END_STREAM = 1
    ACK = 1
    END_HEADERS = 4
    PADDED = 8
    PRIORITY = 32

cpdef enum ErrorCode:
    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13

cpdef enum Setting:
    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6
    ENABLE_CONNECT_PROTOCOL = 8

cdef bytes PREFACE

cdef unsigned int number(const unsigned char* p, Py_ssize_t at) noexcept
cdef put_frame_head(ByteWriter out, Py_ssize_t length, int type, int flags, unsigned int id)
cdef void end_frame(ByteWriter out, Py_ssize_t at, int flags) noexcept
cdef put_number(ByteWriter out, unsigned int value)
cdef put_setting(ByteWriter out, int setting, unsigned int value)
cdef put_rst(ByteWriter out, unsigned int id, unsigned int code)
cdef put_window_update(ByteWriter out, unsigned int id, unsigned int increment)
cdef put_ping(ByteWriter out, unsigned long long opaque, bint ack)
cdef put_goaway(ByteWriter out, unsigned int last_id, unsigned int code, bytes debug)
