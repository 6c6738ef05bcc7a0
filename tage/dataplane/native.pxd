cimport cython

cdef Py_ssize_t find_byte(const unsigned char* data, Py_ssize_t start, Py_ssize_t end, int byte) noexcept
cdef void copy(unsigned char* target, Py_ssize_t at, const unsigned char* source, Py_ssize_t start, Py_ssize_t size) noexcept
cdef bint equal(const unsigned char* a, Py_ssize_t start, const unsigned char* b, Py_ssize_t size) noexcept
cdef bint equal_at(const unsigned char* a, Py_ssize_t a_start, const unsigned char* b, Py_ssize_t b_start, Py_ssize_t size) noexcept
cdef unsigned long long word(const unsigned char* data, Py_ssize_t start) noexcept
cdef bytearray cells(Py_ssize_t size)
cdef double power(double base, double exponent) noexcept
cdef long long now_us() noexcept nogil
cdef void sleep_us(long long us) noexcept nogil

@cython.final
cdef class Random:
    cdef unsigned long long state
    cdef unsigned long long next(self) noexcept
    cdef Py_ssize_t below(self, Py_ssize_t n) noexcept

cdef extern from "sys/epoll.h" nogil:
    ctypedef union epoll_data_t:
        int fd
    struct epoll_event:
        unsigned int events
        epoll_data_t data

cdef class EpollEvents:
    cdef epoll_event events[256]
    cdef object _twin
    cdef int wait(self, int epoll) except -1
    cdef int descriptor(self, int index) noexcept
    cdef unsigned int mask(self, int index) noexcept

cdef Py_ssize_t receive(int descriptor, unsigned char* buffer, Py_ssize_t size) noexcept
cdef Py_ssize_t send_pieces(int descriptor, list pieces) except -1000
cdef Py_ssize_t send(int descriptor, const unsigned char* data, Py_ssize_t start, Py_ssize_t size) noexcept

cdef unsigned long long atomic_load(unsigned long long* cells, Py_ssize_t at) noexcept
cdef void atomic_store(unsigned long long* cells, Py_ssize_t at, unsigned long long value) noexcept
cdef unsigned long long atomic_add(unsigned long long* cells, Py_ssize_t at, unsigned long long n) noexcept
cdef unsigned long long atomic_exchange(unsigned long long* cells, Py_ssize_t at, unsigned long long value) noexcept
cdef bint atomic_replace(unsigned long long* cells, Py_ssize_t at, unsigned long long expected, unsigned long long value) noexcept
