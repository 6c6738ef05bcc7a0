from tage.dataplane.net.flushes cimport Flushes
from tage.dataplane.streams.output cimport Output
from tage.dataplane.upstream.cluster_info cimport ClusterInfo
from tage.dataplane.upstream.connection cimport TERMINATED, Receiver, UpstreamConnection, reason_of
from tage.dataplane.upstream.pool cimport Pool

cdef class SharedUpstreamConnection(UpstreamConnection):
    cdef Pool host
    cdef ClusterInfo cluster
    cdef Output output
    cdef bint leaving
    cdef long long heard
    cdef long long asked
    cdef long long ask_every
    cdef long long patience
    cdef long long _opened_at
    cdef long long _busy
    cdef Py_ssize_t under_way(self)
    cdef Py_ssize_t most(self)
    cdef ask(self)
    cdef list give_up(self)
    cdef break_off(self, int failure, str reason)
    cdef bint bound_elsewhere(self)
    cdef Py_ssize_t room(self)
    cdef took(self)
    cdef count_limit(self)
    cdef freed(self)
    cdef look_for_room(self)
    cdef finish(self)
    cdef begin(self)
    cdef _watch(self)
    cdef long long _until_asked(self, long long now) except *
