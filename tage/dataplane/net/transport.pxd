cimport cython

cdef class Transport:
    cpdef write(self, bytes data)
    cpdef write_eof(self)
    cpdef pause_reading(self)
    cpdef resume_reading(self)
    cpdef close(self)
    cpdef abort(self)
    cpdef reset(self)
    cpdef Py_ssize_t unsent(self)
    cpdef peer(self)
    cpdef local(self)
    cpdef tls(self)

@cython.final
cdef class LoopTransport(Transport):
    cdef object _transport
    cdef object _write
