"""RateLimits -> local rate limit filters: plain Envoy configuration, so that an Envoy beside an instance has them too.

An inbound one is a filter of the inbound listener of its service's sidecars. An outbound one is settings of the
service's virtual host, or of some of its routes, for a filter of the outbound listener that does nothing by itself.
Each RateLimit is a filter of its own, by its namespace and name, so that several hold together.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.common.ratelimit.v3 import ratelimit_pb2
from envoy.extensions.filters.http.local_ratelimit.v3 import local_rate_limit_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.type.v3 import percent_pb2, token_bucket_pb2

from tage.config.model import Resource
from tage.config.rate_limit import HeaderLimit, RateLimit
from tage.pilot.generate import match, names

PREFIX = "tage.ratelimit."
_MATCHED = "matched"
"""The value of the entry that requests with the resource's `headers` have."""


def inbound(limits: Iterable[Resource]) -> list[hcm_pb2.HttpFilter]:
    """The filters of the sidecars of a service, which has these limits."""
    made = []
    for resource in limits:
        made.append(hcm_pb2.HttpFilter(name=_name(resource)))
        made[-1].typed_config.Pack(_limit(resource), deterministic=True)
    return made


def placeholders(filter_names: Iterable[str]) -> list[hcm_pb2.HttpFilter]:
    """The outbound listener's: without a bucket, and not enabled."""
    made = []
    for name in filter_names:
        made.append(hcm_pb2.HttpFilter(name=name))
        config = local_rate_limit_pb2.LocalRateLimit(stat_prefix=name.removeprefix(PREFIX))
        made[-1].typed_config.Pack(config, deterministic=True)
    return made


def apply(limits: Iterable[Resource], host: route_components_pb2.VirtualHost) -> None:
    """The outbound limits of a service, to its virtual host."""
    for resource in limits:
        spec = _spec(resource)
        limit = _limit(resource)
        if not spec.routes:
            host.typed_per_filter_config[_name(resource)].Pack(limit, deterministic=True)
        for route in host.routes:
            if route.name in spec.routes:
                route.typed_per_filter_config[_name(resource)].Pack(limit, deterministic=True)


def asked(config: route_pb2.RouteConfiguration) -> tuple[str, ...]:
    """The filters that these routes have settings for."""
    owners = [*config.virtual_hosts, *(route for host in config.virtual_hosts for route in host.routes)]
    return tuple(sorted({name for each in owners for name in each.typed_per_filter_config if name.startswith(PREFIX)}))


def _name(resource: Resource) -> str:
    return f"{PREFIX}{resource.metadata.namespace}.{resource.metadata.name}"


def _spec(resource: Resource) -> RateLimit:
    return cast(RateLimit, resource.spec)


def _limit(resource: Resource) -> local_rate_limit_pb2.LocalRateLimit:
    spec = _spec(resource)
    all_requests = percent_pb2.FractionalPercent(numerator=100)
    share = base_pb2.RuntimeFractionalPercent(default_value=all_requests)
    limit = local_rate_limit_pb2.LocalRateLimit(
        stat_prefix=f"{resource.metadata.namespace}.{resource.metadata.name}",
        filter_enabled=share,
        filter_enforced=share,
        token_bucket=_bucket(spec.requests or 1, spec.per, spec.burst or spec.requests),
    )
    conditions = [_condition(spec)] if spec.headers else []
    if spec.headers and spec.requests:
        limit.descriptors.add(
            entries=[_entry("header_match", _MATCHED)], token_bucket=_bucket(spec.requests, spec.per, spec.burst)
        )
        limit.rate_limits.add(actions=conditions)
    for each in spec.descriptors:
        _add(limit, each, spec, conditions)
    if spec.headers or not spec.requests:
        # The rest is not limited: its bucket has room for more than comes.
        limit.token_bucket.CopyFrom(_bucket(_UNLIMITED, "1s", 0))
    return limit


_UNLIMITED = 2**32 - 1


def _add(
    limit: local_rate_limit_pb2.LocalRateLimit,
    each: HeaderLimit,
    spec: RateLimit,
    conditions: list[route_components_pb2.RateLimit.Action],
) -> None:
    header = each.header.lower()
    entries = [_entry("header_match", _MATCHED)] if conditions else []
    limit.descriptors.add(
        entries=[*entries, _entry(header, each.value)],
        token_bucket=_bucket(each.requests, each.per or spec.per, each.burst),
    )
    action = route_components_pb2.RateLimit.Action()
    action.request_headers.header_name = action.request_headers.descriptor_key = header
    rule = route_components_pb2.RateLimit(actions=[*conditions, action])
    if rule not in limit.rate_limits:
        limit.rate_limits.append(rule)


def _condition(spec: RateLimit) -> route_components_pb2.RateLimit.Action:
    action = route_components_pb2.RateLimit.Action()
    action.header_value_match.descriptor_value = _MATCHED
    action.header_value_match.headers.extend(match.header(name, value) for name, value in spec.headers.items())
    return action


def _entry(key: str, value: str) -> ratelimit_pb2.RateLimitDescriptor.Entry:
    return ratelimit_pb2.RateLimitDescriptor.Entry(key=key, value=value)


def _bucket(requests: int, per: str, burst: int) -> token_bucket_pb2.TokenBucket:
    bucket = token_bucket_pb2.TokenBucket(max_tokens=burst or requests, fill_interval=names.duration(per))
    bucket.tokens_per_fill.value = requests
    return bucket
