"""The answer for people: a line a step, the labels in one column, the reasons beside the rules.

Colours only where stdout is a terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from tage.sidecar.explain import findings, words
from tage.sidecar.explain.calls import method_of

LABEL = 20
"""Width of the first column."""
FEW_RULES = 12
"""So many rules that did not match are shown without `--all`: the first ones and the last ones."""

_OFTEN = {"forwarding", "clients", "server", "statistics", "idle timeout", "overload"}
"""Settings that are shown with `--all` only: they seldom say why a request went where it did."""


class Row(NamedTuple):
    label: str
    text: str
    style: str = ""


def show(answer: findings.Explanation, *, everything: bool = False) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for row in rows(answer, everything=everything):
        text = Text(row.label.ljust(LABEL) if row.text else row.label, style="bold" if row.label.strip() else "")
        text.append(row.text, style=row.style)
        text.rstrip()
        console.print(text)


def rows(answer: findings.Explanation, *, everything: bool = False) -> Iterator[Row]:
    yield Row(_asked(answer.asked), "")
    if answer.scope:
        yield Row("from", answer.scope)
    yield from _steps(answer, everything)
    for note in answer.notes:
        yield Row("note", note)
    yield Row("result", answer.outcome.text, "green" if answer.served else "red")
    for header in answer.outcome.headers:
        yield Row("", f"{header.name}: {header.value}")


def _asked(request: findings.Request) -> str:
    headers = "".join(f"   {each.name}: {each.value}" for each in request.headers if each.name != "host")
    if request.protocol:
        return f"{request.protocol}://{request.authority}/{method_of(request.path)}{headers}"
    target = request.path if request.method == "CONNECT" else f"{request.authority}{request.path}"
    return f"{request.method} {target}{headers}"


def _steps(answer: findings.Explanation, everything: bool) -> Iterator[Row]:
    listener, host, route = answer.listener, answer.virtual_host, answer.route
    if listener is not None:
        direction = "" if listener.direction == "none" else f", {listener.direction}"
        chain = f"; filter chain {listener.chain}, {listener.why}" if _chain_matters(listener) else ""
        yield Row("listener", f"{listener.name}, {address(listener.address, listener.port)}{direction}{chain}")
        yield from _settings(listener.settings, everything)
    if host is not None:
        yield Row("virtual host", f'{host.name}, by its domain "{host.domain}" ({host.why})' if host.name else host.why)
        yield from _settings(host.settings, everything)
    yield from _rules(answer, everything)
    for each in answer.filters:
        if each.settings or each.rule or each.disabled or everything:
            yield from _filter(each, everything)
    if route is not None:
        yield from _route(route, answer, everything)
    for cluster in answer.clusters:
        yield from _cluster(cluster, everything)
    for arrival in answer.arrivals:
        yield from _arrival(arrival, everything)


def _arrival(arrival: findings.Explanation, everything: bool) -> Iterator[Row]:
    if everything:
        yield Row(f"arriving at {arrival.scope}", "")
        yield from (Row(f"  {row.label}", row.text, row.style) for row in _steps(arrival, everything))
    else:
        at = arrival.listener
        where = f" by {at.name}, {address(at.address, at.port)}" if at is not None else ""
        onward = "; ".join(
            f"{cluster.name} ({', '.join(f'{address(each.address, each.port)}, {each.state}' for each in shown)})"
            for cluster in arrival.clusters
            if (shown := cluster.endpoints[:FEW_RULES])
        )
        yield Row("arriving at", f"{arrival.scope}{where}{f', on to {onward}' if onward else ''}")
    if not arrival.served:
        yield Row("", arrival.outcome.text, "red")


def _chain_matters(listener: findings.Listener) -> bool:
    return bool(listener.chain) and (listener.why != "the only one" or not listener.chain.startswith("#"))


def _settings(settings: Sequence[findings.Line], everything: bool, indent: str = "  ") -> Iterator[Row]:
    for line in settings:
        if everything or line.name not in _OFTEN:
            yield Row(f"{indent}{line.name}".ljust(LABEL - 1) + " ", line.text)


def _rules(answer: findings.Explanation, everything: bool) -> Iterator[Row]:
    rules = answer.rules
    hidden = 0 if everything else max(0, len(rules) - FEW_RULES - 1)
    shown = rules if not hidden else [*rules[: FEW_RULES // 2], *rules[-FEW_RULES // 2 - 1 :]]
    number = max((len(str(rule.index)) for rule in shown), default=0)
    name = max((len(rule.name) for rule in shown), default=0)
    for at, rule in enumerate(shown):
        if hidden and at == FEW_RULES // 2:
            yield Row("", f"... {words.count(hidden, 'rule')} more that did not match; --all shows them")
        verdict = "yes" if rule.matched else "no "
        yield Row(
            "" if at else "rules",
            f"{rule.index:>{number}}  {rule.name.ljust(name)}  {verdict}  {rule.why}",
            "green" if rule.matched else "",
        )
    if answer.rules_left:
        yield Row("", f"{words.count(answer.rules_left, 'rule')} behind it not tried")


def _filter(each: findings.Filter, everything: bool) -> Iterator[Row]:
    yield Row("filter", each.name + (", not for this rule" if each.disabled else ""))
    yield from _settings(each.settings, everything)
    if each.rule:
        yield Row("  for this rule", "")
        yield from _settings(each.rule, everything, "    ")


def _route(route: findings.Route, answer: findings.Explanation, everything: bool) -> Iterator[Row]:
    if route.name:
        yield Row("route", route.name)
    yield from _settings(route.settings, everything)
    width = max((len(words.percent(share.percent)) for share in route.shares), default=0)
    for at, share in enumerate(route.shares):
        drawn = "   <- drawn" if share.drawn else ""
        drawn += f"   by its hash to {share.endpoint}" if share.endpoint else ""
        yield Row("" if at else "goes to", f"{words.percent(share.percent):>{width}}  {share.cluster}{drawn}")
        yield from _settings(share.settings, everything)
    requests = [share.request for share in route.shares if share.request is not None]
    for at, request in enumerate(requests):
        if at and request == requests[at - 1]:
            continue
        same = all(each == request for each in requests)
        yield from _request(request, "" if same else route.shares[at].cluster)


def _request(request: findings.Request, cluster: str) -> Iterator[Row]:
    line = f"{request.authority}, {request.path}" if request.protocol else f"{request.method} {request.path}"
    yield Row("upstream sees", line + (f"   ({cluster})" if cluster else ""))
    marks = {"added": "+ ", "changed": "~ ", "removed": "- ", "": ""}
    styles = {"added": "green", "changed": "yellow", "removed": "red", "": ""}
    for header in request.headers:
        yield Row("", f"{marks[header.change]}{header.name}: {header.value}", styles[header.change])


def _cluster(cluster: findings.Cluster, everything: bool) -> Iterator[Row]:
    subset = ", ".join(f"{name}={value}" for name, value in cluster.subset.items())
    yield Row("cluster", f"{cluster.name}, subset {subset}" if subset else cluster.name)
    if cluster.problem:
        yield Row("", cluster.problem, "red")
    yield from _settings(cluster.settings, everything)
    shown = cluster.endpoints if everything else cluster.endpoints[:FEW_RULES]
    width = max((len(address(each.address, each.port)) for each in shown), default=0)
    for at, endpoint in enumerate(shown):
        weight = f", weight {endpoint.weight}" if endpoint.weight != 1 else ""
        name = f", {endpoint.hostname}" if endpoint.hostname and endpoint.hostname != endpoint.address else ""
        more = "".join(f"; {line.name} {line.text}" for line in endpoint.settings)
        yield Row(
            "" if at else "  endpoints",
            f"{address(endpoint.address, endpoint.port).ljust(width)}  {endpoint.state}{weight}{name}{more}",
            "" if endpoint.usable else "red",
        )
    if len(shown) < len(cluster.endpoints):
        yield Row("", f"... {len(cluster.endpoints) - len(shown)} more; --all shows them")


def address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
