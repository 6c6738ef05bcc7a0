cimport cython

from tage.dataplane.protocols.http2.fields cimport Fields
from tage.dataplane.protocols.http2.hpack cimport huffman
from tage.dataplane.protocols.http2.hpack.field cimport Field, new_field
from tage.dataplane.protocols.http2.hpack.static cimport STATIC
from tage.dataplane.protocols.http2.hpack.table cimport FieldTable
from tage.dataplane.protocols.writer cimport ByteWriter

@cython.final
cdef class HpackDecoder:
    cdef readonly FieldTable table
    cdef readonly str error
    cdef Py_ssize_t _limit
    cdef bint _acknowledged
    cdef list _static
    cdef unsigned long long _number
    cpdef int decode(self, bytes data, Py_ssize_t start, Py_ssize_t end, Fields into) except -1
    cpdef acknowledged(self)
    cdef int _fail(self, str error) except -1
    cdef Py_ssize_t _integer(self, const unsigned char* p, Py_ssize_t at, Py_ssize_t end, unsigned int mask)
    cdef Py_ssize_t _string(self, bytes data, Py_ssize_t at, Py_ssize_t end, ByteWriter out) except -2
    cdef Py_ssize_t _literal(self, bytes data, Py_ssize_t at, Py_ssize_t end, Fields into) except -2
    cdef Py_ssize_t _resize(self, const unsigned char* p, Py_ssize_t at, Py_ssize_t end) except -2
    cdef Field _field(self, unsigned long long index)
