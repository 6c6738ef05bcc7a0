"""Local rate limits: Envoy's envoy.filters.http.local_ratelimit, for the whole sidecar.

A request takes a token from the default bucket, and one from the bucket of each *descriptor* that is made of it: a rule
(`Rule`, Envoy's RateLimit with its actions) makes one out of the request's headers, path and peer, and where the limits
know that descriptor they have a bucket for it. The slowest bucket is asked first; where one is empty the request is
answered here, and those behind it keep their tokens.

Buckets are cells that all workers of the sidecar share (`token_bucket`). A descriptor with entries without a value is a
*wildcard*: each value that comes has a bucket of its own (`wildcards`).
"""

import cython

from tage.dataplane.filters.filter import HttpFilter
from tage.dataplane.filters.rate_limit_rules import Rule
from tage.dataplane.filters.token_bucket import TokenBucket
from tage.dataplane.filters.wildcards import Wildcard
from tage.dataplane.protocols import errors
from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.protocols.message import HeaderBlock
from tage.dataplane.routing.route import Fraction
from tage.dataplane.telemetry.layout import LOCAL_RATE_LIMIT

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.filters.filter import CONTINUE, REPLIED
    from tage.dataplane.protocols.grpc import RESOURCE_EXHAUSTED

_ENABLED = cython.declare(cython.Py_ssize_t, LOCAL_RATE_LIMIT.offset("http_local_rate_limit.enabled"))
_ENFORCED = cython.declare(cython.Py_ssize_t, LOCAL_RATE_LIMIT.offset("http_local_rate_limit.enforced"))
_LIMITED = cython.declare(cython.Py_ssize_t, LOCAL_RATE_LIMIT.offset("http_local_rate_limit.rate_limited"))
_OK = cython.declare(cython.Py_ssize_t, LOCAL_RATE_LIMIT.offset("http_local_rate_limit.ok"))

_NO_HEADERS = cython.declare(HeaderBlock, HeaderBlock())


class RateLimits:
    """What is limited: a listener's, or a route's own. `stats` has the layout LOCAL_RATE_LIMIT.

    `default_bucket` is a `TokenBucket` or None. `descriptors` are buckets by the keys that `rules` make, `wildcards`
    those whose key has a blank. `always_default`: the default bucket is asked also where a descriptor was found.
    Of requests the share `enabled` is counted; of those that are limited the share `enforced` is answered with `status`
    and `answer_edits`, the others go on with `request_edits` (`HeaderMutations`, constant, or None). `tell`: answers
    say how much is left (x-ratelimit-*, draft-polli-ratelimit-headers-03). Calls of gRPC are RESOURCE_EXHAUSTED or,
    without `resource_exhausted`, what `status` stands for: UNAVAILABLE, with 429.
    """

    def __init__(
        self,
        stats,
        default_bucket=None,
        descriptors=None,
        wildcards=(),
        rules=(),
        always_default: cython.bint = True,
        enabled=None,
        enforced=None,
        status: int = 429,
        request_edits=None,
        answer_edits=None,
        tell: cython.bint = False,
        resource_exhausted: cython.bint = False,
    ) -> None:
        self.stats = stats
        self.default_bucket = default_bucket
        self.descriptors = descriptors or {}
        self.wildcards = list(wildcards)
        self.rules = list(rules) if self.descriptors or self.wildcards else []
        self.always_default = always_default
        self.enabled = enabled or Fraction(0)
        self.enforced = enforced or Fraction(0)
        self.status = status
        self.request_edits = request_edits
        self.answer_edits = answer_edits
        self.tell = tell
        self.error = errors.RATE_LIMITED
        if resource_exhausted:
            self.error = self.error._replace(grpc=RESOURCE_EXHAUSTED)
        self.limited = False

    def take(self, exchange, now):
        """A token from every bucket that the request meets, as far as there are some; `limited` tells whether one was
        empty. The bucket to tell the client of: that one, else the slowest; None where it meets none."""
        bucket: TokenBucket
        found: list = self._found(exchange) if self.rules else None
        self.limited = False
        if found:
            for bucket in found:
                if not bucket.take(now):
                    self.limited = True
                    return bucket
        if self.default_bucket is not None and (not found or self.always_default):
            if not self.default_bucket.take(now):
                self.limited = True
                return self.default_bucket
        return found[0] if found else self.default_bucket

    def _found(self, exchange):
        """Buckets of the request's descriptors, the slowest first."""
        rule: Rule
        bucket: TokenBucket
        found: list = []
        for rule in self.rules:
            bucket = self._bucket(rule.key_of(exchange))
            if bucket is not None:
                found.append(bucket)
        if len(found) > 1:
            found.sort(key=_rate)
        return found

    def _bucket(self, key):
        wildcard: Wildcard
        found: TokenBucket
        if key is None:
            return None
        found = self.descriptors.get(key)
        if found is None:
            for wildcard in self.wildcards:
                if wildcard.matches(key):
                    return wildcard.bucket(key)
        return found


def _rate(bucket):
    return bucket.per_second


class LocalRateLimitFilter(HttpFilter):
    """`limits` are those of requests whose routes have none of their own."""

    def __init__(self, name: str, limits) -> None:
        HttpFilter.__init__(self, name)
        self.limits = limits

    def request(self, exchange, settings):
        limits: RateLimits = self.limits if settings is None else settings
        bucket: TokenBucket
        if not limits.enabled.drawn(exchange.dice()):
            return CONTINUE
        limits.stats.up(_ENABLED)
        bucket = limits.take(exchange, exchange.timers().now_us())
        if limits.tell and bucket is not None:
            exchange.keep(self, bucket)
        if not limits.limited:
            limits.stats.up(_OK)
            return CONTINUE
        limits.stats.up(_LIMITED)
        if not limits.enforced.drawn(exchange.dice()):
            if limits.request_edits is not None:
                limits.request_edits.apply(exchange.edits, exchange.head.block, None)
            return CONTINUE
        limits.stats.up(_ENFORCED)
        if limits.answer_edits is not None:
            limits.answer_edits.apply(exchange.answer(), _NO_HEADERS, None)
        exchange.reply(limits.error, limits.status, limits.error.reason.encode(), ())
        return REPLIED

    def response(self, exchange, head, settings):
        edits: HeaderEdits
        bucket: TokenBucket = exchange.kept(self)
        now: cython.longlong
        if bucket is None:
            return CONTINUE
        now = exchange.timers().now_us()
        edits = exchange.answer()
        edits.add(b"x-ratelimit-limit", b"%d" % bucket.maximum)
        edits.add(b"x-ratelimit-remaining", b"%d" % bucket.remaining(now))
        edits.add(b"x-ratelimit-reset", b"%d" % (bucket.next_in(now) // 1000))
        return CONTINUE
