"""The HTTP filters of the outbound listener, and what rules ask of them: faults and CORS.

A filter stands in the listener only if some route of the sidecar asks something of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.common.fault.v3 import fault_pb2 as common_fault_pb2
from envoy.extensions.filters.http.cors.v3 import cors_pb2
from envoy.extensions.filters.http.fault.v3 import fault_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.type.v3 import percent_pb2
from google.protobuf.message import Message

from tage.config import grpc
from tage.config.networking import CorsPolicy, HTTPFaultInjection, HTTPRoute, Percent, StringMatch
from tage.pilot.generate import match, names, rate_limits

FAULT = "envoy.filters.http.fault"
CORS = "envoy.filters.http.cors"

_FILTERS: dict[str, type[Message]] = {FAULT: fault_pb2.HTTPFault, CORS: cors_pb2.Cors}
"""In the order in which a request passes them, Istio's."""


def asked(config: route_pb2.RouteConfiguration) -> tuple[str, ...]:
    """The filters that the routes ask something of, in their order."""
    found = {name for host in config.virtual_hosts for route in host.routes for name in route.typed_per_filter_config}
    return (*(name for name in _FILTERS if name in found), *rate_limits.asked(config))


def chain(asked: Iterable[str]) -> list[hcm_pb2.HttpFilter]:
    """The filters before the router."""
    made = []
    for name in asked:
        if name.startswith(rate_limits.PREFIX):
            made += rate_limits.placeholders([name])
            continue
        made.append(hcm_pb2.HttpFilter(name=name))
        made[-1].typed_config.Pack(_FILTERS[name](), deterministic=True)
    return made


def apply(http: HTTPRoute, route: route_components_pb2.Route, rpc: bool = False) -> None:
    """`rpc`: of remote calls, which no browser makes."""
    if http.fault is not None:
        route.typed_per_filter_config[FAULT].Pack(_fault(http.fault), deterministic=True)
    if http.cors_policy is not None and not rpc:
        route.typed_per_filter_config[CORS].Pack(_cors(http.cors_policy), deterministic=True)


def fraction(percentage: Percent | None, whole: int) -> percent_pb2.FractionalPercent:
    """`whole` per cent where no percentage is given."""
    if percentage is None:
        return percent_pb2.FractionalPercent(numerator=whole, denominator=percent_pb2.FractionalPercent.HUNDRED)
    return percent_pb2.FractionalPercent(
        numerator=round(percentage.value * 10_000), denominator=percent_pb2.FractionalPercent.MILLION
    )


def _fault(fault: HTTPFaultInjection) -> fault_pb2.HTTPFault:
    made = fault_pb2.HTTPFault()
    if fault.delay is not None:
        made.delay.CopyFrom(
            common_fault_pb2.FaultDelay(
                fixed_delay=names.duration(fault.delay.fixed_delay),
                percentage=fraction(fault.delay.percentage, fault.delay.percent),
            )
        )
    if fault.abort is not None:
        made.abort.percentage.CopyFrom(fraction(fault.abort.percentage, 0))
        if fault.abort.grpc_status:
            made.abort.grpc_status = grpc.STATUSES[fault.abort.grpc_status]
        else:
            made.abort.http_status = fault.abort.http_status
    return made


def _cors(policy: CorsPolicy) -> cors_pb2.CorsPolicy:
    made = cors_pb2.CorsPolicy(
        allow_methods=",".join(policy.allow_methods),
        allow_headers=",".join(policy.allow_headers),
        expose_headers=",".join(policy.expose_headers),
        max_age=str(names.duration(policy.max_age).seconds) if policy.max_age else "",
    )
    made.filter_enabled.default_value.numerator = 100
    made.forward_not_matching_preflights.value = policy.unmatched_preflights != "IGNORE"
    if policy.allow_credentials is not None:
        made.allow_credentials.value = policy.allow_credentials
    origins = policy.allow_origins or [StringMatch(exact=origin) for origin in policy.allow_origin]
    made.allow_origin_string_match.extend(filter(None, map(match.string, origins)))
    return made
