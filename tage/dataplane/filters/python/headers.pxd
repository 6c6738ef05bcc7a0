cimport cython

from tage.dataplane.protocols.edits cimport HeaderEdits, line_value, protected
from tage.dataplane.protocols.message cimport HOST, HeaderBlock, RequestHead

cdef dict _KNOWN

@cython.final
@cython.freelist(8)
cdef class Headers:
    cdef HeaderBlock _block
    cdef HeaderEdits _edits
    cdef RequestHead _request
    cdef bytes _value(self, bytes name)
    cdef list _lines(self)
    cdef _open(self)
    cdef bint _stands(self, bytes name)
    cdef bytes _writable(self, object name)
    cpdef close(self)

cdef Headers headers_of(HeaderBlock block, HeaderEdits edits, RequestHead request)
cdef bytes header_name(object name)
cdef bytes header_value(object value)
