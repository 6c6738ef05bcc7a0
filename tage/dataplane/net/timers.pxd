cimport cython

from tage.dataplane cimport native

cdef class Timer:
    cdef Timer _next
    cdef Timer _previous
    cdef long long deadline
    cdef TimerWheel _wheel
    cdef readonly bint armed
    cdef int _level
    cdef int _slot
    cpdef expire(self)

@cython.final
cdef class TimerWheel:
    cdef list _slots
    cdef int[::1] _sizes
    cdef object _call_later
    cdef object _handle
    cdef object _tick
    cdef object _clock
    cdef long long _at
    cdef long long _wakes_at
    cdef public Py_ssize_t count
    cdef bint _turning
    cdef long long latest
    cpdef long long now(self)
    cpdef long long now_us(self)
    cpdef arm(self, Timer timer, long long delay_ms)
    cpdef disarm(self, Timer timer)
    cdef _insert(self, Timer timer)
    cdef void _unlink(self, Timer timer) noexcept
    cdef _schedule(self)
    cdef _run_slot(self, int level, int slot)
    cdef _schedule_for(self, Timer timer)
    cdef long long _slot_time(self, int level, int slot) noexcept
    cdef _wake(self, long long at)
