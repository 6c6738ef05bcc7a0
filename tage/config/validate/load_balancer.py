"""The load balancer of a traffic policy."""

from __future__ import annotations

from collections.abc import Sequence

from tage.config import names
from tage.config.networking import (
    TOPOLOGY,
    ConsistentHashLB,
    Distribute,
    Failover,
    HTTPCookie,
    LoadBalancerSettings,
    LocalityLoadBalancerSetting,
    MagLev,
    RingHash,
    WarmupConfiguration,
)
from tage.config.validate.finding import Findings, at_most_one, each, named, not_carried, optional
from tage.config.validate.values import duration, within

SIMPLE_LB = ("UNSPECIFIED", "ROUND_ROBIN", "RANDOM", "LEAST_REQUEST", "LEAST_CONN")
"""LEAST_CONN is the older name of LEAST_REQUEST."""

MAX_RING = 8 * 1024 * 1024
"""Points. Envoy's default of maximum_ring_size."""
MAX_TABLE = 5_000_011
"""Envoy's limit."""


def load_balancer(settings: LoadBalancerSettings) -> Findings:
    if settings.simple == "PASSTHROUGH":
        yield from not_carried(("simple",), "'PASSTHROUGH'")
    elif settings.simple not in SIMPLE_LB:
        yield ("simple",), f"'{settings.simple}' is not one of {', '.join(SIMPLE_LB)}"
    elif settings.simple != "UNSPECIFIED" and settings.consistent_hash is not None:
        yield from at_most_one((), ("simple", "consistentHash"))
    yield from optional("consistentHash", settings.consistent_hash, _consistent_hash)
    yield from optional("localityLbSetting", settings.locality_lb_setting, _locality_setting)
    yield from _warmup(settings)


def _consistent_hash(hash: ConsistentHashLB) -> Findings:
    keys = [
        name
        for name, there in (
            ("httpHeaderName", hash.http_header_name), ("httpCookie", hash.http_cookie),
            ("useSourceIp", hash.use_source_ip is not None),
            ("httpQueryParameterName", hash.http_query_parameter_name),
        ) if there
    ]  # fmt: skip
    yield from at_most_one((), keys)
    if not keys:
        yield (), "needs httpHeaderName, httpCookie, useSourceIp or httpQueryParameterName"
    if hash.use_source_ip is False:
        yield ("useSourceIp",), "false is no key; name another, or take consistentHash out"
    if hash.http_header_name:
        yield from named(("httpHeaderName",), names.token(hash.http_header_name))
    yield from optional("httpCookie", hash.http_cookie, _cookie)
    algorithms = [
        name
        for name, there in (
            ("ringHash", hash.ring_hash is not None), ("maglev", hash.maglev is not None),
            ("minimumRingSize", hash.minimum_ring_size),
        ) if there
    ]  # fmt: skip
    yield from at_most_one((), algorithms)
    yield from within("minimumRingSize", hash.minimum_ring_size, 0, MAX_RING)
    yield from optional("ringHash", hash.ring_hash, _ring)
    yield from optional("maglev", hash.maglev, _maglev)


def _ring(ring: RingHash) -> Findings:
    yield from within("minimumRingSize", ring.minimum_ring_size, 0, MAX_RING)


def _maglev(maglev: MagLev) -> Findings:
    size = maglev.table_size
    if size and (not 0 < size < MAX_TABLE or not _is_prime(size)):
        yield ("tableSize",), f"{size} is not possible; it must be a prime number below {MAX_TABLE}, as 65537"


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % factor for factor in range(2, int(number**0.5) + 1))


