from tage.dataplane.net.timers cimport TimerWheel
from tage.dataplane.protocols.http2.settings cimport Http2Settings
from tage.dataplane.telemetry.store cimport StatGroup
from tage.dataplane.upstream.limits cimport REQUESTS, RETRIES, Counts

cpdef enum Http2For:
    FOR_ALL = 0
    FOR_ALPN = 1
    FOR_DOWNSTREAM = 2

cdef class ClusterInfo:
    cdef public str name
    cdef public StatGroup stats
    cdef public Counts counts
    cdef public StatGroup tcp_stats
    cdef public StatGroup grpc_stats
    cdef public int proxy_protocol
    cdef public TimerWheel wheel
    cdef object connect
    cdef dict dials
    cdef public object tls
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
    cdef public long long max_requests_per_connection
    cdef public bint enable_trailers
    cdef public bint logical
    cdef readonly object rpc
    cdef readonly Http2Settings http2
    cdef readonly int http2_for
    cdef readonly bint two_pools
    cdef readonly str carries
    cdef readonly Py_ssize_t concurrency
    cdef readonly bint pinned
    cdef bint by_second(self, bint came_by_http2, bint upgrade)
    cdef bint admit(self)
    cdef leave(self)
    cdef bint admit_retry(self)
    cdef leave_retry(self)
