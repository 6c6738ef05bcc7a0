cimport cython

from tage.dataplane.filters.filter cimport Exchange
from tage.dataplane.filters.python.headers cimport Headers, header_name, header_value, headers_of
from tage.dataplane.protocols.edits cimport protected

@cython.final
cdef class Reply:
    cdef readonly int status
    cdef readonly bytes body
    cdef readonly tuple headers

@cython.final
@cython.freelist(8)
cdef class Request:
    cdef Exchange _exchange
    cdef Headers _headers
    cdef dict _state
    cdef Reply _reply
    cdef object _held
    cdef Exchange _open(self)
    cpdef release(self)
    cpdef close(self)

@cython.final
@cython.freelist(8)
cdef class Response:
    cdef Exchange _exchange
    cdef Headers _headers
    cdef Exchange _open(self)
    cpdef release(self)
    cpdef close(self)

cdef Request request_of(Exchange exchange)
cdef Response response_of(Exchange exchange)
