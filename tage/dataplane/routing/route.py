"""`Route`: one rule, what it asks of a request and what becomes of one that meets it."""

import cython

from tage.dataplane.native import Random
from tage.dataplane.routing.destination import Destination
from tage.dataplane.routing.matcher import HeaderMatcher, QueryMatcher, StringMatcher, shown

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane import native
    from tage.dataplane.routing.matcher import EXACT, PREFIX, SEPARATED_PREFIX, first_value, query_start


class Fraction:
    """So many of so many requests. Source: envoy.type.v3.FractionalPercent."""

    def __init__(self, numerator: cython.longlong, denominator: cython.longlong = 100) -> None:
        self.numerator = numerator
        self.denominator = denominator

    def drawn(self, random):
        return self.numerator >= self.denominator or random.below(self.denominator) < self.numerator


class Mirror:
    """A cluster that gets a copy of `fraction` of the requests. `append_suffix`: its authority ends in ``-shadow``.
    Source: RouteAction.RequestMirrorPolicy."""

    def __init__(self, cluster: str, fraction: Fraction, append_suffix: cython.bint = True) -> None:
        self.cluster = cluster
        self.fraction = fraction
        self.append_suffix = append_suffix

    @property
    def numerator(self) -> int:
        return self.fraction.numerator

    @property
    def denominator(self) -> int:
        return self.fraction.denominator


class ClusterShare:
    """What is particular to one of a route's weighted clusters: its edits come before the route's own. `metadata_match`
    includes the route's. Source: WeightedCluster.ClusterWeight."""

    def __init__(self, name: str, weight: cython.longlong) -> None:
        self.name = name
        self.weight = weight
        self.request_edits = None
        self.response_edits = None
        self.host_rewrite = b""
        self.metadata_match = None


