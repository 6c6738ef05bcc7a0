"""Which virtual host and which rule a request meets: `routing`'s tables, built from the section as a worker does.

Of the virtual hosts only the one that is found gets its rules built, so that a table of ten thousand costs little.
"""

from __future__ import annotations

import difflib
from typing import NamedTuple

import msgspec

from tage.dataplane.protocols.message import RequestHead
from tage.dataplane.routing.build import build
from tage.dataplane.routing.explain import Tried, explain
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
    host, domain = _virtual_host(section, head.authority)
    if host is None:
        return Found(findings.VirtualHost(why=_no_host(section, head.authority)), [], 0, None, None)
    settings = policies.virtual_host(host) + policies.table(section)
    finding = findings.VirtualHost(host.name, domain, _how(domain), settings)
    asked = host if draw else msgspec.structs.replace(host, routes=[_without_fraction(rule) for rule in host.routes])
    table = build(msgspec.structs.replace(section, virtual_hosts=[asked]))
    answer = explain(table, head)
    secure = table.virtual_hosts[0].secure
    if secure is not None and answer.route is secure:
        return Found(finding, [], len(host.routes), TO_HTTPS, secure)
    rules = [
        _rule(index, rule, tried, tried.route is answer.route, draw)
        for index, (rule, tried) in enumerate(zip(host.routes, answer.tried, strict=False), 1)
    ]
    if answer.route is None:
        return Found(finding, rules, 0, None, None)
    return Found(finding, rules, len(host.routes) - len(rules), host.routes[len(rules) - 1], answer.route)


def _without_fraction(rule: plan.Route) -> plan.Route:
    """One for a part of the requests is for none of them."""
    fraction = rule.match.fraction
    if fraction is None or fraction.numerator >= fraction.denominator:
        return rule
    return msgspec.structs.replace(rule, match=msgspec.structs.replace(rule.match, fraction=plan.Fraction(0)))


def _rule(index: int, rule: plan.Route, tried: Tried, matched: bool, draw: bool) -> findings.Rule:
    if matched:
        return findings.Rule(index, rule.name, True, policies.matched(rule, tried.route))
    reason, fraction = tried.reason, rule.match.fraction
    if "; it is " in reason:
        reason = f"wants {reason}"
    elif fraction is not None and fraction.numerator and not draw and "0 %" in reason:
        share = words.percent(100 * fraction.numerator / fraction.denominator)
        reason = f"it takes {share} of such requests; this is about the others (--draw draws)"
    return findings.Rule(index, rule.name, False, reason)


def _virtual_host(section: plan.Routes, authority: bytes) -> tuple[plan.VirtualHost | None, str]:
    """And the domain of it that matches, as it is configured."""
    table = RouteTable(section.name, section.ignore_port, section.exact)
    given: dict[int, plan.VirtualHost] = {}
    for host in section.virtual_hosts:
        built = VirtualHost(host.name, [])
        table.add(built, host.domains)
        given[id(built)] = host
    found = table.find(authority)
    if found is None:
        return None, ""
    host, domain = given[id(found)], table.domain_of(authority)
    return host, next((each for each in host.domains if domain in (each, each.lower())), domain)


def _how(domain: str) -> str:
    if domain == "*":
        return "as it matches every host"
    return "by its ending" if domain.startswith("*") else "by its beginning" if domain.endswith("*") else "exactly"


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
