"""LocalRateLimit -> `plan.LocalRateLimit`."""

from __future__ import annotations

from typing import Any

from envoy.extensions.filters.http.local_ratelimit.v3 import local_rate_limit_pb2
from envoy.type.v3 import token_bucket_pb2

from tage.dataplane.filters.token_bucket import MAX_FILL_MS
from tage.dataplane.routing.mutations import HeaderMutation
from tage.sidecar import plan
from tage.sidecar.translate import mutations
from tage.sidecar.translate.filters import rate_limit_rules
from tage.sidecar.translate.filters.kind import FilterKind, Place
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Only, Shape, leaf
from tage.sidecar.translate.values import FRACTION, fraction, milliseconds

_LIMIT = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
_COMMON = "envoy.extensions.common.ratelimit.v3"
_MIN_INTERVAL_MS = 50
"""Envoy's."""
_MAX_DYNAMIC = 8_192
_BUCKET = Shape("envoy.type.v3.TokenBucket", ("max_tokens", "tokens_per_fill", "fill_interval"))
_DESCRIPTOR = Shape(
    f"{_COMMON}.LocalRateLimitDescriptor",
    {"entries": Shape(f"{_COMMON}.RateLimitDescriptor.Entry", ("key", "value")), "token_bucket": _BUCKET},
)
LIMIT = Shape(
    _LIMIT,
    {
        "stat_prefix": leaf,
        "status": Shape("envoy.type.v3.HttpStatus", ("code",)),
        "token_bucket": _BUCKET,
        "filter_enabled": FRACTION,
        "filter_enforced": FRACTION,
        "request_headers_to_add_when_not_enforced": mutations.OPTION,
        "response_headers_to_add": mutations.OPTION,
        "descriptors": _DESCRIPTOR,
        "enable_x_ratelimit_headers": Only("OFF", "DRAFT_VERSION_03"),
        "always_consume_default_token_bucket": leaf,
        "local_rate_limit_per_downstream_connection": Only(False),
        "rate_limits": rate_limit_rules.RULE,
        "max_dynamic_descriptors": leaf,
        "rate_limited_as_resource_exhausted": leaf,
    },
    harmless={
        "stage": "picks from the rate_limits of routes, which are refused; the filter's own have no stages",
        "vh_rate_limits": "says which rate_limits of virtual hosts count beside routes'; those are refused",
    },
)


def translate(message: Any, place: Place, path: str, problems: Problems) -> plan.LocalRateLimit:
    if not message.stat_prefix:
        problems.add(f"{path}.stat_prefix", "is missing")
    descriptors = [
        _descriptor(each, f"{path}.descriptors[{i}]", problems) for i, each in enumerate(message.descriptors)
    ]
    for i, each in enumerate(descriptors):
        if each.entries in [other.entries for other in descriptors[:i]]:
            problems.add(f"{path}.descriptors[{i}].entries", "another descriptor has the same ones")
    if descriptors and not message.rate_limits:
        problems.add(f"{path}.rate_limits", "is missing: nothing makes the descriptors of requests")
    dynamic = message.max_dynamic_descriptors.value if message.HasField("max_dynamic_descriptors") else 20
    if not 0 < dynamic <= _MAX_DYNAMIC:
        problems.add(f"{path}.max_dynamic_descriptors", f"must be from 1 to {_MAX_DYNAMIC}")
    return plan.LocalRateLimit(
        place.name,
        place.scope,
        message.stat_prefix,
        _bucket(message.token_bucket, f"{path}.token_bucket", problems) if message.HasField("token_bucket") else None,
        _share(message, "filter_enabled", path, problems),
        _share(message, "filter_enforced", path, problems),
        _status(message, path, problems),
        _headers(message, "request_headers_to_add_when_not_enforced", path, problems),
        _headers(message, "response_headers_to_add", path, problems),
        descriptors,
        [
            rate_limit_rules.translate(each, f"{path}.rate_limits[{i}]", problems)
            for i, each in enumerate(message.rate_limits)
        ],
        not message.HasField("always_consume_default_token_bucket")
        or message.always_consume_default_token_bucket.value,
        bool(message.enable_x_ratelimit_headers),
        dynamic,
        message.rate_limited_as_resource_exhausted,
    )


def _of_route(message: Any, place: Place, path: str, problems: Problems) -> plan.LocalRateLimit:
    if not message.HasField("token_bucket"):
        problems.add(f"{path}.token_bucket", "is missing: a route's settings need one")
    return translate(message, place, path, problems)


def _status(message: Any, path: str, problems: Problems) -> int:
    """As Envoy: 429 where it is none of an error."""
    code = message.status.code
    if message.HasField("status") and not 100 <= code < 600:
        problems.add(f"{path}.status.code", f"{code} is not an HTTP status")
    return int(code) if code >= 400 else 429


def _share(message: Any, field: str, path: str, problems: Problems) -> plan.Fraction | None:
    if not message.HasField(field):
        return None
    if not getattr(message, field).HasField("default_value"):
        problems.add(f"{path}.{field}.default_value", "is missing")
    return fraction(getattr(message, field).default_value)


def _bucket(message: token_bucket_pb2.TokenBucket, path: str, problems: Problems) -> plan.TokenBucket:
    per_fill = message.tokens_per_fill.value if message.HasField("tokens_per_fill") else 1
    if not message.max_tokens:
        problems.add(f"{path}.max_tokens", "must be at least 1")
    if not per_fill:
        problems.add(f"{path}.tokens_per_fill", "must be at least 1")
    interval = _MIN_INTERVAL_MS
    if not message.HasField("fill_interval"):
        problems.add(f"{path}.fill_interval", "is missing")
    else:
        interval = milliseconds(message.fill_interval, f"{path}.fill_interval", problems)
        if interval < _MIN_INTERVAL_MS:
            problems.add(f"{path}.fill_interval", f"must be at least {_MIN_INTERVAL_MS} ms")
    if message.max_tokens * interval > MAX_FILL_MS * max(per_fill, 1):
        problems.add(path, "would take longer than ten years to become full")
    return plan.TokenBucket(message.max_tokens, per_fill, interval)


def _descriptor(message: Any, path: str, problems: Problems) -> plan.RateLimitDescriptor:
    if not message.entries:
        problems.add(f"{path}.entries", "is missing")
    for i, entry in enumerate(message.entries):
        if not entry.key:
            problems.add(f"{path}.entries[{i}].key", "is missing")
    bucket = plan.TokenBucket(1)
    if not message.HasField("token_bucket"):
        problems.add(f"{path}.token_bucket", "is missing")
    else:
        bucket = _bucket(message.token_bucket, f"{path}.token_bucket", problems)
    return plan.RateLimitDescriptor([(entry.key, entry.value) for entry in message.entries], bucket)


def _headers(message: Any, field: str, path: str, problems: Problems) -> plan.HeaderMutations | None:
    """Their values are the same for all requests."""
    options = getattr(message, field)
    added = [mutations.option(each, f"{path}.{field}[{i}]", problems) for i, each in enumerate(options)]
    for i, each in enumerate(added):
        try:
            constant = HeaderMutation(each.name.encode(), each.value).constant
        except ValueError:
            continue  # told already
        if not constant:
            problems.add(f"{path}.{field}[{i}].header.value", "operators are not supported here")
    return plan.HeaderMutations(added) if added else None


KIND = FilterKind(
    local_rate_limit_pb2.LocalRateLimit, LIMIT, translate, local_rate_limit_pb2.LocalRateLimit, LIMIT, _of_route
)
