cimport cython

from tage.dataplane cimport native
from tage.dataplane.protocols.http1.characters cimport CLASS
from tage.dataplane.protocols.http1.decoder cimport CHUNKED, FAILED, NO_BODY, READY, Decoder
from tage.dataplane.protocols.message cimport (
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, PLAIN, TRANSFER_ENCODING, UPGRADE,
    HeaderBlock, RequestHead,
)

@cython.final
cdef class Http1RequestHead(RequestHead):
    cdef public bint version_10
    cdef public bint absolute
    cdef Py_ssize_t line_end

@cython.final
cdef class RequestDecoder(Decoder):
    cdef readonly Http1RequestHead head
    cdef Py_ssize_t _authority_form(self, bytes data, Py_ssize_t start, Py_ssize_t end) except -2

cdef bint _valid_host(bytes value) noexcept
cdef bint _valid_authority(bytes value) noexcept
