cimport cython

from tage.dataplane cimport native
from tage.dataplane.native cimport EpollEvents
from tage.dataplane.net.connection cimport Connection
from tage.dataplane.net.flushes cimport Flushes
from tage.dataplane.net.overload cimport Overload
from tage.dataplane.net.transport cimport Transport

@cython.final
cdef class Reactor:
    cdef object _loop
    cdef object _epoll
    cdef int _descriptor
    cdef EpollEvents _events
    cdef list _transports
    cdef bytearray _buffer
    cdef unsigned char* buffer
    cdef object view
    cdef list _dead
    cdef readonly Overload overload
    cdef readonly Flushes flushes
    cdef int _probe
    cdef long long _probe_sent
    cdef long long _probe_next
    cdef long long _batch
    cdef long long _turned
    cdef _send_probe(self, long long now, long long batch)
    cdef _probed(self)
    cdef register(self, SocketTransport transport, unsigned int mask)
    cdef change(self, int descriptor, unsigned int mask)
    cdef unregister(self, SocketTransport transport)
    cdef died(self, SocketTransport transport)
    cdef failed(self, SocketTransport transport, object error)

cdef class SocketTransport(Transport):
    cdef Reactor reactor
    cdef Connection connection
    cdef object _socket
    cdef int descriptor
    cdef unsigned int _mask
    cdef bint _watched
    cdef bint _closing
    cdef bint _ending
    cdef bint _ended
    cdef bint _dead
    cdef bint _paused
    cdef object _error
    cdef object _backlog
    cdef Py_ssize_t _sent
    cdef Py_ssize_t _unsent
    cdef ready(self, unsigned int mask)
    cdef Py_ssize_t receive(self) except -1000
    cdef Py_ssize_t send(self, bytes data, Py_ssize_t start, Py_ssize_t size) except -1000
    cdef Py_ssize_t send_pieces(self, list pieces) except -1000
    cdef failure(self, Py_ssize_t number)
    cdef farewell(self)
    cdef _read(self)
    cdef _flush(self)
    cdef _watch(self)
    cdef _die(self, object error)
    cdef _shut(self)
