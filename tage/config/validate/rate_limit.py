"""RateLimit."""

from __future__ import annotations

from tage.config import names
from tage.config.duration import parse_duration_ms
from tage.config.rate_limit import HeaderLimit, RateLimit
from tage.config.validate.finding import UINT32_MAX, Findings, each, named, nested
from tage.config.validate.values import duration, string_match, within

SHORTEST_MS = 50
"""Envoy's, for the time in which tokens come."""
LONGEST_MS = 86_400_000


def rate_limit(spec: RateLimit) -> Findings:
    yield from named(("host",), names.host(spec.host))
    if spec.routes and spec.direction == "inbound":
        yield ("routes",), "only an outbound limit has routes; they are the callers' to take"
    for name, match in spec.headers.items():
        yield from nested("headers", named((name,), names.header(name)))
        yield from nested("headers", nested(name, string_match(match, may_be_empty=True)))
    yield from within("requests", spec.requests, 0, UINT32_MAX)
    yield from within("burst", spec.burst, 0, UINT32_MAX)
    yield from _per(spec.per)
    if not spec.requests and not spec.descriptors:
        yield ("requests",), "is missing: nothing would be limited"
    if spec.burst and not spec.requests:
        yield ("burst",), "says how many of `requests` may come at once; there are none"
    yield from each("descriptors", spec.descriptors, _descriptor)
    taken: set[tuple[str, str]] = set()
    for index, limit in enumerate(spec.descriptors):
        key = (limit.header.lower(), limit.value)
        if key in taken:
            yield ("descriptors", index), f"another one is for {limit.header} '{limit.value}' as well"
        taken.add(key)


def _descriptor(limit: HeaderLimit) -> Findings:
    yield from named(("header",), names.header(limit.header))
    yield from within("requests", limit.requests, 1, UINT32_MAX)
    yield from within("burst", limit.burst, 0, UINT32_MAX)
    if limit.per:
        yield from _per(limit.per)


def _per(text: str) -> Findings:
    found = list(duration("per", text, SHORTEST_MS))
    yield from found
    if not text:
        yield ("per",), "is missing"
    elif not found and parse_duration_ms(text) > LONGEST_MS:
        yield ("per",), f"'{text}' is too long; at most 24h"
