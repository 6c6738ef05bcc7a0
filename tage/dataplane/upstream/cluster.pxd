cimport cython

from tage.dataplane.native cimport Random
from tage.dataplane.net.timers cimport TimerWheel
from tage.dataplane.telemetry.store cimport StatGroup
from tage.dataplane.upstream.limits cimport CONNECTIONS, PENDING, REQUESTS, RETRIES, Counts
from tage.dataplane.upstream.connection cimport CONNECT_FAILURE, NONE, OVERFLOW, Receiver, UpstreamConnection
from tage.dataplane.upstream.health.state cimport ClusterHealth
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
    cdef public int weight
    cdef public bint healthy
    cdef public bint retired
    cdef public bint own
    cdef public HostMonitor monitor
    cdef readonly int health
    cdef readonly bint usable
    cpdef bint mark(self, int reason, bint on)
    cdef public Py_ssize_t active
    cdef public Cluster cluster
    cdef list _idle
    cdef object _waiting
    cdef public Py_ssize_t connecting
    cdef public Py_ssize_t connections
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

@cython.final
cdef class Cluster:
    cdef public str name
    cdef public StatGroup stats
    cdef public Counts counts
    cdef public StatGroup tcp_stats
    cdef public int proxy_protocol
    cdef public TimerWheel wheel
    cdef object connect
    cdef dict dials
    cdef public object tls
    cdef public list hosts
    cdef public list schedule
    cdef public ClusterHealth watch
    cpdef refresh(self)
    cdef Py_ssize_t _next
    cdef public str lb
    cdef int _lb
    cdef public long long connect_timeout
    cdef public long long idle_timeout
    cdef public long long max_connection_duration
    cdef public tuple tcp_keepalive
    cdef public Py_ssize_t max_connections
    cdef public Py_ssize_t max_pending
    cdef public Py_ssize_t max_requests
    cdef public Py_ssize_t max_retries
    cdef readonly double retry_budget
    cdef readonly Py_ssize_t min_retries
    cdef readonly double per_upstream_preconnect
    cdef readonly double predictive_preconnect
    cdef public bint preconnects
    cdef list _drawn
    cdef public long long max_requests_per_connection
    cdef public bint enable_trailers
    cdef public bint logical
    cpdef Host pick(self, Random random, Host avoid)
    cpdef preconnect(self, Host host, Random random)
    cdef Host _peek(self, Py_ssize_t ahead, Random random)
    cdef bint admit(self)
    cdef leave(self)
    cdef bint admit_retry(self)
    cdef leave_retry(self)
