cimport cython

from tage.dataplane.protocols.http2.settings cimport Http2Settings
from tage.dataplane.upstream.cluster_info cimport FOR_DOWNSTREAM, ClusterInfo
from tage.dataplane.upstream.connection cimport CONNECT_FAILURE, NONE, OVERFLOW, Receiver, UpstreamConnection
from tage.dataplane.upstream.limits cimport CONNECTIONS, PENDING

cdef class Pool:
    cdef public ClusterInfo cluster
    cdef public str address
    cdef public int port
    cdef public bint retired
    cdef public Py_ssize_t active
    cdef public Py_ssize_t connecting
    cdef public Py_ssize_t connections
    cdef list _idle
    cdef object _waiting
    cdef Py_ssize_t room(self)
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
