cimport cython

from tage.dataplane.protocols.http1.request cimport _valid_authority, _valid_host
from tage.dataplane.protocols.http2.hpack.field cimport (
    AUTHORITY, METHOD, NEVER_INDEXED, PATH, PROTOCOL, SCHEME, STATUS, Field,
    check_name, check_pseudo, check_value, number_in, pseudo_of, value_ok,
)
from tage.dataplane.protocols.message cimport (
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, HOST, KEEP_ALIVE, PROXY_CONNECTION, TE,
    TRANSFER_ENCODING, UPGRADE, HeaderBlock, kind_of, new_block, same,
)
from tage.dataplane.protocols.writer cimport ByteWriter

cpdef enum BlockKind:
    REQUEST = 0
    RESPONSE = 1
    TRAILERS = 2
    RAW = 3

@cython.final
cdef class Fields:
    cdef readonly int kind
    cdef readonly str problem
    cdef readonly bint too_large
    cdef readonly bytes method
    cdef readonly bytes scheme
    cdef readonly bytes path
    cdef readonly bytes authority
    cdef readonly bytes protocol
    cdef readonly int status
    cdef readonly long long content_length
    cdef readonly bint grpc
    cdef readonly bint continues
    cdef HeaderBlock block
    cdef ByteWriter out
    cdef ByteWriter _crumbs
    cdef Py_ssize_t _cookie
    cdef Py_ssize_t _left
    cdef Py_ssize_t _lines_left
    cdef unsigned int _seen
    cdef bytes _host
    cpdef reset(self, int kind, Py_ssize_t max_bytes, Py_ssize_t max_count)
    cdef add(self, Field field)
    cdef add_line(self, Py_ssize_t start, Py_ssize_t name_size, Field name, bint never)
    cdef end(self)
    cdef HeaderBlock taken(self)
    cdef _fail(self, str problem)
    cdef bint _count(self, Py_ssize_t size, int kind)
    cdef _pseudo(self, int pseudo, bytes value, long long number)
    cdef bint _special(self, int kind, const unsigned char* p, Py_ssize_t start, Py_ssize_t end) except -1
    cdef _cookie_crumb(self, const unsigned char* p, Py_ssize_t start, Py_ssize_t end)
    cdef _end_request(self)
    cdef _spread_crumbs(self)

cdef bint _same_host(bytes a, bytes b, bytes scheme)
