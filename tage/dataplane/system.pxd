# Declarations of what Cython has none for; `native` alone uses them.

from tage.dataplane.native cimport epoll_event

cdef extern from "sys/epoll.h" nogil:
    int epoll_wait(int epoll, epoll_event* events, int size, int timeout)

cdef extern from "sys/socket.h" nogil:
    enum:
        MSG_NOSIGNAL
    ssize_t recv(int descriptor, void* buffer, size_t size, int flags)
    ssize_t send(int descriptor, const void* data, size_t size, int flags)
