cimport cython

from tage.dataplane.net.timers cimport TimerWheel
from tage.dataplane.routing.tcp cimport TcpRoute
from tage.dataplane.streams.context cimport ListenerState
from tage.dataplane.streams.downstream cimport DownstreamConnection
from tage.dataplane.streams.record cimport StreamRecord
from tage.dataplane.telemetry.store cimport StatGroup
from tage.dataplane.upstream.cluster cimport Cluster
from tage.dataplane.upstream.cluster_info cimport ClusterInfo
from tage.dataplane.upstream.connection cimport Receiver, UpstreamConnection
from tage.dataplane.upstream.host cimport Host

@cython.final
cdef class TcpDownstreamConnection(DownstreamConnection):
    cdef TcpRoute route
    cdef TimerWheel wheel
    cdef StatGroup stats
    cdef RelayedConnection upstream
    cdef Dialer _dialer
    cdef Cluster _cluster
    cdef Host _host
    cdef bytes _early
    cdef bint _ended
    cdef bint _over
    cdef bint _draining
    cdef int _attempts
    cdef long long started
    cdef long long active_at
    cdef long long _deadline
    cdef long long received_bytes
    cdef long long sent_bytes
    cdef str _flags
    cdef StreamRecord _record
    cdef _attempt(self)
    cdef bytes _preface(self, Cluster cluster)
    cdef _connected(self, RelayedConnection upstream)
    cdef _connect_failed(self, int failure, str reason)
    cdef _fail(self, str flags)
    cdef _finish(self)
    cdef _upstream_ended(self)
    cdef _upstream_lost(self, object error)
    cdef _cut(self, str why)
    cdef Py_ssize_t _waiting(self)
    cdef _rearm(self, long long now)
    cdef _log(self)

@cython.final
cdef class Dialer(Receiver):
    cdef TcpDownstreamConnection downstream

@cython.final
cdef class RelayedConnection(UpstreamConnection):
    cdef TcpDownstreamConnection downstream
    cdef ClusterInfo cluster
    cdef Host host
    cdef StatGroup stats
    cdef StatGroup tcp_stats
    cdef TimerWheel wheel
    cdef bint ended_already
    cdef long long _opened_at
    cdef relay(self, bytes data)
    cdef leave(self, bint orderly)
