cimport cython

from tage.dataplane.protocols.xprotocol.protocol cimport Protocol
from tage.dataplane.protocols.xprotocol.shape cimport Shape

cpdef enum Mode:
    MULTIPLEXED = 0
    PING_PONG = 1
    ORDERED = 2
    PINNED = 3

@cython.final
cdef class DownstreamSettings:
    cdef readonly Protocol protocol
    cdef readonly bint names
    cdef public Py_ssize_t whole
    cdef readonly Py_ssize_t limit
    cdef readonly Py_ssize_t max_requests
    cdef readonly object failed

@cython.final
cdef class UpstreamSettings:
    cdef readonly Protocol protocol
    cdef readonly int mode
    cdef readonly bint pinned
    cdef readonly Py_ssize_t max_requests
    cdef readonly Py_ssize_t max_reserved
    cdef readonly long long heartbeat_interval
    cdef readonly Py_ssize_t limit
    cdef readonly object failed
    cdef readonly Shape heartbeat
