# Declarations of what Cython has none for; `native` alone uses them.

from tage.dataplane.native cimport epoll_event

cdef extern from "sys/epoll.h" nogil:
    int epoll_wait(int epoll, epoll_event* events, int size, int timeout)

cdef extern from "sys/uio.h" nogil:
    struct iovec:
        void* iov_base
        size_t iov_len

cdef extern from "sys/socket.h" nogil:
    enum:
        MSG_NOSIGNAL
    ssize_t recv(int descriptor, void* buffer, size_t size, int flags)
    ssize_t send(int descriptor, const void* data, size_t size, int flags)
    struct msghdr:
        iovec* msg_iov
        size_t msg_iovlen
    ssize_t sendmsg(int descriptor, const msghdr* message, int flags)

cdef extern from * nogil:  # the compiler's own
    enum:
        __ATOMIC_SEQ_CST
    unsigned long long __atomic_load_n(unsigned long long* at, int order)
    void __atomic_store_n(unsigned long long* at, unsigned long long value, int order)
    unsigned long long __atomic_fetch_add(unsigned long long* at, unsigned long long n, int order)
    unsigned long long __atomic_exchange_n(unsigned long long* at, unsigned long long value, int order)
    bint __sync_bool_compare_and_swap(unsigned long long* at, unsigned long long old, unsigned long long new)
