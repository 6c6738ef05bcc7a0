from tage.dataplane.protocols.edits cimport HeaderEdits, edited_request
from tage.dataplane.protocols.message cimport TRAILER, HeaderBlock, RequestHead
from tage.dataplane.routing.hash_policy cimport HashPolicies
from tage.dataplane.routing.mutations cimport HeaderMutations
from tage.dataplane.routing.policy cimport RetryPolicy
from tage.dataplane.routing.route cimport ClusterShare, Mirror, Route
from tage.dataplane.streams.downstream cimport DownstreamConnection
from tage.dataplane.streams.forwarding cimport (
    ask_upgrade, edits_need_record, request_edits, route_edits, settle_upgrade,
)
from tage.dataplane.streams.loops cimport UNLIMITED, limit_forwards
from tage.dataplane.streams.outcome cimport Outcome
from tage.dataplane.streams.record cimport StreamRecord
from tage.dataplane.streams.shadow cimport Shadow
from tage.dataplane.upstream.cluster cimport Cluster

cdef class Routed(Outcome):
    cdef ClusterShare share
    cdef list shadows
    cdef list body
    cdef bint request_ended
    cdef bint terminates
    cdef object downstream_state
    cdef long long forwards
    cdef unsigned long long key
    cdef tuple subset
    cdef edit(self)
    cdef _answer_by(self, Route route)
    cdef _choose_cluster(self, Route route)
    cdef _edit_by(self, Route route)
    cdef edit_answer(self, HeaderBlock block)
    cdef _apply(self, HeaderMutations mutations, HeaderEdits edits, HeaderBlock block)
    cdef _mirror(self, Route route)
    cdef bytes preface(self, Cluster cluster)
    cdef forward(self)
    cdef fail(self, object error, str detail)
    cdef reply_with(self, object error, int status, bytes body)
