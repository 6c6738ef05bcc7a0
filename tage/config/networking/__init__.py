"""networking.istio.io/v1: VirtualService and DestinationRule, as far as Tage carries them out.

``spec``              what all specs share
``virtual_service``   VirtualService
``destination_rule``  DestinationRule

Field names and meanings are Istio's (istio.io/docs/reference/config/networking). A field that is not declared here is
refused on entry with its path; none is ignored. `UNSUPPORTED` names those that Istio has and Tage does not carry out:
they are refused in other words than misspelt ones. Durations are strings as in protobuf JSON ("1.5s", "250ms", "1h").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tage.config.networking import destination_rule, virtual_service
from tage.config.networking.destination_rule import (
    TOPOLOGY,
    ClientTLSSettings,
    ConnectionPoolSettings,
    ConsistentHashLB,
    CookieAttribute,
    DestinationRule,
    Distribute,
    Failover,
    HTTPCookie,
    HTTPSettings,
    LoadBalancerSettings,
    LocalityLoadBalancerSetting,
    MagLev,
    OutlierDetection,
    PortTrafficPolicy,
    ProxyProtocol,
    RetryBudget,
    RingHash,
    Subset,
    TcpKeepalive,
    TCPSettings,
    TrafficPolicy,
    WarmupConfiguration,
    WorkloadSelector,
)
from tage.config.networking.spec import ANY, Destination, Percent, PortSelector, Spec, StringMatch
from tage.config.networking.virtual_service import (
    AUTHORITY,
    Abort,
    CorsPolicy,
    Delay,
    Delegate,
    HeaderOperations,
    Headers,
    HTTPBody,
    HTTPDirectResponse,
    HTTPFaultInjection,
    HTTPMatchRequest,
    HTTPMirrorPolicy,
    HTTPRedirect,
    HTTPRetry,
    HTTPRewrite,
    HTTPRoute,
    HTTPRouteDestination,
    RegexRewrite,
    VirtualService,
)

__all__ = [
    "ANY",
    "AUTHORITY",
    "TOPOLOGY",
    "UNSUPPORTED",
    "Abort",
    "ClientTLSSettings",
    "ConnectionPoolSettings",
    "ConsistentHashLB",
    "CookieAttribute",
    "CorsPolicy",
    "Delay",
    "Delegate",
    "Destination",
    "DestinationRule",
    "Distribute",
    "Failover",
    "HTTPBody",
    "HTTPCookie",
    "HTTPDirectResponse",
    "HTTPFaultInjection",
    "HTTPMatchRequest",
    "HTTPMirrorPolicy",
    "HTTPRedirect",
    "HTTPRetry",
    "HTTPRewrite",
    "HTTPRoute",
    "HTTPRouteDestination",
    "HTTPSettings",
    "HeaderOperations",
    "Headers",
    "LoadBalancerSettings",
    "LocalityLoadBalancerSetting",
    "MagLev",
    "OutlierDetection",
    "Percent",
    "PortSelector",
    "PortTrafficPolicy",
    "ProxyProtocol",
    "RegexRewrite",
    "RetryBudget",
    "RingHash",
    "Spec",
    "StringMatch",
    "Subset",
    "TCPSettings",
    "TcpKeepalive",
    "TrafficPolicy",
    "VirtualService",
    "WarmupConfiguration",
    "WorkloadSelector",
]

UNSUPPORTED: Mapping[type[Spec], Sequence[str]] = {**virtual_service.UNSUPPORTED, **destination_rule.UNSUPPORTED}
