cimport cython

from tage.dataplane.net.connection cimport Connection

@cython.final
cdef class Flushes:
    cdef public bint holding
    cdef list _waiting
    cpdef put_off(self, Connection connection)
    cdef flush(self, object loop)
