"""Plans in a few words."""

from __future__ import annotations

from typing import Any

from tage.sidecar import plan
from tage.sidecar.explain.apart import Question
from tage.sidecar.explain.findings import Explanation
from tage.sidecar.explain.trace import explain

KINDS = {cls: kind for kind, cls in plan.KINDS.items()}


def sections(*given: plan.Section) -> dict[plan.SectionKey, plan.Section]:
    return {(KINDS[type(each)], each.name): each for each in given}


def match(prefix: str = "/", *headers: plan.HeaderMatch, **fields: Any) -> plan.RouteMatch:
    return plan.RouteMatch(plan.StringMatch("prefix", prefix), list(headers), **fields)


def to(*clusters: str, **weighted: int) -> list[plan.WeightedCluster]:
    return [plan.WeightedCluster(name) for name in clusters] + [
        plan.WeightedCluster(name, weight) for name, weight in weighted.items()
    ]


def cluster(name: str, *endpoints: plan.Endpoint, **fields: Any) -> tuple[plan.Cluster, plan.Endpoints]:
    """Without endpoints it has one that is healthy."""
    return plan.Cluster(name, name, **fields), plan.Endpoints(name, list(endpoints) or [plan.Endpoint("127.0.0.9", 80)])


def web(*routes: plan.Route, domains: tuple[str, ...] = ("*",), **http: Any) -> list[plan.Section]:
    """One listener for everything, with one virtual host."""
    return [
        plan.Listener("web", "127.0.0.1", 80, chains=[plan.FilterChain(http=plan.Http("r", **http))]),
        plan.Routes("r", [plan.VirtualHost("v", list(domains), list(routes))]),
    ]


def ask(
    given: dict[plan.SectionKey, plan.Section], target: str = "http://x/", *headers: str, **fields: Any
) -> Explanation:
    pairs = [tuple(text.split(": ", 1)) for text in headers]
    return explain(given, Question(target, headers=pairs, **fields))
