from tage.dataplane.protocols.message cimport (
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, DROPPED, PLAIN, TRAILER, TRANSFER_ENCODING,
    HeaderBlock, same,
)
from tage.dataplane cimport native
from tage.dataplane.protocols.http1.characters cimport CLASS

cpdef enum Progress:
    FAILED = -1
    MORE = 0
    READY = 1

cpdef enum BodyKind:
    NO_BODY = 0
    LENGTH = 1
    CHUNKED = 2
    UNTIL_CLOSE = 3

cdef class Decoder:
    cdef bytes data
    cdef Py_ssize_t pos
    cdef Py_ssize_t end
    cdef bytearray _partial
    cdef Py_ssize_t _scanned
    cdef public Py_ssize_t max_head
    cdef public Py_ssize_t max_headers
    cdef public int body
    cdef public unsigned long long remaining
    cdef public unsigned long long content_length
    cdef int _state
    cdef Py_ssize_t _extra
    cdef int _digits
    cdef bint _skipped
    cdef public bytes payload
    cdef public bint keep_trailers
    cdef readonly bytes trailers
    cdef bytearray _trailer_lines
    cdef public bint keep_alive
    cdef public object error
    cdef public bint begun
    cdef HeaderBlock block
    cdef bint _version_10
    cdef public bint switches
    cpdef feed(self, bytes data)
    cpdef bint buffered(self)
    cpdef bint incomplete(self)
    cpdef bytes rest(self)
    cpdef int read_head(self)
    cdef int _read_partial(self)
    cdef void _begin_body(self) noexcept
    cpdef int read_body(self)
    cpdef switch(self)
    cpdef int finish(self)
    cdef Py_ssize_t _find_head_end(self, const unsigned char* p, Py_ssize_t start, Py_ssize_t end)
    cdef _too_large(self, const unsigned char* p, Py_ssize_t start, Py_ssize_t limit)
    cdef int _parse_head(self, bytes data, Py_ssize_t start, Py_ssize_t end)
    cdef Py_ssize_t _start_line(self, bytes data, Py_ssize_t start, Py_ssize_t end)
    cdef int _framing(self)
    cdef int _headers(self, bytes data, Py_ssize_t start, Py_ssize_t end)
    cdef int _transfer_framing(self)
    cdef int _connection(self)
    cdef int _options(self, Py_ssize_t start, Py_ssize_t end)
    cdef int _chunked(self)
    cdef int fail(self, object error) except -2
