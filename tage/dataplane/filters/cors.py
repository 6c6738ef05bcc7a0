"""Cross-origin resource sharing: what browsers ask before, and are told beside an answer (fetch.spec.whatwg.org, 3.3).

Envoy's envoy.filters.http.cors. A *preflight* (OPTIONS with Origin and Access-Control-Request-Method) is answered here;
of any other request with an allowed Origin the answer is annotated. An origin that is not allowed is no error: the
answer goes out unannotated, and it is the browser that keeps it from the page.

Only routes that lead somewhere have a policy: it comes from the route, and what that leaves open from its virtual host
and route configuration, put together when these are translated.
"""

import cython

from tage.dataplane.filters.filter import HttpFilter
from tage.dataplane.protocols import errors
from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.routing.matcher import StringMatcher
from tage.dataplane.routing.route import Fraction
from tage.dataplane.telemetry.layout import CORS

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.filters.filter import CONTINUE, REPLIED
    from tage.dataplane.routing.matcher import first_value

_VALID = cython.declare(cython.Py_ssize_t, CORS.offset("cors.origin_valid"))
_INVALID = cython.declare(cython.Py_ssize_t, CORS.offset("cors.origin_invalid"))

_ORIGIN = b"origin"
_ASKED_METHOD = b"access-control-request-method"
_ASKED_HEADERS = b"access-control-request-headers"
_ASKED_PRIVATE = b"access-control-request-private-network"
_ALLOW_ORIGIN = b"access-control-allow-origin"
_ALLOW_CREDENTIALS = b"access-control-allow-credentials"
_ALLOW_METHODS = b"access-control-allow-methods"
_ALLOW_HEADERS = b"access-control-allow-headers"
_ALLOW_PRIVATE = b"access-control-allow-private-network"
_EXPOSE_HEADERS = b"access-control-expose-headers"
_MAX_AGE = b"access-control-max-age"


class CorsPolicy:
    """Source: envoy.extensions.filters.http.cors.v3.CorsPolicy. Texts are empty where nothing is said; `*` as methods
    or headers allows what is asked for. `forward`: a preflight of an origin that is not allowed goes on to the route.
    `enabled` and `shadow` are shares of requests; those of `shadow` alone are only counted."""

    def __init__(
        self,
        origins,
        methods: bytes = b"",
        headers: bytes = b"",
        expose: bytes = b"",
        max_age: bytes = b"",
        credentials: cython.bint = False,
        private_network: cython.bint = False,
        forward: cython.bint = True,
        enabled=None,
        shadow=None,
    ) -> None:
        self.origins = list(origins)
        self.methods = methods
        self.headers = headers
        self.expose = expose
        self.max_age = max_age
        self.credentials = credentials
        self.private_network = private_network
        self.forward = forward
        self.enabled = enabled or Fraction(100)
        self.shadow = shadow or Fraction(0)
        self._any = any(matcher.matches(b"*") for matcher in self.origins)

    def allows(self, origin):
        """A matcher that matches "*" allows all origins, as in Envoy."""
        matcher: StringMatcher
        if self._any:
            return True
        for matcher in self.origins:
            if matcher.matches(origin):
                return True
        return False

    def preflight(self, exchange, origin):
        """The headers of the answer; `origin` is None where it is not allowed."""
        asked: bytes
        headers: list = []
        if origin is not None:
            headers.append((_ALLOW_ORIGIN, origin))
        if self.credentials:
            headers.append((_ALLOW_CREDENTIALS, b"true"))
        if self.methods:
            asked = first_value(exchange.head, exchange.edits, _ASKED_METHOD)
            headers.append((_ALLOW_METHODS, asked if self.methods == b"*" else self.methods))
        if self.headers:
            asked = first_value(exchange.head, exchange.edits, _ASKED_HEADERS)
            headers.append((_ALLOW_HEADERS, (asked or b"") if self.headers == b"*" else self.headers))
        if self.max_age:
            headers.append((_MAX_AGE, self.max_age))
        if self.private_network and first_value(exchange.head, exchange.edits, _ASKED_PRIVATE) == b"true":
            headers.append((_ALLOW_PRIVATE, b"true"))
        return tuple(headers)


def _leads(route):
    """Whether it is none that answers by itself."""
    return route.direct_status == 0 and route.redirect is None


class CorsFilter(HttpFilter):
    """It does nothing where the route has no `CorsPolicy`. `stats` has the layout CORS."""

    def __init__(self, name: str, stats) -> None:
        HttpFilter.__init__(self, name)
        self.stats = stats

    def request(self, exchange, settings):
        policy: CorsPolicy
        origin: bytes
        allowed: cython.bint
        enabled: cython.bint
        if settings is None or exchange.route is None or not _leads(exchange.route):
            return CONTINUE
        policy = settings
        enabled = policy.enabled.drawn(exchange.dice())
        if not enabled and not policy.shadow.drawn(exchange.dice()):
            return CONTINUE
        origin = first_value(exchange.head, exchange.edits, _ORIGIN)
        if not origin:
            return CONTINUE
        allowed = policy.allows(origin)
        self.stats.up(_VALID if allowed else _INVALID)
        if not enabled:
            return CONTINUE
        if allowed:
            exchange.keep(self, origin)
        if exchange.head.method != b"OPTIONS" or not first_value(exchange.head, exchange.edits, _ASKED_METHOD):
            return CONTINUE
        if not allowed and policy.forward:
            return CONTINUE
        exchange.reply(errors.PREFLIGHT, 200, b"", policy.preflight(exchange, origin if allowed else None))
        return REPLIED

    def response(self, exchange, head, settings):
        policy: CorsPolicy
        edits: HeaderEdits
        origin: bytes = exchange.kept(self)
        if origin is None or settings is None:
            return CONTINUE
        policy = settings
        edits = exchange.answer()
        edits.put(_ALLOW_ORIGIN, origin)
        if policy.credentials:
            edits.put(_ALLOW_CREDENTIALS, b"true")
        if policy.expose:
            edits.put(_EXPOSE_HEADERS, policy.expose)
        return CONTINUE
