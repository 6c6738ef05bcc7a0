cimport cython

from tage.dataplane cimport native
from tage.dataplane.filters.python.instance cimport FilterInstance

cdef enum Phase:
    ON_REQUEST = 0
    ON_RESPONSE = 1

@cython.final
cdef class Watch:
    cdef long long sequence
    cdef long long threshold
    cdef long long call
    cdef bint asleep
    cdef bint stopping
    cdef long long interval
    cdef unsigned long owner
    cdef object _wakeup
    cdef object _thread
    cdef dict _instances
    cdef long long _seen
    cdef long long _seen_call
    cdef long long _since
    cdef long long _told
    cdef int _quiet
    cdef begin(self, FilterInstance instance, int phase)
    cdef void end(self) noexcept
    cdef bint _sample(self) noexcept nogil
    cdef _look(self)
    cdef _start(self)
    cdef _sleep(self)
