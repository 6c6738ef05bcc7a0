cimport cython

from tage.dataplane.native cimport Random

@cython.final
cdef class Overload:
    cdef readonly Py_ssize_t share
    cdef long long _target
    cdef long long _interval
    cdef long long _above_since
    cdef long long _judged
    cdef long long _least
    cdef void _reset(self) noexcept
    cdef void silent(self, long long us) noexcept
    cdef void measured(self, long long now, long long waited) noexcept
    cdef void _judge(self, long long now, long long waited) noexcept
    cdef Py_ssize_t _step(self, long long waited) noexcept
    cdef bint refuses(self, Random random) noexcept
