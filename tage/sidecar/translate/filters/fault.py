"""HTTPFault -> `plan.Fault`."""

from __future__ import annotations

from typing import Any

from envoy.extensions.filters.http.fault.v3 import fault_pb2

from tage.sidecar import plan
from tage.sidecar.translate import match
from tage.sidecar.translate.filters.kind import FilterKind, Place
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Shape, leaf
from tage.sidecar.translate.values import fraction, milliseconds

_PERCENT = Shape("envoy.type.v3.FractionalPercent", ("numerator", "denominator"))
_FAULT = "envoy.extensions.filters.http.fault.v3"
_DELAY = "envoy.extensions.filters.common.fault.v3.FaultDelay"

_LAST_GRPC_STATUS = 16
"""UNAUTHENTICATED"""

FAULT = Shape(
    f"{_FAULT}.HTTPFault",
    {
        "delay": Shape(
            _DELAY, {"fixed_delay": leaf, "header_delay": Shape(f"{_DELAY}.HeaderDelay"), "percentage": _PERCENT}
        ),
        "abort": Shape(
            f"{_FAULT}.FaultAbort",
            {
                "http_status": leaf,
                "grpc_status": leaf,
                "header_abort": Shape(f"{_FAULT}.FaultAbort.HeaderAbort"),
                "percentage": _PERCENT,
            },
        ),
        "headers": match.HEADER,
        "downstream_nodes": leaf,
        "max_active_faults": leaf,
    },
    harmless={"disable_downstream_cluster_stats": "Tage counts faults of a listener, not of its clients' clusters"},
)


def translate(message: fault_pb2.HTTPFault, place: Place, path: str, problems: Problems) -> plan.Fault:
    delay, delay_ms = _delay(message, path, problems)
    abort, status, grpc_status = _abort(message, path, problems)
    return plan.Fault(
        place.name,
        delay,
        delay_ms,
        abort,
        status,
        match.headers(message.headers, f"{path}.headers", problems),
        list(message.downstream_nodes),
        message.max_active_faults.value if message.HasField("max_active_faults") else -1,
        grpc_status,
    )


def _delay(message: Any, path: str, problems: Problems) -> tuple[plan.Fraction | None, int]:
    if not message.HasField("delay"):
        return None, 0
    delay, at = message.delay, f"{path}.delay"
    if delay.WhichOneof("fault_delay_secifier") is None:
        problems.add(at, "needs one of fixed_delay and header_delay")
        return None, 0
    ms = 0
    if delay.HasField("fixed_delay"):
        ms = milliseconds(delay.fixed_delay, f"{at}.fixed_delay", problems, zero=False)
    return fraction(delay.percentage), ms


def _abort(message: Any, path: str, problems: Problems) -> tuple[plan.Fraction | None, int, int | None]:
    """Of which requests, with which HTTP status or with which status of gRPC's."""
    if not message.HasField("abort"):
        return None, 0, None
    abort, at = message.abort, f"{path}.abort"
    kind = abort.WhichOneof("error_type")
    if kind is None:
        problems.add(at, "needs one of http_status, grpc_status and header_abort")
    if kind == "http_status" and not 200 <= abort.http_status < 600:
        problems.add(f"{at}.http_status", f"{abort.http_status} is not an HTTP status from 200 to 599")
    grpc_status = abort.grpc_status if kind == "grpc_status" else None
    if grpc_status is not None and grpc_status > _LAST_GRPC_STATUS:
        problems.add(f"{at}.grpc_status", f"{grpc_status} is not a status of gRPC's, from 0 to {_LAST_GRPC_STATUS}")
    return fraction(abort.percentage), abort.http_status, grpc_status


KIND = FilterKind(fault_pb2.HTTPFault, FAULT, translate, fault_pb2.HTTPFault, FAULT, translate)
