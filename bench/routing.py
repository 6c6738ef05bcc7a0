"""`python -m bench.routing`: what a route costs to find.

The data plane's own tables, built from plan sections, asked in this process: no sockets, no other work. A figure is the
best of several rounds, in nanoseconds of CPU time for one look-up, the call from Python included; `a rule more` is what
the longer table costs beyond the shorter one, divided by the rules between them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench import micro
from tage.dataplane.protocols.http1.request import RequestDecoder
from tage.dataplane.routing.build import build
from tage.sidecar import plan

HEADINGS = ("table", "request", "rules", "ns a look-up", "ns a rule more")
HEADERS = [
    ("user-agent", "bench"),
    ("accept", "*/*"),
    ("x-request-id", "0" * 36),
    ("cookie", "a=b; c=d"),
    ("x-user", "tom"),
]
ROUTES = 1_000
HOSTS = 10_000


@dataclass(frozen=True)
class Row:
    """`ask` looks a route up once; `rules` are tried before it is found, where rules are tried one by one."""

    table: str
    request: str
    rules: int
    ask: Callable[[], object]
    shorter: Row | None = None


def head(path: str = "/", host: str = "h.example.com", method: str = "GET") -> Any:
    lines = [f"{method} {path} HTTP/1.1", f"host: {host}", *(f"{name}: {value}" for name, value in HEADERS)]
    decoder = RequestDecoder()
    decoder.feed(("\r\n".join(lines) + "\r\n\r\n").encode())
    if decoder.read_head() != 1:
        raise AssertionError(decoder.error)
    return decoder.head


def rule(
    kind: str, path: str, headers: Sequence[plan.HeaderMatch] = (), query: Sequence[plan.QueryMatch] = ()
) -> plan.Route:
    match = plan.RouteMatch(plan.StringMatch(kind, path), list(headers), query=list(query))  # type: ignore[arg-type]
    return plan.Route(match, clusters=[plan.WeightedCluster("c")])


def one_host(rules: Sequence[plan.Route]) -> Any:
    return build(plan.Routes("bench", [plan.VirtualHost("v", ["*"], list(rules))]))


def of_rules() -> Iterator[Row]:
    """One virtual host whose last rule matches."""
    x_user = plan.HeaderMatch("x-user", plan.StringMatch("exact", "jason"))
    absent = plan.HeaderMatch("x-group", plan.StringMatch("exact", "a"))
    query = plan.QueryMatch("v", plan.StringMatch("exact", "2"))
    kinds: dict[str, Callable[[int], plan.Route]] = {
        "prefixes": lambda i: rule("prefix", f"/api/v1/service-{i:04}/"),
        "exact paths": lambda i: rule("exact", f"/api/v1/service-{i:04}"),
        "prefixes, case ignored": lambda i: plan.Route(
            plan.RouteMatch(plan.StringMatch("prefix", f"/api/v1/service-{i:04}/", True)),
            clusters=[plan.WeightedCluster("c")],
        ),
        "expressions": lambda i: rule("regex", f"/api/v1/service-{i:04}/.*"),
        "a header, another value": lambda i: rule("prefix", "/", [x_user]),
        "a header, absent": lambda i: rule("prefix", "/", [absent]),
        "a query parameter": lambda i: rule("prefix", "/", [], [query]),
    }
    request = head("/api/v1/other?v=1&w=2")
    for name, kind in kinds.items():
        last = rule("prefix", "/")
        shorter = None
        for rules in (10, ROUTES):
            table = one_host([*(kind(i) for i in range(rules - 1)), last])
            shorter = Row(name, "the last rule", rules, partial(table.route, request), shorter)
            yield shorter
        if name == "prefixes":
            first = head("/api/v1/service-0000/x")
            yield Row(name, "the first rule", ROUTES, partial(table.route, first))


def of_hosts() -> Iterator[Row]:
    """Many virtual hosts."""
    rules = [rule("prefix", "/")]
    exact = [plan.VirtualHost(f"v{i}", [f"s{i}.ns.svc.cluster.local", f"s{i}.ns:80"], rules) for i in range(HOSTS)]
    table = build(plan.Routes("bench", exact))
    for name, host in (("exact", "s5000.ns:80"), ("exact, upper case", "S5000.ns:80"), ("none", "nobody.invalid")):
        request = head(host=host)
        yield Row(f"{HOSTS:,} hosts", name, 1, partial(table.route, request))
    wild = [plan.VirtualHost(f"v{i}", [f"*.s{i}.{'x' * (i % 20)}.example"], rules) for i in range(HOSTS)]
    suffixes = build(plan.Routes("bench", wild))
    for name, host in (("*.suffix", "a.s5000..example"), ("none", "nobody.invalid")):
        request = head(host=host)
        yield Row(f"{HOSTS:,} hosts, wildcards", name, 1, partial(suffixes.route, request))


def cells(rounds: int) -> Iterator[tuple[str, ...]]:
    found: dict[int, float] = {}
    for row in [*of_rules(), *of_hosts()]:
        found[id(row)] = took = micro.measure(row.ask, rounds)
        more = ""
        if row.shorter is not None:
            more = f"{(took - found[id(row.shorter)]) / (row.rules - row.shorter.rules):.1f}"
        yield row.table, row.request, f"{row.rules:,}", f"{took:,.0f}", more


if __name__ == "__main__":
    micro.run("routing", "What a route costs to find", HEADINGS, cells)
