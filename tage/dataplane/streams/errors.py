"""What can go wrong with a request here, once: Envoy's response flag, the HTTP status, and the words.

One table for all protocols; each protocol's downstream connection turns an entry into its own kind of answer.
"""

from typing import NamedTuple


class ProxyError(NamedTuple):
    flag: str
    """Envoy's response flag (%RESPONSE_FLAGS%)."""
    status: int
    reason: str


NO_ROUTE = ProxyError("NR", 404, "no route: no virtual host or route matches this request")
NO_CLUSTER = ProxyError("NC", 503, "no cluster: the route leads to a cluster that is not configured")
NO_HEALTHY_HOST = ProxyError("UH", 503, "no healthy upstream")
CONNECT_FAILURE = ProxyError("UF", 503, "upstream connection failure")
CONNECT_TIMEOUT = ProxyError("UF", 503, "upstream connection failure: connection timeout")
OVERFLOW = ProxyError("UO", 503, "upstream overflow: a circuit breaker's limit is reached")
TERMINATED = ProxyError("UC", 503, "upstream connection termination before the response")
PROTOCOL_ERROR = ProxyError("UPE", 502, "upstream protocol error")
REQUEST_TIMEOUT = ProxyError("UT", 504, "upstream request timeout")
STREAM_IDLE = ProxyError("SI", 504, "stream idle timeout")
REQUEST_IDLE = ProxyError("SI", 408, "stream idle timeout: the rest of the request did not arrive")
MALFORMED = ProxyError("DPE", 400, "malformed request")
HEAD_TIMEOUT = ProxyError("DT", 408, "the request's head did not arrive in time")
CLIENT_GONE = ProxyError("DC", 0, "downstream connection termination")
"""Nobody is left to answer; counted and logged."""
DIRECT = ProxyError("-", 200, "direct response")
"""Not an error: the route answers itself."""
