cimport cython

from tage.dataplane.net.connection cimport Connection
from tage.dataplane.net.reactor cimport Reactor, SocketTransport

@cython.final
cdef class TlsTransport(SocketTransport):
    cdef object _greet
    cdef object _recv
    cdef object _write
    cdef object _problem
    cdef bint _made
    cdef bint _over
    cdef bint _half_closes
    cdef _handshake(self)
    cdef _greeted(self, object error)
