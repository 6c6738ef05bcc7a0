cimport cython

from tage.dataplane cimport native
from tage.dataplane.protocols.http1.characters cimport CLASS
from tage.dataplane.protocols.http1.decoder cimport (
    CHUNKED, FAILED, LENGTH, NO_BODY, READY, UNTIL_CLOSE, Decoder,
)
from tage.dataplane.protocols.message cimport ResponseHead

@cython.final
cdef class Http1ResponseHead(ResponseHead):
    cdef public bint version_10
    cdef Py_ssize_t line_start
    cdef Py_ssize_t line_end

@cython.final
cdef class ResponseDecoder(Decoder):
    cdef readonly Http1ResponseHead head
    cdef public bint to_head
    cdef public bint to_connect
    cpdef bint switches_to(self, bytes protocol)
