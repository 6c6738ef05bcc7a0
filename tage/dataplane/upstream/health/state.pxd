cimport cython

from tage.dataplane.upstream.cells cimport Cells

cpdef enum HostCell:
    CONSECUTIVE_5XX = 0
    CONSECUTIVE_GATEWAY = 1
    CONSECUTIVE_LOCAL = 2
    TOTAL = 3
    SUCCESSES = 4
    LOCAL_TOTAL = 5
    LOCAL_SUCCESSES = 6
    FLAGS = 7
    EJECTED_AT = 8
    JITTER = 9
    MULTIPLIER = 10
    READMITTED_AT = 11

cpdef enum ClusterCell:
    GENERATION = 0
    EJECTED_HOSTS = 1
    HAD_TRAFFIC = 2

cpdef enum HostFlag:
    FLAG_EJECTED = 1
    FLAG_CHECK_FAILED = 2
    FLAG_CHECKED = 4

@cython.final
cdef class ClusterHealth:
    cdef readonly Cells cells
    cdef object _apply
    cdef unsigned long long _seen
    cdef list _hosts
    cdef dict _known
    cpdef bint changed(self)
    cpdef bint update(self)
    cpdef announce(self)
