cimport cython
from cpython.array cimport array as Doubles

from bench.rpc.frames cimport MOST, Layout, byte, fill, frame_size, lay_out
from bench.system cimport epoll_event

cdef struct Slot:
    unsigned int number
    int service
    double due

cdef struct Line:
    int descriptor
    unsigned int sequence
    int under_way
    int free
    Py_ssize_t kept
    int unused[128]
    Slot slots[128]
    byte rest[4096]

# nogil: the compiler refuses whatever would touch a Python object.
cdef double clock() noexcept nogil
cdef void put_number(byte* to, unsigned int number) noexcept nogil
cdef unsigned int number_at(const byte* frame) noexcept nogil
cdef void put_token(byte* to, int line, unsigned int number) noexcept nogil

@cython.final
cdef class Generator:
    cdef object _poller
    cdef object _sockets
    cdef int _port
    cdef int _epoll
    cdef int _lines
    cdef int _depth
    cdef bint _routed
    cdef Layout _response
    cdef int _number_at
    cdef int _request_size[2]
    cdef int _request_token[2]
    cdef int _answer_size
    cdef int _answer_token
    cdef int _marker
    cdef byte _requests[2][1024]
    cdef byte _answers[4][512]
    cdef Line _line[64]
    cdef int _line_of[1024]
    cdef int _lost
    cdef int _at
    cdef unsigned int _turn
    cdef bint _refilling
    cdef Doubles _dues
    cdef Doubles _latencies
    cdef Doubles _lateness
    cdef double* _due
    cdef double* _latency
    cdef double* _late
    cdef Py_ssize_t _count
    cdef Py_ssize_t _next
    cdef Py_ssize_t _measured
    cdef Py_ssize_t _punctual
    cdef bint _blocked
    cdef double _count_from
    cdef double _end
    cdef double _last
    cdef long long _answered
    cdef long long _by_cluster[4]
    cdef long long _failed[8]
    cdef Py_ssize_t _wrong_size
    cdef byte _wrong[512]
    cdef epoll_event _events[64]
    cdef Py_ssize_t _filled
    cdef byte _in[69632]
    cdef byte _out[131072]
    cdef _open(self, int index)
    cdef int _reopen(self) except -1
    cdef _give_up(self)
    cdef void _saturate(self) noexcept nogil
    cdef void _pace(self) noexcept nogil
    cdef void _send_due(self) noexcept nogil
    cdef void _wait(self) noexcept nogil
    cdef int _free_line(self) noexcept nogil
    cdef bint _under_way(self) noexcept nogil
    cdef void _receive(self, int timeout) noexcept nogil
    cdef void _read(self, int index) noexcept nogil
    cdef void _look_at(self, int index, const byte* frame, Py_ssize_t size, double now) noexcept nogil
    cdef int _cluster_of(self, const byte* frame, Py_ssize_t size, int index, unsigned int number) noexcept nogil
    cdef void _fill(self, int index, double due) noexcept nogil
    cdef void _put(self, int index, double due) noexcept nogil
    cdef void _flush(self, int index) noexcept nogil
    cdef void _fail(self, int kind, const byte* frame, Py_ssize_t size) noexcept nogil
    cdef void _lose(self, int index, int kind) noexcept nogil
