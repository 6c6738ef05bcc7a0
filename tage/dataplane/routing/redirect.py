"""Where a client is sent instead. Source: envoy.config.route.v3.RedirectAction."""

import cython

from tage.dataplane.routing.regex import RegexRewrite


class Redirect:
    """What is empty stays as the client asked for it. At most one of `path` (the whole path; its own query, if it has
    one, takes the place of the client's), `prefix` (in place of what matched) and `regex` says how the path changes."""

    def __init__(
        self,
        status: cython.int = 301,
        scheme: bytes = b"",
        host: bytes = b"",
        port: cython.int = 0,
        path: bytes = b"",
        prefix: bytes = b"",
        regex: RegexRewrite | None = None,
        strip_query: cython.bint = False,
    ) -> None:
        self.status = status
        self.scheme = scheme
        self.host = host
        self.port = b":%d" % port if port else b""
        self.path = path
        self.prefix = prefix
        self.regex = regex
        self.strip_query = strip_query

    def location(self, head, matched: int) -> bytes:
        """The value of Location. `matched`: how many bytes of the path the route's match covers, for `prefix`."""
        scheme = self.scheme or head.scheme
        path, mark, query = head.path.partition(b"?")
        kept = mark + query if not self.strip_query else b""
        if self.path:
            path = self.path
            if b"?" in path:
                kept = b""
        elif self.prefix:
            path = self.prefix + path[matched:]
        elif self.regex is not None:
            path = self.regex.replace(path)
        return scheme + b"://" + (self.host or self._host(head, scheme)) + self.port + path + kept

    def _host(self, head, scheme):
        """The client's, without its port where there is another, or where it was the default of the old scheme."""
        host: bytes = head.authority
        at: cython.Py_ssize_t = host.rfind(b"]:") + 1 if host.startswith(b"[") else host.rfind(b":")
        if at <= 0:
            return host
        default = {b"http": b":80", b"https": b":443"}.get(head.scheme)
        if self.port or (scheme != head.scheme and host[at:] == default):
            return host[:at]
        return host
