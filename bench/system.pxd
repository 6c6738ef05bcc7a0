from posix.time cimport timespec

cdef extern from "sys/epoll.h" nogil:
    ctypedef union epoll_data_t:
        int fd
    struct epoll_event:
        unsigned int events
        epoll_data_t data
    int epoll_wait(int epoll, epoll_event* events, int most, int timeout)

cdef extern from "sys/socket.h" nogil:
    int MSG_NOSIGNAL
    Py_ssize_t recv(int descriptor, void* buffer, size_t size, int flags)
    Py_ssize_t send(int descriptor, const void* buffer, size_t size, int flags)

cdef extern from "poll.h" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    short POLLIN
    short POLLOUT
    int poll(pollfd* descriptors, unsigned long count, int timeout)
    int ppoll(pollfd* descriptors, unsigned long count, const timespec* timeout, const void* mask)

cdef extern from "unistd.h" nogil:
    int close(int descriptor)
