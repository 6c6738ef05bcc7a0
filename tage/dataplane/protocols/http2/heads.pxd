cimport cython

from tage.dataplane cimport native
from tage.dataplane.protocols.http2.fields cimport Fields
from tage.dataplane.protocols.message cimport HeaderBlock, RequestHead, ResponseHead
from tage.dataplane.protocols.writer cimport ByteWriter

@cython.final
cdef class Http2RequestHead(RequestHead):
    cdef readonly bytes protocol

@cython.final
cdef class Http2ResponseHead(ResponseHead):
    pass

cpdef Http2RequestHead request_head(Fields fields, bint ended)
cpdef bint response_head(Fields fields, Http2ResponseHead into, bint to_head, bint ended) except -1
cpdef bytes trailer_lines(Fields fields)
