cimport cython

from tage.dataplane.protocols.writer cimport ByteWriter
from tage.dataplane.streams.stream cimport Stream

@cython.final
cdef class Parked:
    cdef Stream stream
    cdef list pieces
    cdef bint ended

@cython.final
cdef class Answers:
    cdef ByteWriter out
    cdef Stream writing
    cdef readonly Py_ssize_t parked_bytes
    cdef object _parked
    cdef put(self, Stream stream, bytes piece, bint end)
    cdef more(self, Stream stream, bytes piece, bint end)
    cdef _unpark(self)
    cdef clear(self)
