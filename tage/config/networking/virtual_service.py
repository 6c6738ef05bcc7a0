"""networking.istio.io/v1 VirtualService (istio.io/docs/reference/config/networking/virtual-service)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from tage.config.networking.spec import Destination, Percent, Spec, StringMatch

AUTHORITY = ("host", ":authority")
"""Names of the header that is a request's host: it may be set, but is neither matched as a header nor removed."""


class HTTPMatchRequest(Spec, frozen=True):
    """All conditions of one entry must hold; one entry of the list must match. Header names are in lower case."""

    name: str = ""
    uri: StringMatch | None = None
    method: StringMatch | None = None
    headers: dict[str, StringMatch] = {}
    """An empty StringMatch ({}) asks only that the header is there."""
    scheme: StringMatch | None = None
    authority: StringMatch | None = None
    port: int = 0
    """The port that the caller addresses; 0: any."""
    source_labels: dict[str, str] = {}
    source_namespace: str = ""
    gateways: list[str] = []
    query_params: dict[str, StringMatch] = {}
    ignore_uri_case: bool = False
    without_headers: dict[str, StringMatch] = {}
    stat_prefix: str = ""


class HeaderOperations(Spec, frozen=True):
    """`set` takes the place of what is there, `add` is one more line."""

    set: dict[str, str] = {}
    add: dict[str, str] = {}
    remove: list[str] = []


class Headers(Spec, frozen=True):
    request: HeaderOperations | None = None
    response: HeaderOperations | None = None


class HTTPRouteDestination(Spec, frozen=True):
    destination: Destination
    weight: int = 0
    headers: Headers | None = None


class HTTPRedirect(Spec, frozen=True):
    uri: str = ""
    """The whole path that takes the old one's place."""
    authority: str = ""
    port: int | None = None
    derive_port: str = ""
    """FROM_PROTOCOL_DEFAULT or FROM_REQUEST_PORT."""
    scheme: str = ""
    redirect_code: int = 0
    """301, 302, 303, 307 or 308; 0 is 301."""
    prefix_rewrite: str = ""


class HTTPBody(Spec, frozen=True):
    string: str | None = None
    data: str | None = msgspec.field(default=None, name="bytes")
    """Base64, as in protobuf JSON."""


class HTTPDirectResponse(Spec, frozen=True):
    status: int
    body: HTTPBody | None = None


class Delegate(Spec, frozen=True):
    """A VirtualService without hosts. No namespace: that of the one that names it."""

    name: str = ""
    namespace: str = ""


class RegexRewrite(Spec, frozen=True):
    """RE2; `rewrite` may name groups as \\1."""

    match: str = ""
    rewrite: str = ""


class HTTPRewrite(Spec, frozen=True):
    uri: str = ""
    """In the place of the prefix (or whole path) that matched."""
    authority: str = ""
    uri_regex_rewrite: RegexRewrite | None = None


class HTTPRetry(Spec, frozen=True):
    attempts: int
    per_try_timeout: str = ""
    retry_on: str = ""
    retry_remote_localities: bool | None = None
    """Only false."""
    retry_ignore_previous_hosts: bool | None = None
    """Whether a retry looks for another host; unset: it does."""
    backoff: str = ""
    """The shortest wait before a retry."""


class Delay(Spec, frozen=True):
    fixed_delay: str = ""
    percentage: Percent | None = None
    """Unset: `percent`."""
    percent: int = 0
    """Istio's older form."""


class Abort(Spec, frozen=True):
    """Without a percentage nothing is aborted. One of the two is set."""

    http_status: int = 0
    grpc_status: str = ""
    """A name of `tage.config.grpc.STATUSES`."""
    percentage: Percent | None = None


class HTTPFaultInjection(Spec, frozen=True):
    delay: Delay | None = None
    abort: Abort | None = None


class HTTPMirrorPolicy(Spec, frozen=True):
    destination: Destination
    percentage: Percent | None = None
    """Unset: all requests."""


class CorsPolicy(Spec, frozen=True):
    allow_origins: list[StringMatch] = []
    allow_methods: list[str] = []
    allow_headers: list[str] = []
    expose_headers: list[str] = []
    max_age: str = ""
    allow_credentials: bool | None = None
    unmatched_preflights: str = ""
    """FORWARD (and unset): to the application; IGNORE: answered here."""
    allow_origin: list[str] = []
    """Istio's older form: exact origins, where there are no `allow_origins`."""


class HTTPRoute(Spec, frozen=True):
    name: str = ""
    match: list[HTTPMatchRequest] = []
    route: list[HTTPRouteDestination] = []
    timeout: str = ""
    retries: HTTPRetry | None = None
    redirect: HTTPRedirect | None = None
    direct_response: HTTPDirectResponse | None = None
    delegate: Delegate | None = None
    rewrite: HTTPRewrite | None = None
    fault: HTTPFaultInjection | None = None
    mirror: Destination | None = None
    mirrors: list[HTTPMirrorPolicy] = []
    mirror_percentage: Percent | None = None
    mirror_percent: int | None = None
    """Istio's older form of `mirror_percentage`."""
    cors_policy: CorsPolicy | None = None
    headers: Headers | None = None


class VirtualService(Spec, frozen=True):
    hosts: list[str] = []
    """Empty: a delegate, which counts only where another one names it."""
    http: list[HTTPRoute] = []
    gateways: list[str] = []
    """Only `mesh`."""
    export_to: list[str] = []
    """Namespaces whose callers it counts for; `.` is its own, `*` (and nothing) all."""


UNSUPPORTED: Mapping[type[Spec], Sequence[str]] = {
    VirtualService: ("tcp", "tls"),
    Delay: ("exponentialDelay",),
    Abort: ("http2Error",),
}
