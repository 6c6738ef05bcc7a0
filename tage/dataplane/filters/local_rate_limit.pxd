cimport cython

from tage.dataplane.filters.filter cimport CONTINUE, REPLIED, Exchange, HttpFilter
from tage.dataplane.routing.route cimport Fraction
from tage.dataplane.filters.rate_limit_rules cimport Rule
from tage.dataplane.filters.token_bucket cimport TokenBucket
from tage.dataplane.filters.wildcards cimport Wildcard
from tage.dataplane.protocols.edits cimport HeaderEdits
from tage.dataplane.protocols.grpc cimport RESOURCE_EXHAUSTED
from tage.dataplane.protocols.message cimport HeaderBlock, ResponseHead
from tage.dataplane.routing.mutations cimport HeaderMutations
from tage.dataplane.telemetry.store cimport StatGroup

@cython.final
cdef class RateLimits:
    cdef readonly StatGroup stats
    cdef readonly TokenBucket default_bucket
    cdef readonly dict descriptors
    cdef readonly list wildcards
    cdef readonly list rules
    cdef readonly bint always_default
    cdef readonly Fraction enabled
    cdef readonly Fraction enforced
    cdef readonly int status
    cdef readonly HeaderMutations request_edits
    cdef readonly HeaderMutations answer_edits
    cdef readonly bint tell
    cdef readonly object error
    cdef bint limited
    cdef TokenBucket take(self, Exchange exchange, long long now)
    cdef list _found(self, Exchange exchange)
    cdef TokenBucket _bucket(self, tuple key)

@cython.final
cdef class LocalRateLimitFilter(HttpFilter):
    cdef readonly RateLimits limits
