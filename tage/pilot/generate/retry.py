"""`retries` -> retry policies. Defaults are Istio's."""

from __future__ import annotations

from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2
from google.protobuf.wrappers_pb2 import UInt32Value

from tage.config.networking import HTTPRetry
from tage.pilot.generate import names

RetryPolicy = route_components_pb2.RetryPolicy

# The retry policy of a route that says nothing about retries.
ON = ("connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes")
STATUSES = (503,)
ATTEMPTS = 2
RPC_ON = ("connect-failure", "refused-stream", "unavailable")
"""Of remote calls that say nothing of conditions: never what may have been carried out, for none is known to be
idempotent."""
HOST_SELECTION_ATTEMPTS = 5
"""How often another host is looked for than those that failed."""

_STATUS_CODES = "retriable-status-codes"
_OTHER_HOST = RetryPolicy.RetryHostPredicate(name="envoy.retry_host_predicates.previous_hosts")
_OTHER_HOST.typed_config.Pack(previous_hosts_pb2.PreviousHostsPredicate())


def policy(
    retries: HTTPRetry | None, hashed: bool = False, rpc: bool = False
) -> route_components_pb2.RetryPolicy | None:
    """None: no retries. `hashed`: the load balancer has one host for each request, and a retry does not look for
    another unless it is told to. `rpc`: of remote calls."""
    if retries is not None and retries.attempts <= 0:
        return None
    on, statuses = _conditions(retries, rpc)
    made = RetryPolicy(
        retry_on=",".join(on),
        num_retries=UInt32Value(value=retries.attempts if retries is not None else ATTEMPTS),
        retriable_status_codes=statuses,
        host_selection_retry_max_attempts=HOST_SELECTION_ATTEMPTS,
    )
    other_host = retries.retry_ignore_previous_hosts if retries is not None else None
    if other_host or (other_host is None and not hashed):
        made.retry_host_predicate.append(_OTHER_HOST)
    if retries is not None:
        if retries.per_try_timeout:
            made.per_try_timeout.CopyFrom(names.duration(retries.per_try_timeout))
        if retries.backoff:
            made.retry_back_off.base_interval.CopyFrom(names.duration(retries.backoff))
    return made


def _conditions(retries: HTTPRetry | None, rpc: bool) -> tuple[list[str], list[int]]:
    """`retryOn` may name status codes, which Envoy takes in a field of their own."""
    if retries is None or not retries.retry_on:
        return (list(RPC_ON), []) if rpc else (list(ON), list(STATUSES))
    terms = [term for part in retries.retry_on.split(",") if (term := part.strip())]
    statuses = [int(term) for term in terms if term.isdigit()]
    on = [term for term in terms if not term.isdigit()]
    if statuses and _STATUS_CODES not in on:
        on.append(_STATUS_CODES)
    return on, statuses
