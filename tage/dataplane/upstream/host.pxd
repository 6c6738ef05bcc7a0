cimport cython

from tage.dataplane.upstream.cluster_info cimport ClusterInfo
from tage.dataplane.upstream.connection cimport CONNECT_FAILURE, NONE, OVERFLOW, Receiver, UpstreamConnection
from tage.dataplane.upstream.limits cimport CONNECTIONS, PENDING
from tage.dataplane.upstream.outlier cimport HostMonitor

cpdef enum Health:
    EDS_FAILED = 1
    CHECK_FAILED = 2
    EJECTED = 4
    UNCHECKED = 8
    DEGRADED = 16

@cython.final
cdef class Host:
    cdef public str address
    cdef public int port
    cdef readonly object endpoint
    cdef readonly int health
    cdef readonly bint usable
    cdef public long long since
    cdef public bint retired
    cdef public bint own
    cdef public HostMonitor monitor
    cdef public Py_ssize_t active
    cdef public ClusterInfo cluster
    cdef list _idle
    cdef object _waiting
    cdef public Py_ssize_t connecting
    cdef public Py_ssize_t connections
    cpdef bint mark(self, int reason, bint on)
    cpdef adopt(self, object endpoint)
    cdef UpstreamConnection take(self)
    cdef int enqueue(self, Receiver receiver)
    cdef forget(self, Receiver receiver)
    cpdef int dial(self, Receiver receiver, object make, bytes preface=*)
    cpdef undial(self, Receiver receiver)
    cdef release(self, UpstreamConnection connection)
    cdef lost(self, UpstreamConnection connection)
    cdef _open(self)
    cdef bint _open_ahead(self, double ratio, Py_ssize_t anticipated)
    cpdef opening(self)
    cdef _waited(self)
    cdef _offer(self, UpstreamConnection connection)
    cdef _closed(self)
    cdef _disappoint(self, int failure, str reason)
