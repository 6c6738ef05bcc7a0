"""Why a request meets the route that it meets: the matchers that decide, asked one by one. Not compiled: it is for
people."""

from __future__ import annotations

from typing import NamedTuple

from tage.dataplane.protocols.message import RequestHead
from tage.dataplane.routing.route import Route
from tage.dataplane.routing.table import RouteTable, VirtualHost


class Tried(NamedTuple):
    """One rule. `reason` empty: it matches; else which condition failed and what was there, in the user's words."""

    route: Route
    reason: str


class Explanation(NamedTuple):
    """`domain`: that by which the virtual host was found, as it was configured but in lower case. `tried` ends with the
    rule that matched; the rules after it were not asked. `route` None: none matches, or there is no virtual host."""

    virtual_host: VirtualHost | None
    domain: str
    tried: list[Tried]
    route: Route | None


def explain(table: RouteTable, head: RequestHead) -> Explanation:
    host = table.find(head.authority)
    if host is None:
        return Explanation(None, "", [], None)
    domain = table.domain_of(head.authority)
    route = host.match(head)
    if route is not None and route is host.secure:
        return Explanation(host, domain, [Tried(route, "")], route)
    tried = []
    for each in host.routes:
        if each is route:
            tried.append(Tried(each, ""))
            break
        # One without a reason is for a fraction of the requests, and was not drawn.
        tried.append(Tried(each, each.mismatch(head) or "this request is not in its fraction of the requests"))
    return Explanation(host, domain, tried, route)
