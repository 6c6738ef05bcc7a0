"""The route table of `http1-32-routes`, as data, and in Envoy's and HAProxy's words.

Fifty virtual hosts of ten rules each, as a mesh of fifty services has them: exact paths, prefixes, a method, two
headers. The measured request meets the ninth rule of its host, so eight are looked at before, two of them as far as a
header that is not there; the rule has a rate limit that is never reached. Every host has its own copy of the rules in
every proxy, though they lead to the same three clusters.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.load.http1 import HOST

HOSTS = ("www.bench.test", HOST, "reviews.bench.test", *(f"service-{number:02}.bench.test" for number in range(47)))
LIMIT = 1_000_000_000
"""Requests a second: a limit that must be counted and never bites."""


@dataclass(frozen=True)
class Rule:
    """`header`: its name, how it is compared, and with what."""

    kind: str
    path: str
    cluster: str
    header: tuple[str, str, str] | None = None


RULES = (
    Rule("path", "/health", "web"),
    Rule("prefix", "/api/", "reviews", ("x-canary", "exact", "true")),
    Rule("prefix", "/api/", "reviews", ("x-tenant", "prefix", "beta-")),
    Rule("prefix", "/api/orders", "web", (":method", "exact", "POST")),
    Rule("path", "/api/cart", "web"),
    Rule("path", "/api/login", "web"),
    Rule("prefix", "/static/", "web"),
    Rule("prefix", "/v2/", "reviews"),
    Rule("prefix", "/api/items", "items"),
    Rule("prefix", "/", "web"),
)
LIMITED = RULES[8]

CHECKS = tuple(
    (host, path, headers, cluster)
    for host in HOSTS
    for path, headers, cluster in (
        ("/health", {}, "web"),
        ("/api/items/1", {"x-canary": "true"}, "reviews"),
        ("/api/items/1", {"x-canary": "false"}, "items"),
        ("/api/items/1", {"x-tenant": "beta-7"}, "reviews"),
        ("/static/x", {"x-tenant": "beta-7"}, "web"),
        ("/v2/x", {}, "reviews"),
        ("/x", {}, "web"),
    )
)
"""(host, path, headers, the cluster that must answer)"""


def values() -> dict[str, object]:
    """For the templates of the row."""
    return {"VIRTUAL_HOSTS": _virtual_hosts(), "HOST_MAP": _host_map(), "ROUTE_MAP": _route_map(), "LIMIT": LIMIT}


def _virtual_hosts() -> str:
    lines = []
    for host in HOSTS:
        lines += [f"- name: {host}", f"  domains: [{host}]", "  routes:"]
        for rule in RULES:
            headers = ""
            if rule.header is not None:
                name, how, value = rule.header
                headers = f', headers: [{{name: "{name}", string_match: {{{how}: "{value}"}}}}]'
            lines.append(f"  - match: {{{rule.kind}: {rule.path}{headers}}}")
            lines.append(f"    route: {{cluster: {rule.cluster}}}")
            if rule is LIMITED:
                lines.append("    typed_per_filter_config: *limit")
    return ("\n" + 12 * " ").join(lines)


def _host_map() -> str:
    return "\n".join(f"{host} known" for host in HOSTS)


def _route_map() -> str:
    """By host and path. HAProxy finds the longest of a map's prefixes, which gives the same as the rules' order; those
    that ask for a header or a method stand before the map is looked at."""
    plain = [rule for rule in RULES if rule.header is None]
    return "\n".join(f"{host}{rule.path} {rule.cluster}" for host in HOSTS for rule in plain)
