cimport cython

from tage.dataplane cimport native
from tage.dataplane.protocols.edits cimport HeaderEdits, _fill, write_headers
from tage.dataplane.protocols.http2.fields cimport Fields
from tage.dataplane.protocols.message cimport HeaderBlock, RequestHead, ResponseHead, new_block
from tage.dataplane.protocols.writer cimport ByteWriter

@cython.final
cdef class Http2RequestHead(RequestHead):
    cdef readonly bytes protocol
    cpdef RequestHead edited(self, object edits, ByteWriter out)

@cython.final
cdef class Http2ResponseHead(ResponseHead):
    cpdef ResponseHead copied(self, ByteWriter out)

cpdef Http2RequestHead request_head(Fields fields, bint ended)
cpdef bint response_head(Fields fields, Http2ResponseHead into, bint to_head, bint ended) except -1
cpdef bytes trailer_lines(Fields fields)
cdef _keep_marks(HeaderBlock block, HeaderBlock former, unsigned int drop, list names)
