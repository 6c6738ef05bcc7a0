"""Listeners of the plan -> what their sockets need: an `Entrance`, and a `ListenerState` for each filter chain.

A chain is known by its name, or by its place where it has none. One that stays keeps its state, so that the next
request on a connection that is open meets what is new; one that speaks something else from now on does not.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tage.dataplane.net import chains
from tage.dataplane.net.entrance import Entrance
from tage.dataplane.net.errors import Violation
from tage.dataplane.net.tls import ServerTls
from tage.dataplane.streams.context import Codec, Context, ListenerState
from tage.dataplane.streams.http1_downstream import Http1DownstreamConnection
from tage.dataplane.streams.tcp_downstream import TcpDownstreamConnection
from tage.dataplane.telemetry.store import StatGroup, StatStore
from tage.sidecar import plan
from tage.sidecar.worker import http2

if TYPE_CHECKING:
    from tage.sidecar.worker.protocols import ProtocolsDraft


class Listener:
    """A listener in force. `states` by chain."""

    def __init__(self, name: str, stats: StatGroup, store: StatStore) -> None:
        self.name = name
        self.stats = stats
        self._store = store
        self.states: dict[str, ListenerState] = {}
        self.entrance = Entrance([], stats)

    def configure(
        self,
        section: plan.Listener,
        context: Context,
        tls: Mapping[str, ServerTls],
        protocols: ProtocolsDraft | None,
        fill: Callable[[ListenerState, plan.FilterChain], None],
    ) -> list[ListenerState]:
        """Takes over what the section says; `fill` configures each chain's state. Gives the states of chains that are
        gone, or speak something else. `protocols` None: there are none."""
        former, self.states = self.states, {}
        built = []
        for key, chain in keyed(section):
            state = former.get(key)
            rpc = protocols.downstream(self.name, key) if protocols is not None else None
            codec = http2.codec(chain)
            if (
                state is None
                or (state.tcp is None) != (chain.tcp is None)
                or state.rpc is not rpc
                or state.codec != codec
            ):
                state = ListenerState(context, self.name, self.stats)
                state.codec = codec
                state.speak(rpc)
            else:
                del former[key]
            fill(state, chain)
            self.states[key] = state
            built.append(
                chains.Chain(chain_match(chain.match), _maker(state), tls.get(key), chain.handshake_timeout or 60_000)
            )
        count = len(section.chains)
        self.entrance = Entrance(
            built[:count],
            self.stats,
            built[count] if len(built) > count else None,
            proxy_protocol=section.proxy_protocol is not None,
            allow_without_proxy=section.proxy_protocol is not None and section.proxy_protocol.allow_without,
            inspect_tls=section.inspect_tls,
            inspect_http=section.inspect_http,
            inspect_protocols=protocols.inspected.get(self.name, ()) if protocols is not None else (),
            timeout=section.inspect_timeout,
            continue_on_timeout=section.continue_on_timeout,
            refused=self._refused,
        )
        return list(former.values())

    def _refused(self, _: chains.Facts, violation: Violation) -> None:
        """Each reason has a counter of its own, from the first time on."""
        self._store.count(self._store.counter("listener", self.name, f"refused.{violation.code}"), 1)


def keyed(section: plan.Listener) -> list[tuple[str, plan.FilterChain]]:
    """All chains with their keys."""
    count = len(section.chains)
    return [
        (chain.name or (f"#{index}" if index < count else "#default"), chain)
        for index, chain in enumerate(section.all_chains())
    ]


def _maker(state: ListenerState) -> Callable[[], Any]:
    if state.tcp is not None:
        return lambda: TcpDownstreamConnection(state)
    if state.rpc is not None:
        # Here: who has no such protocol does without the memory.
        from tage.dataplane.streams.rpc_downstream import RpcDownstreamConnection

        return lambda: RpcDownstreamConnection(state)
    if state.codec == Codec.HTTP2:
        from tage.dataplane.streams.http2_downstream import Http2DownstreamConnection

        return lambda: Http2DownstreamConnection(state)
    return lambda: Http1DownstreamConnection(state)


def chain_match(match: plan.ChainMatch | None) -> chains.Match:
    """Which connections the chain is for."""
    if match is None:
        return chains.EVERYTHING
    return chains.Match(
        match.destination_port,
        _networks(match.destination_prefixes),
        tuple(match.server_names),
        match.transport_protocol,
        tuple(match.application_protocols),
        _networks(match.direct_source_prefixes),
        match.source_type,
        _networks(match.source_prefixes),
        tuple(match.source_ports),
    )


def _networks(prefixes: list[str]) -> tuple[chains.Network, ...]:
    return tuple(ipaddress.ip_network(prefix) for prefix in prefixes)
