"""Route tables, and matching: the same code for the worker, for explaining and for tests.

A table is built once and never changed; a new configuration is a new table. Domains are found as Envoy does: exact,
then the longest `*.suffix`, then the longest `prefix.*`, then `*`; case does not count. Within a virtual host the first
route that matches wins.
"""

import cython

from tage.dataplane.routing.destination import Destination

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane import native

    PRESENT = 0
    EXACT = 1
    PREFIX = 2
    SUFFIX = 3
    CONTAINS = 4
    REGEX = 5

_KINDS = {
    "present": PRESENT,
    "exact": EXACT,
    "prefix": PREFIX,
    "suffix": SUFFIX,
    "contains": CONTAINS,
    "regex": REGEX,
}


def _regex(pattern: bytes, ignore_case: bool):
    """RE2, over bytes. Raises ValueError with RE2's reason."""
    import re2  # here, for a worker without such routes need not carry it

    options = re2.Options()
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1
    options.case_sensitive = not ignore_case
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"not a valid RE2 expression: {text}") from None


class StringMatcher:
    """envoy.type.matcher.v3.StringMatcher; PRESENT matches everything that is there."""

    def __init__(self, kind: str, value: bytes = b"", ignore_case: cython.bint = False) -> None:
        """`kind` is present, exact, prefix, suffix, contains or regex. Raises ValueError for a bad expression."""
        self.kind = _KINDS[kind]
        self.ignore_case = ignore_case
        self.value = value.lower() if ignore_case and kind != "regex" else value
        self._fullmatch = _regex(value, ignore_case).fullmatch if kind == "regex" else None

    def matches(self, text):
        value: bytes = self.value
        size: cython.Py_ssize_t = len(value)
        if self.kind == PRESENT:
            return True
        if self.kind == REGEX:
            return self._fullmatch(text) is not None
        if self.ignore_case:
            text = text.lower()
        if self.kind == EXACT:
            return text == value
        if len(text) < size:
            return False
        if self.kind == PREFIX:
            return native.equal(text, 0, value, size)
        if self.kind == SUFFIX:
            return native.equal(text, len(text) - size, value, size)
        return value in text


class HeaderMatcher:
    """envoy.config.route.v3.HeaderMatcher. A header that is absent matches nothing, inverted or not; but where only its
    presence is asked for, inverting asks for its absence (as Envoy, treat_missing_header_as_empty unset)."""

    def __init__(self, name: bytes, value: StringMatcher, invert: cython.bint = False) -> None:
        self.name = name
        self.value = value
        self.invert = invert

    def matches(self, head):
        text: bytes = head.header(self.name)
        if text is None:
            return self.invert and self.value.kind == PRESENT
        return self.value.matches(text) != self.invert


class Route(Destination):
    """One rule. `direct_status` 0: it leads to `clusters`, by `weights`. Times in ms, 0: no limit.

    `connect`: it is for CONNECT requests, whatever their target, and for no other; `terminates`: those end here, and
    the cluster's hosts get the bytes of the tunnel (RouteAction.UpgradeConfig.connect_config). `upgrades` tells of
    protocols, in lower case, whether a request may switch to them; of others the listener does. `filters` are settings
    of its own for filters, by their names, or None.
    """

    def __init__(self, path: StringMatcher, name: str = "") -> None:
        Destination.__init__(self)
        self.path = path
        self.name = name
        self.headers = []
        self.direct_status = 0
        self.direct_body = b""
        self.timeout = 15_000
        self.idle_timeout = 300_000
        self.retry = None
        self.prefix_rewrite = b""
        self.connect = False
        self.terminates = False
        self.upgrades = {}
        self.filters = None
        self.stats = None
        self._begins = not path.ignore_case and path.kind == PREFIX and b"?" not in path.value

    def matches(self, head):
        path: StringMatcher = self.path
        if self._begins:  # the query need not be cut off
            if len(head.path) < len(path.value) or not native.equal(head.path, 0, path.value, len(path.value)):
                return False
        elif not path.matches(head.path_only()):
            return False
        if self.headers:
            matcher: HeaderMatcher
            for matcher in self.headers:
                if not matcher.matches(head):
                    return False
        return True

    def rewrite(self, path):
        """`path` with the matched prefix (or the whole exact path) replaced; None when the route rewrites nothing."""
        if not self.prefix_rewrite:
            return None
        if self.path.kind == PREFIX:
            return self.prefix_rewrite + path[len(self.path.value) :]
        query: cython.Py_ssize_t = native.find_byte(path, 0, len(path), 63)
        return self.prefix_rewrite if query < 0 else self.prefix_rewrite + path[query:]


class VirtualHost:
    def __init__(self, name: str, routes: list) -> None:
        self.name = name
        self.routes = routes
        self._plain = [route for route in routes if not route.connect]
        self._connect = [route for route in routes if route.connect]

    def match(self, head):
        """The first route that matches, or None."""
        route: Route
        routes: list = self._plain
        if head.upgrade is not None and head.method == b"CONNECT":
            routes = self._connect
        for route in routes:
            if route.matches(head):
                return route
        return None


class RouteTable:
    """`add` while building; afterwards only `find` and `route`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._exact = {}
        self._suffixes = []
        self._prefixes = []
        self._default = None
        self.virtual_hosts = []

    def add(self, virtual_host: VirtualHost, domains: list) -> None:
        """Raises ValueError for a domain that is malformed or taken."""
        self.virtual_hosts.append(virtual_host)
        for domain in domains:
            key = domain.lower().encode()
            inner = key[1 : len(key) - 1]
            if not key or b"*" in inner or (len(key) > 1 and key.startswith(b"*") and key.endswith(b"*")):
                raise ValueError(f"virtual host {virtual_host.name!r}: {domain!r} is not a domain")
            if key == b"*":
                taken = self._default is not None
                self._default = virtual_host
            elif key.startswith(b"*"):
                taken = any(suffix == key[1:] for suffix, _ in self._suffixes)
                self._suffixes.append((key[1:], virtual_host))
            elif key.endswith(b"*"):
                stem = key.removesuffix(b"*")
                taken = any(prefix == stem for prefix, _ in self._prefixes)
                self._prefixes.append((stem, virtual_host))
            else:
                taken = key in self._exact
                self._exact[key] = virtual_host
            if taken:
                raise ValueError(f"virtual host {virtual_host.name!r}: the domain {domain!r} is already taken")
        self._suffixes.sort(key=_longest_first)
        self._prefixes.sort(key=_longest_first)

    def find(self, authority):
        """The virtual host of a request's authority (with its port, if it has one), or None."""
        found: VirtualHost = self._exact.get(authority)
        if found is not None:
            return found
        lower: bytes = authority.lower()
        found = self._exact.get(lower)
        if found is not None:
            return found
        for suffix, virtual_host in self._suffixes:
            if len(lower) > len(suffix) and lower.endswith(suffix):
                return virtual_host
        for prefix, virtual_host in self._prefixes:
            if len(lower) > len(prefix) and lower.startswith(prefix):
                return virtual_host
        return self._default

    def route(self, head):
        """The route of a request, or None."""
        virtual_host: VirtualHost = self.find(head.authority)
        return None if virtual_host is None else virtual_host.match(head)


def _longest_first(entry):
    return -len(entry[0])
