"""Route tables, and matching: the same code for the worker, for explaining and for tests.

A table is built once and never changed; a new configuration is a new table. Domains are found as Envoy does: exact,
then the longest `*.suffix`, then the longest `prefix.*`, then `*`; case does not count. Each is a look-up, wildcards
one for each length that any of them has. Within a virtual host the first route that matches wins.
"""

import cython

from tage.dataplane.routing.index import PathIndex
from tage.dataplane.routing.route import Route

INDEXED = 16
"""Virtual hosts with more rules than that have an index of their paths; fewer are tried one by one."""


def index_of(routes: list) -> PathIndex:
    result = PathIndex()
    for route in routes:
        result.add(route)
    result.finish()
    return result


class VirtualHost:
    """`secure` (a route, or None): requests that came without TLS meet it and no other (VirtualHost.require_tls);
    whether they did is what x-forwarded-proto says, without it the connection. `needs_headers`: any of its routes does
    (`Route.needs_headers`)."""

    def __init__(
        self, name: str, routes: list, secure: Route | None = None, index: PathIndex | None = None
    ) -> None:
        """`index`: a finished one of those routes that are not for CONNECT, made already."""
        self.name = name
        self.routes = routes
        self.secure = secure
        self.needs_headers = any(route.needs_headers for route in routes)
        self._plain = [route for route in routes if not route.connect]
        self._connect = [route for route in routes if route.connect]
        self._index = None
        if len(self._plain) > INDEXED:
            self._index = index or index_of(self._plain)

    def match(self, head):
        """The first route that matches, or None."""
        route: Route
        routes: list = self._plain
        if self.secure is not None and (head.block.get(b"x-forwarded-proto") or head.scheme) != b"https":
            return self.secure
        if head.upgrade is not None and head.method == b"CONNECT":
            routes = self._connect
        elif self._index is not None:
            return self._index.match(head)
        for route in routes:
            if route.matches(head):
                return route
        return None


class RouteTable:
    """`add` while building; afterwards only `find` and `route`. `ignore_port`: a port in the authority does not count
    (RouteConfiguration.ignore_port_in_host_matching). `exact`: authorities are services of an RPC protocol, whose case
    counts, and which have no port. `needs_headers`: any of its virtual hosts does."""

    def __init__(self, name: str, ignore_port: cython.bint = False, exact: cython.bint = False) -> None:
        self.name = name
        self.ignore_port = ignore_port
        self.exact = exact
        self.needs_headers = False
        self._exact = {}
        self._suffixes = {}
        self._prefixes = {}
        self._suffix_sizes = []  # longest first
        self._prefix_sizes = []
        self._default = None
        self.virtual_hosts = []

    def add(self, virtual_host: VirtualHost, domains: list) -> None:
        """Raises ValueError for a domain that is malformed or taken."""
        self.virtual_hosts.append(virtual_host)
        self.needs_headers = self.needs_headers or virtual_host.needs_headers
        for domain in domains:
            key = (domain if self.exact else domain.lower()).encode()
            inner = key[1 : len(key) - 1]
            if not key or b"*" in inner or (len(key) > 1 and key.startswith(b"*") and key.endswith(b"*")):
                raise ValueError(f"virtual host {virtual_host.name!r}: {domain!r} is not a domain")
            if key == b"*":
                taken = self._default is not None
                self._default = virtual_host
            else:
                kind = self._suffixes if key.startswith(b"*") else self._prefixes if key.endswith(b"*") else self._exact
                stem = key.strip(b"*")
                taken = stem in kind
                kind[stem] = virtual_host
                if kind is not self._exact:
                    sizes = self._suffix_sizes if kind is self._suffixes else self._prefix_sizes
                    if len(stem) not in sizes:
                        sizes.append(len(stem))
                        sizes.sort(reverse=True)
            if taken:
                raise ValueError(f"virtual host {virtual_host.name!r}: the domain {domain!r} is already taken")

    def find(self, authority):
        """The virtual host of a request's authority (with its port, if it has one), or None."""
        found: VirtualHost
        if self.ignore_port and not self.exact:
            authority = without_port(authority)
        found = self._exact.get(authority)
        if found is not None:
            return found
        if not self.exact:
            authority = authority.lower()
            found = self._exact.get(authority)
        if found is None and (self._suffix_sizes or self._prefix_sizes):
            found = self._wild(authority)
        return self._default if found is None else found

    def _wild(self, lower):
        size: cython.Py_ssize_t
        end: cython.Py_ssize_t = len(lower)
        for each in self._suffix_sizes:
            size = each
            if size < end:  # the * stands for a character at least
                found = self._suffixes.get(lower[end - size :])
                if found is not None:
                    return found
        for each in self._prefix_sizes:
            size = each
            if size < end:
                found = self._prefixes.get(lower[:size])
                if found is not None:
                    return found
        return None

    def domain_of(self, authority: bytes) -> str:
        """The domain by which `find` finds its virtual host, in lower case where case does not count; "" where there is
        none."""
        lower = authority
        if not self.exact:
            lower = (without_port(authority) if self.ignore_port else authority).lower()
        if lower in self._exact:
            return lower.decode()
        for size in self._suffix_sizes:
            if size < len(lower) and lower[len(lower) - size :] in self._suffixes:
                return "*" + lower[len(lower) - size :].decode()
        for size in self._prefix_sizes:
            if size < len(lower) and lower[:size] in self._prefixes:
                return lower[:size].decode() + "*"
        return "" if self._default is None else "*"

    def route(self, head):
        """The route of a request, or None."""
        virtual_host: VirtualHost = self.find(head.authority)
        if virtual_host is None:
            return None
        if virtual_host.needs_headers:
            head.complete()
        return virtual_host.match(head)


def without_port(authority):
    """`host:port` without the port; an IPv6 address is one in brackets (RFC 3986, 3.2.2)."""
    at: cython.Py_ssize_t = authority.rfind(b":")
    return authority if at < 0 or authority.rfind(b"]") > at else authority[:at]
