cimport cython

from tage.dataplane.filters.filter cimport CONTINUE, STOPPED
from tage.dataplane.protocols.edits cimport copied_response
from tage.dataplane.protocols.grpc cimport CANCELLED, end_lines, local_status, status_in, to_http
from tage.dataplane.protocols.message cimport RequestHead, ResponseHead
from tage.dataplane.routing.policy cimport RetryPolicy
from tage.dataplane.streams.downstream cimport Binding, DownstreamConnection
from tage.dataplane.streams.loops cimport MALFORMED, MAX_HOPS, UNLIMITED, count_hop, forwards_left, hops_made
from tage.dataplane.streams.routed cimport Routed
from tage.dataplane.streams.shadow cimport Shadow
from tage.dataplane.upstream.connection cimport (
    CONNECT_FAILURE, CONNECT_TIMEOUT, OVERFLOW, PROTOCOL_ERROR, REFUSED, RESET, TERMINATED, UNPROCESSED,
    UpstreamConnection,
)
from tage.dataplane.upstream.host cimport Host
from tage.dataplane.upstream.pool cimport Pool

@cython.final
cdef class Stream(Routed):
    cdef list tried
    cdef UpstreamConnection upstream
    cdef bint waiting
    cdef bint responded
    cdef bint over
    cdef bint replayable
    cdef bint held
    cdef bint tunnel
    cdef bint response_ended
    cdef tuple local
    cdef list held_answer
    cdef bint held_end
    cdef Py_ssize_t body_size
    cdef start(self, RequestHead head, bytes data, bint end)
    cdef request_data(self, bytes data, bint end)
    cdef downstream_failed(self, object error, int status)
    cdef downstream_closed(self)
    cdef downstream_congested(self)
    cdef downstream_drained(self)
    cdef bint _sheds(self)
    cdef bint _sheds(self)
    cdef bint _goes_on(self, long long left)
    cdef _mirror_data(self, bytes data, bint end)
    cdef _try(self, bint fresh)
    cdef bint _try_bound(self) except -1
    cdef int _dial(self, Pool pool)
    cdef _report(self, int status, int failure)
    cdef _avoid_host(self)
    cdef _dispatch(self, UpstreamConnection connection)
    cdef _send_answer(self, ResponseHead head, bytes data, bint end)
    cdef bint _let_through(self, ResponseHead head, bytes data, bint end)
    cdef bint _answer_retried(self, RetryPolicy policy, ResponseHead head) except -1
    cdef bint _looped(self, int status)
    cdef bint _agrees(self, int status)
    cdef _open_tunnel(self, ResponseHead head, bytes data)
    cdef _keep(self, bytes data)
    cdef _ended_request(self)
    cdef bint _may_retry(self)
    cdef _retry(self)
    cdef bint _retries_reset(self, RetryPolicy policy, int failure)
    cdef bint _idle(self, long long now)
    cdef _try_timed_out(self)
    cdef _leave_upstream(self)
    cdef _part(self)
    cdef _finish(self)
    cdef _send_local(self, object error, int status, bytes body)
    cdef _complete(self, bint answered)
