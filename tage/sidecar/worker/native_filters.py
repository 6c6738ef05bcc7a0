"""The plan's faults, CORS policies and rate limits -> the data plane's.

A rate limit's buckets are cells that the sidecar's workers share, by name: whose limit it is, what is limited and how.
So a limit that stays as it is keeps its buckets whatever else of the plan changes, and one that changes begins full.
"""

from __future__ import annotations

from collections.abc import Iterator

from tage.dataplane.filters.cors import CorsFilter, CorsPolicy
from tage.dataplane.filters.fault import FaultFilter, Faults
from tage.dataplane.filters.local_rate_limit import LocalRateLimitFilter, RateLimits
from tage.dataplane.filters.rate_limit_rules import Action, Rule
from tage.dataplane.filters.token_bucket import TokenBucket
from tage.dataplane.filters.wildcards import SLOT_WAYS, Wildcard
from tage.dataplane.routing import build
from tage.dataplane.routing.mutations import HeaderMutations
from tage.dataplane.routing.route import Fraction
from tage.dataplane.telemetry import layout
from tage.dataplane.telemetry.store import StatStore
from tage.dataplane.upstream.cells import Cells
from tage.sidecar import plan
from tage.sidecar.worker.shared import Claims


class NativeFilters:
    """`buckets`: those of the plan have been claimed (`bucket_names`)."""

    def __init__(self, stats: StatStore, buckets: Claims[Cells]) -> None:
        self._stats = stats
        self._buckets = buckets

    def fault_filter(self, fault: plan.Fault, stat_prefix: str) -> FaultFilter:
        return FaultFilter(fault.name, faults(fault), self._stats.group(layout.FAULT, stat_prefix))

    def cors_filter(self, cors: plan.Cors, stat_prefix: str) -> CorsFilter:
        return CorsFilter(cors.name, self._stats.group(layout.CORS, stat_prefix))

    def rate_limit_filter(self, limit: plan.LocalRateLimit) -> LocalRateLimitFilter:
        return LocalRateLimitFilter(limit.name, self.rate_limits(limit))

    def rate_limits(self, limit: plan.LocalRateLimit) -> RateLimits:
        named: dict[tuple[bytes, ...], TokenBucket] = {}
        wildcards = []
        for descriptor in limit.descriptors:
            name = _bucket_name(limit, descriptor)
            parts = [part.encode() for entry in descriptor.entries for part in entry]
            if _is_wildcard(descriptor):
                sets = [self._buckets.get(f"{name}#{n}") for n in range(_sets(limit))]
                like = _bucket(descriptor.bucket, sets[0])
                entries = tuple(part if i % 2 == 0 or part else None for i, part in enumerate(parts))
                wildcards.append(Wildcard(entries, like, sets))
            else:
                named[tuple(parts)] = _bucket(descriptor.bucket, self._buckets.get(name))
        default = None
        if limit.bucket is not None:
            default = _bucket(limit.bucket, self._buckets.get(_bucket_name(limit, None)))
        return RateLimits(
            self._stats.group(layout.LOCAL_RATE_LIMIT, limit.stat_prefix),
            default,
            named,
            wildcards,
            [Rule([_action(each) for each in rule]) for rule in limit.rules],
            limit.always_default,
            _fraction(limit.enabled),
            _fraction(limit.enforced),
            limit.status,
            _mutations(limit.request_headers),
            _mutations(limit.response_headers),
            limit.tell,
            limit.resource_exhausted,
        )


def faults(fault: plan.Fault) -> Faults:
    return Faults(
        _fraction(fault.delay),
        fault.delay_ms,
        _fraction(fault.abort),
        fault.abort_status,
        [build.header_matcher(each) for each in fault.headers],
        frozenset(node.encode() for node in fault.nodes),
        fault.max_active,
        -1 if fault.grpc_status is None else fault.grpc_status,
    )


def cors_policy(policy: plan.CorsPolicy) -> CorsPolicy:
    return CorsPolicy(
        [build.string_matcher(each) for each in policy.origins],
        policy.methods.encode(),
        policy.headers.encode(),
        policy.expose.encode(),
        policy.max_age.encode(),
        bool(policy.credentials),
        bool(policy.private_network),
        policy.forward is not False,
        _fraction(policy.enabled),
        _fraction(policy.shadow),
    )


def bucket_names(limit: plan.LocalRateLimit) -> Iterator[str]:
    """What has to be claimed before `rate_limits`."""
    if limit.bucket is not None:
        yield _bucket_name(limit, None)
    for descriptor in limit.descriptors:
        name = _bucket_name(limit, descriptor)
        if _is_wildcard(descriptor):
            yield from (f"{name}#{n}" for n in range(_sets(limit)))
        else:
            yield name


def limits_of(section: plan.Section) -> Iterator[plan.LocalRateLimit]:
    """Those of a listener's filters or of what routes say for them."""
    if isinstance(section, plan.Listener):
        for chain in section.all_chains():
            if chain.http is not None:
                yield from (each for each in chain.http.filters if isinstance(each, plan.LocalRateLimit))
    elif isinstance(section, plan.Routes):
        for host in section.virtual_hosts:
            for route in host.routes:
                yield from (each for each in route.filters.values() if isinstance(each, plan.LocalRateLimit))


def _bucket_name(limit: plan.LocalRateLimit, descriptor: plan.RateLimitDescriptor | None) -> str:
    """`descriptor` None: the default bucket's."""
    bucket = limit.bucket if descriptor is None else descriptor.bucket
    assert bucket is not None
    entries = descriptor.entries if descriptor is not None else ()
    what = repr((limit.scope, limit.name, limit.stat_prefix, *entries))
    return f"{what} {bucket.maximum} {bucket.per_fill}/{bucket.interval}"


def _is_wildcard(descriptor: plan.RateLimitDescriptor) -> bool:
    return any(not value for _, value in descriptor.entries)


def _sets(limit: plan.LocalRateLimit) -> int:
    """Twice the places that are wanted: values are spread over sets by chance."""
    return max(1, 2 * limit.max_dynamic // SLOT_WAYS)


def _bucket(bucket: plan.TokenBucket, cells: Cells) -> TokenBucket:
    return TokenBucket(cells, 0, bucket.maximum, bucket.per_fill, bucket.interval)


def _action(action: plan.RateLimitAction) -> Action:
    return Action(
        action.kind,
        action.key.encode(),
        action.value.encode(),
        action.name.encode(),
        action.optional,
        action.expect,
        [build.header_matcher(each) for each in action.headers],
        [build.query_matcher(each) for each in action.query],
    )


def _mutations(mutations: plan.HeaderMutations | None) -> HeaderMutations | None:
    return HeaderMutations(build.mutation_sets(mutations)) if mutations is not None else None


def _fraction(fraction: plan.Fraction | None) -> Fraction | None:
    return Fraction(fraction.numerator, fraction.denominator) if fraction is not None else None
