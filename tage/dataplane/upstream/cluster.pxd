cimport cython

from tage.dataplane.native cimport Random
from tage.dataplane.net.timers cimport Timer, TimerWheel
from tage.dataplane.upstream.balancing.balancer cimport Balancer
from tage.dataplane.upstream.balancing.subsets cimport Subsets
from tage.dataplane.upstream.cluster_info cimport ClusterInfo
from tage.dataplane.upstream.health.state cimport ClusterHealth
from tage.dataplane.upstream.host cimport Host
from tage.dataplane.upstream.limits cimport CONNECTIONS, REQUESTS

@cython.final
cdef class Rebuild(Timer):
    cdef Cluster cluster

@cython.final
cdef class Cluster(ClusterInfo):
    cdef readonly list hosts
    cdef readonly object assignment
    cdef readonly object settings
    cdef readonly Balancer balancer
    cdef readonly Subsets subsets
    cdef readonly long long health_version
    cdef public ClusterHealth watch
    cdef object _balancing
    cdef list _drawn
    cdef bint _stale
    cdef Rebuild _rebuild
    cdef object _builder
    cdef object _steps
    cpdef refresh(self)
    cpdef rebuild_slice(self)
    cdef _take_over(self, object balancing)
    cdef _begin_rebuild(self)
    cdef _end_rebuild(self)
    cpdef Host pick(self, Random random, list tried, unsigned long long key=*, tuple subset=*)
    cdef Host _pick_again(self, Balancer balancer, Host host, Random random, list tried, unsigned long long key)
    cpdef preconnect(self, Host host, Random random)
    cdef Host _peek(self, Py_ssize_t ahead, Random random)
