"""Rings and tables, built in steps. Not compiled itself."""

from __future__ import annotations

import socket
from collections.abc import Generator, Sequence
from typing import Any

from tage.dataplane.upstream.balancing.bounded import Bounded
from tage.dataplane.upstream.balancing.hashing import Hashing
from tage.dataplane.upstream.balancing.maglev import Maglev
from tage.dataplane.upstream.balancing.ring_hash import PASSES, RingHash, points

_POINTS = 500
"""Of a ring between two turns of the loop; a few hundred microseconds, as the places of a table."""
_PLACES = 20_000


def build(members: Sequence[Any], weights: Sequence[float], settings: Any) -> Generator[None, None, Hashing]:
    """`weights` are positive and add up to 1."""
    names = []
    for at, member in enumerate(members):
        names.append(name_of(member.endpoint, settings.hash_hostname))
        if at % 256 == 255:
            yield
    hosts = [member.host for member in members]
    hashing: Hashing
    if settings.policy == "ring_hash":
        hashing = yield from _ring(hosts, names, list(weights), settings)
    else:
        order = sorted(range(len(hosts)), key=names.__getitem__)
        hosts, names, weights = ([each[i] for i in order] for each in (hosts, names, weights))
        yield
        hashing = Maglev(hosts, names, list(weights), settings.table_size)
        while not hashing.fill(_PLACES):
            yield
    return Bounded(hashing, list(weights), settings.balance_factor) if settings.balance_factor else hashing


def _ring(
    hosts: list[Any], names: list[bytes], weights: list[float], settings: Any
) -> Generator[None, None, RingHash]:
    counts = points(weights, settings.min_ring_size, settings.max_ring_size)
    yield
    ring = RingHash(hosts, sum(counts))
    since = 0
    for owner, (name, count) in enumerate(zip(names, counts, strict=True)):
        ring.add(owner, name, count)
        since += count
        if since >= _POINTS:
            since = 0
            yield
    for digit in range(PASSES):
        ring.sort(digit)
        yield
    return ring


def name_of(endpoint: Any, hostname: bool) -> bytes:
    """What a host is hashed by: metadata `hash_key`, else its host name if so configured, else its address as Envoy
    writes it."""
    given = endpoint.metadata.get("hash_key")
    if given:
        return given.encode()
    if hostname:
        return endpoint.hostname.encode()
    if ":" in endpoint.address:
        canonical = socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, endpoint.address))
        return f"[{canonical}]:{endpoint.port}".encode()
    return f"{endpoint.address}:{endpoint.port}".encode()
