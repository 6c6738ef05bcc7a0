cimport cython

from tage.dataplane cimport native
from tage.dataplane.native cimport Random
from tage.dataplane.protocols.edits cimport HeaderEdits
from tage.dataplane.protocols.message cimport RequestHead
from tage.dataplane.routing.destination cimport Destination
from tage.dataplane.routing.hash_policy cimport HashPolicies
from tage.dataplane.routing.matcher cimport (
    EXACT, PREFIX, SEPARATED_PREFIX, HeaderMatcher, QueryMatcher, StringMatcher, first_value, query_start,
)
from tage.dataplane.routing.mutations cimport HeaderMutations
from tage.dataplane.routing.policy cimport RetryPolicy
from tage.dataplane.routing.redirect cimport Redirect
from tage.dataplane.routing.regex cimport RegexRewrite
from tage.dataplane.telemetry.store cimport StatGroup

@cython.final
cdef class Fraction:
    cdef readonly long long numerator
    cdef readonly long long denominator
    cpdef bint drawn(self, Random random) except -1

@cython.final
cdef class Mirror:
    cdef readonly str cluster
    cdef readonly Fraction fraction
    cdef readonly bint append_suffix

@cython.final
cdef class ClusterShare:
    cdef readonly str name
    cdef readonly long long weight
    cdef public HeaderMutations request_edits
    cdef public HeaderMutations response_edits
    cdef public bytes host_rewrite
    cdef public tuple metadata_match

@cython.final
cdef class Route(Destination):
    cdef public str name
    cdef public StringMatcher path
    cdef public list headers
    cdef public list query
    cdef public Fraction fraction
    cdef bint _begins
    cdef Random _random
    cdef public int direct_status
    cdef public bytes direct_body
    cdef public Redirect redirect
    cdef public bytes cluster_header
    cdef public list shares
    cdef public long long timeout
    cdef public long long idle_timeout
    cdef public long long max_stream_duration
    cdef public long long grpc_timeout_max
    cdef public RetryPolicy retry
    cdef public bytes prefix_rewrite
    cdef public RegexRewrite regex_rewrite
    cdef public bytes host_rewrite
    cdef public bytes host_rewrite_header
    cdef public RegexRewrite host_rewrite_path
    cdef public bint append_forwarded_host
    cdef public HeaderMutations request_edits
    cdef public HeaderMutations response_edits
    cdef public list mirrors
    cdef public HashPolicies hash_policies
    cdef public tuple metadata_match
    cdef public dict filters
    cdef public bint connect
    cdef public bint terminates
    cdef public dict upgrades
    cdef public StatGroup stats
    cdef public bint needs_headers
    cpdef bint matches(self, RequestHead head) except -1
    cdef bint _conditions(self, RequestHead head) except -1
    cpdef Py_ssize_t matched(self, bytes path)
    cpdef bytes rewrite(self, bytes path)
    cpdef bytes path_rewritten(self, RequestHead head, HeaderEdits edits)
    cpdef bytes authority_rewritten(self, RequestHead head, HeaderEdits edits, ClusterShare share)
    cpdef forward_host(self, RequestHead head, HeaderEdits edits, ClusterShare share)
    cpdef bytes location(self, RequestHead head)
    cpdef ClusterShare share(self, Py_ssize_t index)
    cpdef str cluster_of(self, RequestHead head, HeaderEdits edits)
