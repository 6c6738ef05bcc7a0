cimport cython

from bench.rpc.frames cimport MOST, Layout, byte, fill, frame_size, lay_out
from bench.system cimport epoll_event

cdef struct Speech:
    byte first
    Layout request
    int id_at
    int id_bytes
    int beat_at
    byte beat_mask
    byte beat_value
    int beat_size
    int answer_size
    int asked_token
    int token_at
    byte beat[64]
    byte answers[4][512]

cdef struct Peer:
    int cluster
    int speech
    Py_ssize_t kept
    byte rest[4096]

# nogil: the compiler refuses whatever would touch a Python object.
cdef bint send_all(int descriptor, const byte* data, Py_ssize_t size) noexcept nogil

@cython.final
cdef class Backend:
    cdef object _sockets
    cdef object _poller
    cdef int _epoll
    cdef int _listeners[4]
    cdef int _speeches
    cdef Speech _speech[4]
    cdef Peer _peers[1024]
    cdef epoll_event _events[128]
    cdef byte _in[69632]
    cdef byte _out[131072]
    cdef _learn(self, object wire)
    cdef void _serve(self) noexcept nogil
    cdef bint _listens(self, int descriptor) noexcept nogil
    cdef void _read(self, int descriptor) noexcept nogil
    cdef int _speech_of(self, byte first) noexcept nogil
    cdef Py_ssize_t _answer_all(self, const Peer* peer, int descriptor, Py_ssize_t there) noexcept nogil
    cdef Py_ssize_t _answer(self, const Peer* peer, const byte* frame, Py_ssize_t size, byte* out) noexcept nogil
