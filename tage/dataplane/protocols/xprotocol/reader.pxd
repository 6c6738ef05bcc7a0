cimport cython

from tage.dataplane.protocols.xprotocol.protocol cimport Protocol
from tage.dataplane.protocols.xprotocol.shape cimport EVENT, Shape

cpdef enum Progress:
    MORE = 0
    READY = 1
    BEGUN = 2
    DATA = 3
    FAILED = 4

@cython.final
cdef class FrameReader:
    cdef readonly Protocol protocol
    cdef public Py_ssize_t whole
    cdef public Py_ssize_t limit
    cdef readonly bytes frame
    cdef readonly Shape shape
    cdef readonly int kind
    cdef readonly unsigned long long id
    cdef readonly long long size
    cdef readonly long long left
    cdef readonly str error
    cdef readonly bint faulty
    cdef bytes _data
    cdef Py_ssize_t _pos
    cdef Py_ssize_t _end
    cdef list _pieces
    cdef bytearray _small
    cdef Py_ssize_t _held
    cdef Py_ssize_t _need
    cdef bint _sized
    cpdef feed(self, bytes data)
    cpdef int read(self) except -1
    cpdef Py_ssize_t buffered(self)
    cdef int _data_of_frame(self)
    cdef int _resume(self) except -1
    cdef int _at_boundary(self) except -1
    cdef int _wait(self, Py_ssize_t need) except -1
    cdef int _taken(self, bytes frame) except -1
    cdef int fail(self, str error) except -1
    cdef long long _told_size(self, Py_ssize_t available, Shape shape)
    cdef bint _asked(self, bytes frame, Shape shape)
