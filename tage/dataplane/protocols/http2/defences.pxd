cimport cython

@cython.final
cdef class Budget:
    cdef readonly long long tokens
    cdef long long _most
    cdef long long _per_second
    cdef long long _at
    cdef bint take(self, long long now, long long cost) noexcept
    cdef void earn(self, long long tokens) noexcept

cdef int FRAMES
cdef int FRAMES_A_SECOND
cdef int FRAMES_A_STREAM
cdef int FRAMES_A_DATA
cdef int RESETS
cdef int RESETS_A_SECOND
cdef int CONTINUATIONS
cdef int REMEMBERED
cdef Py_ssize_t UNREAD_BYTES
