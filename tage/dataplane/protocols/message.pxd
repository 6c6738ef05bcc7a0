cimport cython

from tage.dataplane cimport native
from tage.dataplane.protocols.writer cimport ByteWriter

cpdef enum HeaderKind:
    PLAIN = 0
    DROPPED = 1
    CONNECTION = 2
    KEEP_ALIVE = 3
    PROXY_CONNECTION = 4
    TE = 5
    TRAILER = 6
    UPGRADE = 7
    TRANSFER_ENCODING = 8
    CONTENT_LENGTH = 9
    HOST = 10
    EXPECT = 11
    REQUEST_ID = 12
    FORWARDED_FOR = 13
    FORWARDED_PROTO = 14
    CLIENT_CERT = 15
    MAX_FORWARDS = 16
    TAGE_HOPS = 17
    CONTENT_TYPE = 18
    COOKIE = 19

@cython.final
cdef class HeaderBlock:
    cdef readonly bytes raw
    cdef readonly Py_ssize_t count
    cdef Py_ssize_t _capacity
    cdef bytearray _cells
    cdef int* name_start
    cdef int* name_end
    cdef int* value_start
    cdef int* value_end
    cdef int* line_end
    cdef int* kind
    cdef unsigned int* mark
    cdef _grow(self)
    cdef reset(self, bytes raw)
    cdef Py_ssize_t add(self, Py_ssize_t name_start, Py_ssize_t name_end, Py_ssize_t value_start, Py_ssize_t value_end, Py_ssize_t line_end)
    cdef append(self, Py_ssize_t start, Py_ssize_t name_size, Py_ssize_t size, int kind, unsigned int mark)
    cdef Py_ssize_t find(self, int kind) noexcept
    cdef bytes value(self, Py_ssize_t index)
    cdef bint name_is(self, Py_ssize_t index, bytes name) noexcept
    cdef bint goes(self, Py_ssize_t index, unsigned int drop, list names) noexcept
    cpdef bytes get(self, bytes name)

cdef class RequestHead:
    cdef public bytes method
    cdef public bytes path
    cdef public bytes authority
    cdef public bytes scheme
    cdef readonly HeaderBlock block
    cdef public long long body_length
    cdef public bint expects_continue
    cdef public bytes upgrade
    cdef public long long timeout
    cdef public bint one_way
    cdef public bint exclusive
    cdef public bint malformed
    cdef public bint grpc
    cdef complete(self)
    cdef RequestHead edited(self, object edits, ByteWriter out)
    cpdef bytes header(self, bytes name)
    cpdef bytes path_only(self)

cdef class ResponseHead:
    cdef public int status
    cdef public long long body_length
    cdef readonly HeaderBlock block
    cdef complete(self)
    cdef ResponseHead copied(self, ByteWriter out)
    cpdef bytes header(self, bytes name)

cdef int HOP_BY_HOP

cdef HeaderBlock new_block()
cdef bint same(const unsigned char* p, Py_ssize_t start, Py_ssize_t size, bytes name) noexcept
cdef int kind_of(const unsigned char* p, Py_ssize_t start, Py_ssize_t size) noexcept