def _cookie(cookie: HTTPCookie) -> Findings:
    yield from named(("name",), names.cookie(cookie.name))
    if cookie.path and (not cookie.path.startswith("/") or ";" in cookie.path):
        yield ("path",), f"'{cookie.path}' is not a cookie's path: it begins with '/' and has no ';'"
    yield from duration("ttl", cookie.ttl)
    if cookie.attributes and not cookie.ttl:
        yield ("attributes",), "are of a cookie that is set here; say how long it lives in ttl"
    for index, attribute in enumerate(cookie.attributes):
        here = ("attributes", index)
        yield from named((*here, "name"), names.cookie(attribute.name))
        if any(attribute.name == other.name for other in cookie.attributes[:index]):
            yield (*here, "name"), f"'{attribute.name}' is there twice"
        if not all(" " <= character <= "~" and character != ";" for character in attribute.value):
            yield (*here, "value"), "must hold neither ';' nor control characters"


# -- localities --------------------------------------------------------------------------------------------------------


def _locality_setting(setting: LocalityLoadBalancerSetting) -> Findings:
    if setting.distribute:
        others = [name for name, there in (
            ("failover", setting.failover), ("failoverPriority", setting.failover_priority)) if there]  # fmt: skip
        yield from at_most_one((), ("distribute", *others))
    yield from each("distribute", setting.distribute, _distribute)
    yield from _overlaps("distribute", [entry.source for entry in setting.distribute], in_order=True)
    yield from each("failover", setting.failover, _failover)
    for index, entry in enumerate(setting.failover_priority):
        label, equals, value = entry.partition("=")
        wrong = names.label_key(label) or (names.label_value(value) if equals else "")
        yield from named(("failoverPriority", index), wrong)
        if setting.failover and label in TOPOLOGY:
            yield ("failoverPriority", index), f"'{label}' and failover exclude one another; keep one"


def _distribute(entry: Distribute) -> Findings:
    yield from named(("from",), names.locality(entry.source, wildcard=True))
    for locality, weight in entry.to.items():
        yield from named(("to", locality), names.locality(locality, wildcard=True))
        if not 1 <= weight <= 100:
            yield ("to", locality), f"{weight} is not possible; it must be between 1 and 100"
    if sum(entry.to.values()) != 100:
        yield ("to",), f"the weights add up to {sum(entry.to.values())}; they must add up to 100"
    yield from _overlaps("to", list(entry.to))


def _overlaps(field: str, localities: Sequence[str], in_order: bool = False) -> Findings:
    """One inside another: it would not be clear which counts. `in_order`: the first does, so a wider one may follow."""
    for index, locality in enumerate(localities):
        for before in localities[:index]:
            steps, earlier = _steps(locality), _steps(before)
            if steps[: len(earlier)] == earlier or (not in_order and earlier[: len(steps)] == steps):
                yield (field,), f"'{before}' and '{locality}' overlap"


def _steps(locality: str) -> list[str]:
    return [step for step in locality.split("/") if step != "*"]


def _failover(entry: Failover) -> Findings:
    for field, region in (("from", entry.source), ("to", entry.to)):
        if not region or "/" in region or "*" in region:
            yield (field,), f"'{region}' is not a region; name one, without zone and '*'"
    if entry.source == entry.to:
        yield ("to",), "must be another region than from"


def _warmup(settings: LoadBalancerSettings) -> Findings:
    given = [name for name, there in (
        ("warmup", settings.warmup), ("warmupDurationSecs", settings.warmup_duration_secs)) if there]  # fmt: skip
    yield from at_most_one((), given)
    if given and (settings.simple == "RANDOM" or settings.consistent_hash is not None):
        yield (given[0],), "works with ROUND_ROBIN and LEAST_REQUEST only"
    yield from duration("warmupDurationSecs", settings.warmup_duration_secs, shortest=1)
    yield from optional("warmup", settings.warmup, _warmup_configuration)


def _warmup_configuration(warmup: WarmupConfiguration) -> Findings:
    if not warmup.duration:
        yield ("duration",), "is missing"
    yield from duration("duration", warmup.duration, shortest=1)
    yield from within("minimumPercent", warmup.minimum_percent, 0, 100)
    if warmup.aggression is not None and warmup.aggression <= 0:
        yield ("aggression",), f"{warmup.aggression:g} is not possible; it must be greater than 0"
