"""Load balancing in words."""

from __future__ import annotations

from collections.abc import Sequence

from tage.sidecar import plan
from tage.sidecar.explain.findings import Line
from tage.sidecar.explain.words import Topic, clauses, duration, lines, listed

_POLICIES = {
    "round_robin": "round robin",
    "random": "random",
    "least_request": "least request: of {0.choice_count} drawn at random, the one with fewest requests under way",
    "ring_hash": "ring hash, a ring of {0.min_ring_size} to {0.max_ring_size} places",
    "maglev": "maglev, a table of {0.table_size} places",
}
_OWN = {
    "least_request": ("choice_count",),
    "ring_hash": ("min_ring_size", "max_ring_size"),
    "maglev": ("table_size",),
}
"""Settings that stand in the words of their policy; with another one they do nothing."""


def _policy(lb: plan.LoadBalancing) -> str:
    default, own = plan.LoadBalancing(), _OWN.get(lb.policy, ())
    inert = [
        name
        for names in _OWN.values()
        for name in names
        if name not in own and getattr(lb, name) != getattr(default, name)
    ]
    return clauses(
        _POLICIES[lb.policy].format(lb),
        f"weights count against requests under way to the power of {lb.active_request_bias:g}"
        if lb.active_request_bias != 1
        else "",
        "by host name" if lb.hash_hostname else "",
        f"none above {lb.balance_factor} % of the average load" if lb.balance_factor else "",
        *(f"{name} {getattr(lb, name)} counts for another policy" for name in inert),
    )


def _slow_start(lb: plan.LoadBalancing) -> str:
    slow = lb.slow_start
    if slow is None:
        return ""
    return (
        f"for {duration(slow.window)} a new endpoint gets less: {slow.minimum:.0%} of its weight at least, rising "
        f"by the power of 1/{slow.aggression:g}"
    )


def _panic(lb: plan.LoadBalancing) -> str:
    if not lb.panic_threshold:
        return "never" + (", so that failing instead of it is never needed" if lb.fail_on_panic else "")
    then = "none is used" if lb.fail_on_panic else "all are used, healthy or not"
    return f"where less than {lb.panic_threshold} % are healthy, {then}"


_FALLBACKS = {
    "": "the cluster's",
    "none": "no endpoint",
    "any": "any endpoint",
    "default": "the default subset",
    "keys": "fewer keys",
}


def _subsets(lb: plan.LoadBalancing) -> str:
    subsets = lb.subsets
    if subsets is None:
        return ""
    default = listed(f"{name}={value}" for name, value in subsets.default.items())
    return clauses(
        f"by {'; by '.join(map(_selector, subsets.selectors))}" if subsets.selectors else "",
        f"else {_FALLBACKS[subsets.fallback]}",
        f"the default subset is {default}" if default else "",
        "localities keep their weights" if subsets.locality_weight_aware else "",
        "any endpoint where there is none" if subsets.panic_any else "",
    )


def _selector(selector: plan.SubsetSelector) -> str:
    keys = ", ".join(selector.keys)
    if not selector.fallback and not selector.fallback_keys:
        return keys
    fewer = f" ({', '.join(selector.fallback_keys)})" if selector.fallback_keys else ""
    return f"{keys}, else {_FALLBACKS[selector.fallback]}{fewer}"


LOAD_BALANCING: Sequence[Topic] = (
    Topic(
        "balancing",
        (
            "policy",
            "choice_count",
            "active_request_bias",
            "min_ring_size",
            "max_ring_size",
            "table_size",
            "hash_hostname",
            "balance_factor",
        ),
        _policy,
    ),
    Topic("slow start", ("slow_start",), _slow_start),
    Topic("panic", ("panic_threshold", "fail_on_panic"), _panic),
    Topic("localities", ("locality_weighted",), lambda lb: "by their weights" if lb.locality_weighted else ""),
    Topic("subsets", ("subsets",), _subsets),
)


def load_balancing(lb: plan.LoadBalancing) -> list[Line]:
    return lines(lb, LOAD_BALANCING)


ENDPOINTS: Sequence[Topic] = (
    Topic(
        "overprovisioning",
        ("overprovisioning",),
        lambda e: (
            f"{e.overprovisioning} %: so much more than its share a priority is taken to bear"
            if e.overprovisioning != 140
            else ""
        ),
    ),
)
ENDPOINTS_ELSEWHERE = {"name", "endpoints", "localities"}


def endpoints(section: plan.Endpoints) -> list[Line]:
    return lines(section, ENDPOINTS, ENDPOINTS_ELSEWHERE)


def locality(section: plan.Endpoints, endpoint: plan.Endpoint) -> list[Line]:
    """Where the endpoint is, where that is said."""
    if endpoint.locality >= len(section.localities):
        return []
    found = section.localities[endpoint.locality]
    name = "/".join(part for part in (found.region, found.zone, found.sub_zone) if part)
    weight = f", weight {found.weight}" if found.weight else ""
    return [Line("in", f"{name or 'no locality'}{weight}")] if name or weight else []
