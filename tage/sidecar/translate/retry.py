"""RetryPolicy -> `plan.RetryPolicy`."""

from __future__ import annotations

from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2

from tage.sidecar import plan
from tage.sidecar.translate import match
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Extension, Shape, leaf
from tage.sidecar.translate.values import milliseconds, optional_milliseconds

CONDITIONS = frozenset({
    "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "refused-stream", "retriable-4xx",
    "retriable-status-codes", "retriable-headers", "envoy-ratelimited", "cancelled", "deadline-exceeded", "internal",
    "resource-exhausted", "unavailable",
})  # fmt: skip

RETRY_POLICY = Shape(
    "envoy.config.route.v3.RetryPolicy",
    {
        "retry_on": leaf,
        "num_retries": leaf,
        "per_try_timeout": leaf,
        "per_try_idle_timeout": leaf,
        "retriable_status_codes": leaf,
        "retriable_headers": match.HEADER,
        "retriable_request_headers": match.HEADER,
        "retry_back_off": Shape(
            "envoy.config.route.v3.RetryPolicy.RetryBackOff", {"base_interval": leaf, "max_interval": leaf}
        ),
        # Another host than those that failed, if there is one: what Tage's retries look for, asked or not.
        "retry_host_predicate": Extension(
            "retry host predicate",
            Shape("envoy.config.route.v3.RetryPolicy.RetryHostPredicate", ("name", "typed_config")),
            (
                previous_hosts_pb2.PreviousHostsPredicate,
                Shape("envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"),
            ),
        ),
    },
    harmless={
        "host_selection_retry_max_attempts": "how often to pick again for a host that was not tried before; Tage finds "
        "one whenever there is any"
    },
)


def translate(message: route_components_pb2.RetryPolicy, path: str, problems: Problems) -> plan.RetryPolicy | None:
    """None where nothing is retried."""
    conditions = [part.strip() for part in message.retry_on.split(",") if part.strip()]
    for condition in conditions:
        if condition not in CONDITIONS:
            problems.add(f"{path}.retry_on", f"'{condition}' is not supported")
    for i, status in enumerate(message.retriable_status_codes):
        if not 100 <= status <= 599:
            problems.add(f"{path}.retriable_status_codes[{i}]", f"{status} is not an HTTP status")
    base, longest = _back_off(message, f"{path}.retry_back_off", problems)
    policy = plan.RetryPolicy(
        conditions,
        message.num_retries.value if message.HasField("num_retries") else 1,
        optional_milliseconds(message, "per_try_timeout", 0, path, problems),
        list(message.retriable_status_codes),
        base,
        longest,
        match.headers(message.retriable_headers, f"{path}.retriable_headers", problems),
        match.headers(message.retriable_request_headers, f"{path}.retriable_request_headers", problems),
        optional_milliseconds(message, "per_try_idle_timeout", 0, path, problems),
    )
    return policy if conditions and policy.attempts else None


def _back_off(message: route_components_pb2.RetryPolicy, path: str, problems: Problems) -> tuple[int, int]:
    """Base and maximum in ms."""
    if not message.HasField("retry_back_off"):
        return 25, 250
    back_off = message.retry_back_off
    if not back_off.HasField("base_interval"):
        problems.add(f"{path}.base_interval", "is missing")
    base = milliseconds(back_off.base_interval, f"{path}.base_interval", problems, zero=False)
    longest = base * 10
    if back_off.HasField("max_interval"):
        longest = milliseconds(back_off.max_interval, f"{path}.max_interval", problems, zero=False)
        if longest < base:
            problems.add(f"{path}.max_interval", "must not be shorter than base_interval")
    return base, longest
