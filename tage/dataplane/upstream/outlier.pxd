cimport cython

from tage.dataplane.native cimport Random
from tage.dataplane.net.timers cimport Timer, TimerWheel
from tage.dataplane.telemetry.store cimport StatGroup
from tage.dataplane.upstream.cells cimport Cells
from tage.dataplane.upstream.connection cimport OVERFLOW
from tage.dataplane.upstream.health.state cimport (
    CONSECUTIVE_5XX,
    CONSECUTIVE_GATEWAY,
    CONSECUTIVE_LOCAL,
    EJECTED_AT,
    EJECTED_HOSTS,
    FLAG_EJECTED,
    FLAGS,
    GENERATION,
    JITTER,
    LOCAL_SUCCESSES,
    LOCAL_TOTAL,
    MULTIPLIER,
    READMITTED_AT,
    SUCCESSES,
    TOTAL,
)

cpdef enum Reason:
    BY_5XX = 0
    BY_GATEWAY = 1
    BY_LOCAL = 2
    BY_SUCCESS_RATE = 3
    BY_LOCAL_SUCCESS_RATE = 4
    BY_FAILURE_PERCENTAGE = 5
    BY_LOCAL_FAILURE_PERCENTAGE = 6

@cython.final
cdef class HostMonitor:
    cdef readonly Outliers outliers
    cdef readonly Cells cells
    cdef readonly str host
    cdef public bint gone
    cpdef result(self, int status, int failure)
    cdef _local_result(self, bint good)
    cpdef bint ejected(self)

@cython.final
cdef class Outliers(Timer):
    cdef readonly str name
    cdef readonly Cells cells
    cdef StatGroup stats
    cdef TimerWheel wheel
    cdef Random _random
    cdef object _log
    cdef object _settings
    cdef list _monitors
    cdef bint _sweeps
    cdef bint rates
    cdef bint split
    cdef unsigned long long consecutive_5xx
    cdef unsigned long long consecutive_gateway_failure
    cdef unsigned long long consecutive_local_origin_failure
    cpdef failed_in_a_row(self, HostMonitor monitor, int reason, Py_ssize_t cell)
    cdef _eject(self, HostMonitor monitor, int reason, str why)
    cpdef readmit(self, HostMonitor monitor, str why)
    cpdef sweep(self, long long now)
    cdef _time(self, HostMonitor monitor)
    cdef _judge(self, int total, int successes, int by_rate, int by_percentage)
    cdef _decide_rates(self)
    cdef _recount(self)
    cdef _show_active(self)
