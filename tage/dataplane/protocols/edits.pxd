cimport cython

from tage.dataplane cimport native
from tage.dataplane.protocols.message cimport (
    CONTENT_LENGTH, HOP_BY_HOP, HOST, PLAIN, HeaderBlock, RequestHead, ResponseHead, kind_of,
)
from tage.dataplane.protocols.writer cimport ByteWriter

@cython.final
cdef class HeaderEdits:
    cdef public unsigned int drop
    cdef public unsigned int keep
    cdef public list names
    cdef public bytes extra
    cdef public bytes path
    cdef public bytes authority
    cdef public bytes method
    cpdef remove(self, bytes name)
    cpdef add(self, bytes name, bytes value)
    cpdef put(self, bytes name, bytes value)
    cpdef bytes value(self, HeaderBlock block, bytes name)
    cdef bint leaves(self, HeaderBlock block, Py_ssize_t index) noexcept

cpdef bytes line_value(bytes lines, bytes name)
cpdef bint protected(bytes name)
cdef bytes _without(bytes lines, bytes name)
cpdef write_headers(ByteWriter out, HeaderBlock block, unsigned int drop, list names=*)
cpdef RequestHead edited_request(RequestHead head, HeaderEdits edits, ByteWriter out)
cpdef ResponseHead copied_response(ResponseHead head, ByteWriter out)
cdef _fill(HeaderBlock block, bytes lines)
