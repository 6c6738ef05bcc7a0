"""What can go wrong with a request here, once: Envoy's response flag, the HTTP status, and the words.

One table for all protocols; each protocol's downstream connection turns an entry into its own kind of answer.
"""

from typing import NamedTuple


class ProxyError(NamedTuple):
    flag: str
    """Envoy's response flag (%RESPONSE_FLAGS%)."""
    status: int
    reason: str
    details: str
    """Envoy's response code details (%RESPONSE_CODE_DETAILS%)."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """What the answer has to say besides."""
    grpc: int = -1
    """The gRPC status; -1: the one that the HTTP status stands for (`grpc.from_http`)."""


_ALLOW = ((b"allow", b"GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH"),)
_DEADLINE_EXCEEDED = 4  # GrpcStatus.DEADLINE_EXCEEDED
_RESET = "upstream_reset_before_response_started"

NO_ROUTE = ProxyError("NR", 404, "no route: no virtual host or route matches this request", "route_not_found")
NO_CLUSTER = ProxyError(
    "NC", 503, "no cluster: the route leads to a cluster that is not configured",
    "cluster_not_found",
)
OTHER_PROTOCOL = ProxyError(
    "NC", 503, "no cluster: the route leads to a cluster of another protocol",
    "cluster_of_another_protocol",
)
NO_HEALTHY_HOST = ProxyError("UH", 503, "no healthy upstream", "no_healthy_upstream")
CONNECT_FAILURE = ProxyError("UF", 503, "upstream connection failure", _RESET + "{connection_failure}")
CONNECT_TIMEOUT = ProxyError(
    "UF", 503, "upstream connection failure: connection timeout",
    _RESET + "{connection_timeout}",
)
OVERFLOW = ProxyError("UO", 503, "upstream overflow: a circuit breaker's limit is reached", _RESET + "{overflow}")
TERMINATED = ProxyError(
    "UC", 503, "upstream connection termination before the response",
    _RESET + "{connection_termination}",
)
REMOTE_RESET = ProxyError("UR", 503, "upstream reset the request", _RESET + "{remote_reset}")
REFUSED = ProxyError("UR", 503, "upstream refused the request", _RESET + "{remote_refused_stream_reset}")
PROTOCOL_ERROR = ProxyError("UPE", 502, "upstream protocol error", _RESET + "{protocol_error}")
REQUEST_TIMEOUT = ProxyError("UT", 504, "upstream request timeout", "response_timeout", grpc=_DEADLINE_EXCEEDED)
STREAM_IDLE = ProxyError("SI", 504, "stream idle timeout", "stream_idle_timeout", grpc=_DEADLINE_EXCEEDED)
REQUEST_IDLE = ProxyError(
    "SI", 408, "stream idle timeout: the rest of the request did not arrive",
    "stream_idle_timeout", grpc=_DEADLINE_EXCEEDED,
)
MAX_DURATION = ProxyError("-", 504, "stream duration timeout", "max_duration_timeout", grpc=_DEADLINE_EXCEEDED)
"""Envoy gives no flag to its connection manager's limit."""
REQUEST_MAX_DURATION = ProxyError(
    "-", 408, "stream duration timeout: the rest of the request did not arrive",
    "max_duration_timeout", grpc=_DEADLINE_EXCEEDED,
)
MALFORMED = ProxyError("DPE", 400, "malformed request", "codec_error")
HEAD_TIMEOUT = ProxyError(
    "DT", 408, "the request's head did not arrive in time", "request_header_timeout",
    grpc=_DEADLINE_EXCEEDED,
)
NO_CONNECT = ProxyError("DPE", 501, "CONNECT is not enabled here", "upgrade_failed")
BAD_MAX_FORWARDS = ProxyError("DPE", 400, "malformed Max-Forwards", "invalid_max_forwards")
NO_TRACE = ProxyError("DPE", 405, "TRACE is not answered by a proxy", "max_forwards_reached", _ALLOW)
LOOP = ProxyError("-", 508, "loop detected: the request came back to this sidecar too often", "loop_detected")
OVERLOADED = ProxyError("OM", 503, "overloaded: requests wait too long for this sidecar", "overload")
FAULT = ProxyError("FI", 503, "fault filter abort", "fault_filter_abort")
"""The status is what the fault says."""
RATE_LIMITED = ProxyError("RL", 429, "local_rate_limited", "local_rate_limited")
CLIENT_GONE = ProxyError("DC", 0, "downstream connection termination", "downstream_remote_disconnect")
"""Nobody is left to answer; counted and logged."""
DIRECT = ProxyError("-", 200, "direct response", "direct_response")
"""Not an error: the route answers itself."""
OPTIONS = ProxyError("-", 200, "", "max_forwards_reached", _ALLOW)
"""Not an error either: the request was to go no further."""
PREFLIGHT = ProxyError("-", 200, "", "cors_response")
"""Nor is the answer to what a browser asks before it sends a request."""
