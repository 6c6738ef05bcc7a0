cimport cython

from tage.dataplane.native cimport Random
from tage.dataplane.net.timers cimport TimerWheel
from tage.dataplane.protocols.edits cimport HeaderEdits
from tage.dataplane.protocols.message cimport RequestHead, ResponseHead
from tage.dataplane.routing.route cimport Route
from tage.dataplane.upstream.cluster cimport Cluster
from tage.dataplane.upstream.connection cimport Receiver

cpdef enum Verdict:
    CONTINUE = 0
    STOPPED = 1
    REPLIED = 2

cdef class HttpFilter:
    cdef public str name
    cpdef int request(self, Exchange exchange, object settings) except -1
    cpdef int response(self, Exchange exchange, ResponseHead head, object settings) except -1
    cpdef over(self, Exchange exchange)

cdef class Exchange(Receiver):
    cdef readonly RequestHead head
    cdef readonly HeaderEdits edits
    cdef readonly HeaderEdits answer_edits
    cdef readonly ResponseHead answer_head
    cdef public Route route
    cdef public str flags
    cdef readonly bytes peer
    cdef list filters
    cdef Py_ssize_t filter_at
    cdef bint answering
    cdef bint paused
    cdef dict _kept
    cpdef keep(self, HttpFilter filter, object state)
    cpdef kept(self, HttpFilter filter)
    cpdef HeaderEdits answer(self)
    cpdef flag(self, str flag)
    cpdef go_on(self)
    cpdef pause(self, long long delay)
    cpdef reply(self, object error, int status, bytes body, tuple headers)
    cpdef reroute(self)
    cpdef Cluster cluster_named(self, str name)
    cpdef TimerWheel timers(self)
    cpdef Random dice(self)
    cdef filtered(self)
    cdef answered(self)
    cdef int filter_request(self) except -1
    cdef int filter_response(self, ResponseHead head) except -1
    cdef filters_over(self)
