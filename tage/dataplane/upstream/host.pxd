cimport cython

from tage.dataplane.protocols.http2.settings cimport Http2Settings
from tage.dataplane.upstream.cluster_info cimport FOR_ALL, FOR_ALPN, ClusterInfo
from tage.dataplane.upstream.connection cimport Receiver, UpstreamConnection
from tage.dataplane.upstream.outlier cimport HostMonitor
from tage.dataplane.upstream.pool cimport Pool

cpdef enum Health:
    EDS_FAILED = 1
    CHECK_FAILED = 2
    EJECTED = 4
    UNCHECKED = 8
    DEGRADED = 16

@cython.final
cdef class Host(Pool):
    cdef readonly object endpoint
    cdef readonly int health
    cdef readonly bint usable
    cdef public long long since
    cdef public bint own
    cdef public HostMonitor monitor
    cdef Pool _second
    cdef Py_ssize_t _agreed
    cdef Pool second(self)
    cpdef bint mark(self, int reason, bint on)
    cpdef adopt(self, object endpoint)
