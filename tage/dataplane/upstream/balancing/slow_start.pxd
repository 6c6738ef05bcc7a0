cimport cython

from tage.dataplane cimport native
from tage.dataplane.net.timers cimport TimerWheel
from tage.dataplane.upstream.host cimport Host

@cython.final
cdef class SlowStart:
    cdef TimerWheel _wheel
    cdef long long _window
    cdef double _exponent
    cdef double _minimum
    cdef long long _until
    cpdef double factor(self, Host host)
