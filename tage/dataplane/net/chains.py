"""Filter chains, and which of them a connection gets. Pure; not compiled: it is asked once a connection.

Envoy's rule (envoy.config.listener.v3.FilterChainMatch): the criteria are looked at one after the other, in a fixed
order; each leaves those chains in the race that match it most specifically. There is no way back: a chain that lost at
the server name is not taken because the one that won fails at the source address.

    destination port, destination prefix, server name, transport protocol, application protocol,
    direct source prefix, source type, source prefix, source port

"Direct" is the address that the connection really comes from, where a PROXY header names another.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from tage.dataplane.net.tls import ServerTls

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Match(NamedTuple):
    """Empty: matches every connection."""

    destination_port: int = 0
    destination_prefixes: tuple[Network, ...] = ()
    server_names: tuple[str, ...] = ()
    """Lower case; `*.` in front for every name below."""
    transport_protocol: str = ""
    application_protocols: tuple[str, ...] = ()
    direct_source_prefixes: tuple[Network, ...] = ()
    source_type: str = "any"
    """any, same_ip_or_loopback, external"""
    source_prefixes: tuple[Network, ...] = ()
    source_ports: tuple[int, ...] = ()


EVERYTHING = Match()


class Facts(NamedTuple):
    """What is known of a connection when its chain is chosen. Addresses are (host, port)."""

    destination: tuple[str, int]
    source: tuple[str, int]
    direct_source: tuple[str, int]
    server_name: str = ""
    transport_protocol: str = "raw_buffer"
    application_protocols: tuple[str, ...] = ()


class Chain:
    """`make()` gives the connection that speaks the chain's protocol, not open yet."""

    def __init__(
        self, match: Match, make: Callable[[], Any], tls: ServerTls | None = None, handshake_timeout: int = 60_000
    ) -> None:
        self.match = match
        self.make = make
        self.tls = tls
        self.handshake_timeout = handshake_timeout
        """ms"""


Rank = Callable[[Match, Facts], int]
"""How specifically a criterion matches: higher is better, 0 where a chain does not ask, -1: it does not match."""


def _port(match: Match, facts: Facts) -> int:
    if not match.destination_port:
        return 0
    return 1 if match.destination_port == facts.destination[1] else -1


def _server_name(match: Match, facts: Facts) -> int:
    """An exact name before the longest wildcard."""
    if not match.server_names:
        return 0
    name = facts.server_name
    best = -1
    for pattern in match.server_names:
        if pattern == name:
            return len(pattern) + 1_000
        if pattern.startswith("*.") and name.endswith(pattern[1:]) and len(name) > len(pattern) - 1:
            best = max(best, len(pattern))
    return best


def _transport(match: Match, facts: Facts) -> int:
    if not match.transport_protocol:
        return 0
    return 1 if match.transport_protocol == facts.transport_protocol else -1


def _application(match: Match, facts: Facts) -> int:
    """As Envoy: the first protocol of the client's that any chain names decides; so its place counts."""
    if not match.application_protocols:
        return 0
    for at, protocol in enumerate(facts.application_protocols):
        if protocol in match.application_protocols:
            return len(facts.application_protocols) - at
    return -1


def _source_type(match: Match, facts: Facts) -> int:
    if match.source_type == "any":
        return 0
    host = facts.source[0]
    local = host == facts.destination[0] or ipaddress.ip_address(host).is_loopback
    return 1 if local == (match.source_type == "same_ip_or_loopback") else -1


def _source_port(match: Match, facts: Facts) -> int:
    if not match.source_ports:
        return 0
    return 1 if facts.source[1] in match.source_ports else -1


def _prefix(networks: Sequence[Network], host: str) -> int:
    """The longest prefix that the address is in."""
    if not networks:
        return 0
    address = ipaddress.ip_address(host)
    return max((network.prefixlen + 1 for network in networks if address in network), default=-1)


CRITERIA: tuple[tuple[str, Rank], ...] = (
    ("destination port", _port),
    ("destination address", lambda match, facts: _prefix(match.destination_prefixes, facts.destination[0])),
    ("server name", _server_name),
    ("transport protocol", _transport),
    ("application protocol", _application),
    ("direct source address", lambda match, facts: _prefix(match.direct_source_prefixes, facts.direct_source[0])),
    ("source type", _source_type),
    ("source address", lambda match, facts: _prefix(match.source_prefixes, facts.source[0])),
    ("source port", _source_port),
)


def narrow(chains: Iterable[Chain], facts: Facts) -> Iterator[tuple[str, list[Chain]]]:
    """Criterion by criterion, the chains that are still in the race after it; ends when that is decided."""
    left = list(chains)
    for name, rank in CRITERIA:
        if not left or (len(left) == 1 and left[0].match == EVERYTHING):
            return
        ranked = [(rank(chain.match, facts), chain) for chain in left]
        best = max(value for value, _ in ranked)
        left = [chain for value, chain in ranked if value == best] if best >= 0 else []
        yield name, left


def select(chains: Sequence[Chain], facts: Facts) -> Chain | None:
    """The chain that matches best; None where none does. Of two that match alike the first counts."""
    left = list(chains)
    for _, still in narrow(left, facts):
        left = still
    return left[0] if left else None