class Route(Destination):
    """One rule. `direct_status` 0 and `redirect` None: it leads to `clusters`, by `weights`, or to the one that the
    request's header `cluster_header` names. Times in ms, 0: no limit; -1: the listener's. `grpc_timeout_max` bounds
    what a call of gRPC says for itself, which then counts in place of `timeout`; -1: it does not count.

    `connect`: it is for CONNECT requests, whatever their target, and for no other; `terminates`: those end here, and
    the cluster's hosts get the bytes of the tunnel (RouteAction.UpgradeConfig.connect_config). `upgrades` tells of
    protocols, in lower case, whether a request may switch to them; of others the listener does.
    `request_edits` and `response_edits` are those of the table, the virtual host and the route, in their order; answers
    that are made here get the latter too. `filters`: settings by filter, where any differs from the listener's.
    `needs_headers`: more of a request than its method, authority and path is looked at, or anything of it is changed.
    """

    def __init__(self, path: StringMatcher, name: str = "") -> None:
        Destination.__init__(self)
        self.path = path
        self.name = name
        self.headers = []
        self.query = []
        self.fraction = None
        self._random = None
        self.direct_status = 0
        self.direct_body = b""
        self.redirect = None
        self.cluster_header = b""
        self.shares = None
        self.timeout = 15_000
        self.idle_timeout = 300_000
        self.max_stream_duration = -1
        self.grpc_timeout_max = -1
        self.retry = None
        self.prefix_rewrite = b""
        self.regex_rewrite = None
        self.host_rewrite = b""
        self.host_rewrite_header = b""
        self.host_rewrite_path = None
        self.append_forwarded_host = False
        self.request_edits = None
        self.response_edits = None
        self.mirrors = None
        self.hash_policies = None
        self.metadata_match = None
        self.filters = None
        self.connect = False
        self.terminates = False
        self.upgrades = {}
        self.stats = None
        self.needs_headers = False
        self._begins = not path.ignore_case and path.kind == PREFIX and b"?" not in path.value

    # -- matching ------------------------------------------------------------------------------------------------------

    def matches(self, head):
        path: StringMatcher = self.path
        if self._begins:  # the query need not be cut off
            if len(head.path) < len(path.value) or not native.equal(head.path, 0, path.value, len(path.value)):
                return False
        elif not path.within(head.path, 0, query_start(head.path)):
            return False
        return self._conditions(head)

    def _conditions(self, head):
        """Those beside the path."""
        header: HeaderMatcher
        query: QueryMatcher
        for header in self.headers:
            if not header.matches(head):
                return False
        for query in self.query:
            if not query.matches(head.path):
                return False
        if self.fraction is not None:
            if self._random is None:
                self._random = Random()
            return self.fraction.drawn(self._random)
        return True

    def mismatch(self, head) -> str:
        """"" where it matches, else which condition failed and what was there, in the user's words. A fraction of the
        requests is not drawn: such a route counts as matching."""
        is_connect = head.upgrade is not None and head.method == b"CONNECT"
        if is_connect != self.connect:
            return "it is for CONNECT requests only" if self.connect else "it is not for CONNECT requests"
        if not self.path.within(head.path, 0, query_start(head.path)):
            return f"path {self.path.describe()}; it is {shown(head.path_only())}"
        for header in self.headers:
            if reason := header.mismatch(head):
                return reason
        for query in self.query:
            if reason := query.mismatch(head.path):
                return reason
        if self.fraction is not None and not self.fraction.numerator:
            return "it is for 0 % of the requests"
        return ""

    # -- what becomes of the request -----------------------------------------------------------------------------------

    def share(self, index):
        """What is particular to `clusters[index]`, None: nothing."""
        return None if self.shares is None else self.shares[index]

    def cluster_of(self, head, edits):
        """The cluster that the request's header `cluster_header` names; "" without it."""
        name: bytes = first_value(head, edits, self.cluster_header)
        return "" if name is None else name.decode("utf-8", "replace")

    def matched(self, path):
        """How many bytes of `path` the match covers: what `prefix_rewrite` replaces."""
        kind: cython.int = self.path.kind
        if kind == PREFIX or kind == SEPARATED_PREFIX or kind == EXACT:
            return len(self.path.value)
        return query_start(path)

    def rewrite(self, path):
        """`path`, that matched, as it goes on; None when the route rewrites nothing. The query stays."""
        if self.prefix_rewrite:
            return self.prefix_rewrite + path[self.matched(path) :]
        if self.regex_rewrite is not None:
            end: cython.Py_ssize_t = query_start(path)
            return self.regex_rewrite.replace(path[:end]) + path[end:]
        return None

    def path_rewritten(self, head, edits):
        """As `rewrite`, of a head's path or what filters have made of it."""
        if not self.prefix_rewrite and self.regex_rewrite is None:
            return None
        return self.rewrite(head.path if edits.path is None else edits.path)

    def authority_rewritten(self, head, edits, share):
        """The authority with which the request goes on, None: as it is. `share` as of the cluster chosen, or None.
        The path is what it was before it was rewritten."""
        new: bytes = b""
        if self.host_rewrite:
            new = self.host_rewrite
        elif self.host_rewrite_header:
            new = first_value(head, edits, self.host_rewrite_header)
        elif self.host_rewrite_path is not None:
            path: bytes = head.path if edits.path is None else edits.path
            new = self.host_rewrite_path.replace(path[: query_start(path)])
        if not new and share is not None:
            new = share.host_rewrite
        return new or None

    def forward_host(self, head, edits, share):
        """Sets `edits.authority` to the rewritten one, where there is one, and x-forwarded-host to the one before,
        where the route says so and it is not the last there already."""
        old: bytes = head.authority if edits.authority is None else edits.authority
        new: bytes = self.authority_rewritten(head, edits, share)
        if new is None:
            return
        edits.authority = new
        if self.append_forwarded_host and old:
            hosts: bytes = edits.value(head.block, b"x-forwarded-host")
            if hosts is None:
                edits.add(b"x-forwarded-host", old)
            elif hosts.rpartition(b",")[2].strip(b" ") != old:
                edits.put(b"x-forwarded-host", hosts + b"," + old)

    def location(self, head):
        """Where the redirect sends the client."""
        return self.redirect.location(head, self.matched(head.path))
