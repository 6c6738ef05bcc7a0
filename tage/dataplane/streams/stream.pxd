cimport cython

from tage.dataplane.filters.filter cimport CONTINUE, STOPPED
from tage.dataplane.protocols.edits cimport HeaderEdits, copied_response, edited_request
from tage.dataplane.protocols.message cimport TRAILER, RequestHead, ResponseHead
from tage.dataplane.routing.policy cimport CONNECT_FAILURE as RETRY_CONNECT_FAILURE, RESET as RETRY_RESET, RetryPolicy
from tage.dataplane.routing.route cimport Route
from tage.dataplane.streams.deadlines cimport Deadlines
from tage.dataplane.streams.downstream cimport DownstreamConnection
from tage.dataplane.streams.forwarding cimport ask_upgrade, request_edits, settle_upgrade
from tage.dataplane.streams.loops cimport MALFORMED, MAX_HOPS, UNLIMITED, count_hop, forwards_left, hops_made, limit_forwards
from tage.dataplane.streams.record cimport StreamRecord
from tage.dataplane.upstream.cluster cimport Cluster
from tage.dataplane.upstream.host cimport Host
from tage.dataplane.upstream.connection cimport (
    CONNECT_FAILURE, CONNECT_TIMEOUT, OVERFLOW, PROTOCOL_ERROR, TERMINATED,
    UpstreamConnection,
)

@cython.final
cdef class Stream(Deadlines):
    cdef DownstreamConnection downstream
    cdef public Cluster cluster
    cdef public Host host
    cdef Host avoid
    cdef UpstreamConnection upstream
    cdef StreamRecord record
    cdef bint admitted
    cdef bint waiting
    cdef bint request_ended
    cdef bint responded
    cdef bint over
    cdef bint retrying
    cdef bint replayable
    cdef bint replayed
    cdef bint held
    cdef bint terminates
    cdef bint tunnel
    cdef bint response_ended
    cdef list body
    cdef Py_ssize_t body_size
    cdef int tries
    cdef public int status
    cdef long long forwards
    cdef tuple local
    cdef list held_answer
    cdef bint held_end
    cdef start(self, RequestHead head, bytes data, bint end)
    cdef request_data(self, bytes data, bint end)
    cdef downstream_failed(self, object error, int status)
    cdef downstream_closed(self)
    cdef downstream_congested(self)
    cdef downstream_drained(self)
    cdef bint _sheds(self)
    cdef bint _goes_on(self, long long left)
    cdef _edit(self)
    cdef _try(self, bint fresh)
    cdef int _dial(self)
    cdef _dispatch(self, UpstreamConnection connection)
    cdef _send_answer(self, ResponseHead head, bytes data, bint end)
    cdef bint _let_through(self, ResponseHead head, bytes data, bint end)
    cdef bint _looped(self, int status)
    cdef bint _agrees(self, int status)
    cdef _open_tunnel(self, ResponseHead head, bytes data)
    cdef _keep(self, bytes data)
    cdef _ended_request(self)
    cdef bint _may_retry(self)
    cdef _retry(self)
    cdef _leave_upstream(self)
    cdef _part(self)
    cdef _report(self, int status, int failure)
    cdef _finish(self)
    cdef _fail(self, object error, str detail)
    cdef _answer(self, object error, int status, bytes body)
    cdef _send_local(self, object error, int status, bytes body)
    cdef _complete(self, bint answered)
    cdef _begin_record(self, bytes data, bint end)
    cdef _record_answer(self, ResponseHead head, bytes data)
    cdef _log(self, long long took)
