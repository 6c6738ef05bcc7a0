cimport cython

from bench.system cimport epoll_event

# nogil: the compiler refuses whatever would touch a Python object.
@cython.final
cdef class Relay:
    cdef object _socket
    cdef object _poller
    cdef object _backend
    cdef int _listener
    cdef int _epoll
    cdef int _peers[65536]
    cdef epoll_event _events[256]
    cdef unsigned char _buffer[16384]
    cdef void _carry(self) noexcept nogil
    cdef void _forward(self, int descriptor) noexcept nogil
    cdef bint _pass_on(self, int peer, Py_ssize_t size) noexcept nogil
    cdef void _end(self, int descriptor) noexcept nogil
