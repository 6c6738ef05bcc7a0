"""Which virtual host and which rule a request meets: `routing`'s tables, built from the section as a worker does.

Of the virtual hosts only the one that is found gets its rules built, so that a table of ten thousand costs little.
"""

from __future__ import annotations

import difflib
from typing import NamedTuple

import msgspec

from tage.dataplane.native import Random
from tage.dataplane.protocols.message import RequestHead
from tage.dataplane.routing.build import build
from tage.dataplane.routing.route import Route
from tage.dataplane.routing.table import RouteTable, VirtualHost
from tage.sidecar import plan
from tage.sidecar.explain import findings, words
from tage.sidecar.explain.policies import route as policies

TO_HTTPS = plan.Route(
    plan.RouteMatch(plan.StringMatch("prefix", "/")), "require_tls", redirect=plan.Redirect(301, "https")
)
"""What a virtual host that requires TLS has for requests without."""

MAX_NAMED = 5
"""Domains that are named where none matches."""


class Found(NamedTuple):
    """`rule` and `route` None: no rule matches, or there is no virtual host."""

    virtual_host: findings.VirtualHost
    rules: list[findings.Rule]
    rules_left: int
    rule: plan.Route | None
    route: Route | None


def find(section: plan.Routes, head: RequestHead, *, draw: bool = False) -> Found:
    """`draw`: rules for a fraction of the requests are drawn as for a request; otherwise they are passed over."""
    host, domain, why = _virtual_host(section, head.authority)
    if host is None:
        return Found(findings.VirtualHost(why=why), [], 0, None, None)
    settings = policies.virtual_host(host) + policies.table(section)
    finding = findings.VirtualHost(host.name, domain, why, settings)
    built = build(msgspec.structs.replace(section, virtual_hosts=[host])).virtual_hosts[0]
    rules: list[findings.Rule] = []
    if built.secure is not None and built.match(head) is built.secure:
        return Found(finding, rules, len(host.routes), TO_HTTPS, built.secure)
    for index, (rule, route) in enumerate(zip(host.routes, built.routes, strict=True), 1):
        why, matched = _try(rule, route, head, draw)
        rules.append(findings.Rule(index, rule.name, matched, why))
        if matched:
            return Found(finding, rules, len(host.routes) - index, rule, route)
    return Found(finding, rules, 0, None, None)


def _try(rule: plan.Route, route: Route, head: RequestHead, draw: bool) -> tuple[str, bool]:
    """Why the rule matches or not, and whether it does."""
    reason = route.mismatch(head)
    if reason:
        return f"wants {reason}" if "; it is " in reason else reason, False
    fraction = route.fraction
    if fraction is not None and fraction.numerator < fraction.denominator:
        share = f"{words.percent(100 * fraction.numerator / fraction.denominator)} of such requests"
        if not draw:
            return f"it takes {share}; this is about the others (--draw draws)", False
        if not fraction.drawn(Random()):
            return f"it takes {share}; this one was not drawn", False
    return policies.matched(rule, route), True


def _virtual_host(section: plan.Routes, authority: bytes) -> tuple[plan.VirtualHost | None, str, str]:
    """The virtual host, the domain of it that matches, and in which way; or why there is none."""
    table = RouteTable(section.name, section.ignore_port)
    by_name: dict[int, plan.VirtualHost] = {}
    for host in section.virtual_hosts:
        built = VirtualHost(host.name, [])
        table.add(built, host.domains)
        by_name[id(built)] = host
    found = table.find(authority)
    if found is None:
        return None, "", _no_host(section, authority)
    host = by_name[id(found)]
    for domain, how in sorted(((domain, _how(domain)) for domain in host.domains), key=lambda each: _rank(each[0])):
        alone = RouteTable("", section.ignore_port)
        alone.add(found, [domain])
        if alone.find(authority) is not None:
            return host, domain, how
    return host, "", ""


def _rank(domain: str) -> tuple[int, int]:
    """As Envoy looks at them: exact, the longest suffix, the longest prefix, all."""
    kind = 3 if domain == "*" else 1 if domain.startswith("*") else 2 if domain.endswith("*") else 0
    return kind, -len(domain)


def _how(domain: str) -> str:
    return ("exactly", "by its ending", "by its beginning", "as it matches every host")[_rank(domain)[0]]


def _no_host(section: plan.Routes, authority: bytes) -> str:
    shown = words.quoted(authority)
    domains = [domain for host in section.virtual_hosts for domain in host.domains]
    if not domains:
        return f"none: the route configuration {words.quoted(section.name)} has no virtual host"
    near = difflib.get_close_matches(authority.decode("latin-1").lower(), domains[:10_000], MAX_NAMED)
    if near:
        return f"none has the domain {shown}; similar are {', '.join(near)}"
    more = len(domains) - MAX_NAMED
    rest = f" and {more} more" if more > 0 else ""
    return f"none has the domain {shown}; there are {', '.join(domains[:MAX_NAMED])}{rest}"
