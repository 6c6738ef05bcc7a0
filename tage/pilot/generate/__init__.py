"""Pure: a snapshot of config and services, and a node -> v3 protos. Nothing here reads a clock, a file or a socket.

``node``        who asks: what a sidecar tells of itself in `Node.metadata`, and what of it matters
``names``       cluster names, host names and their domains, durations
``snapshot``    config and services, indexed once; ``delegates`` and ``rules`` are its parts
``clusters``    services and DestinationRules -> clusters, by ``traffic_policy`` and ``load_balancing``
``endpoints``   instances and subsets -> load assignments, by ``localities``
``routes``      services and VirtualServices -> route configurations
``listeners``   the listeners of a sidecar; in them stand ``filters``, ``rate_limits`` and ``python_filters``
``rpc``         what protocols of remote calls have beside HTTP's; ``rpc_rules``: rules that mean nothing for them

What is generated is standard Envoy, the same for Tage's sidecar and for Envoy itself, but for filters in Python and
protocols of remote calls, which only Tage's gets. Equal input gives equal output in equal order, so that
`tage.pilot.world` can tell by the bytes whether anything changed.
"""

from __future__ import annotations

from google.protobuf.message import Message

from tage.config.protocols import GRPC, HTTP
from tage.pilot.generate import clusters, endpoints, filters, listeners, python_filters, routes
from tage.pilot.generate.names import CLUSTER, ENDPOINT, LISTENER, ROUTE, TYPES
from tage.pilot.generate.node import Caller, Node
from tage.pilot.generate.rpc import Outbound, relayed
from tage.pilot.generate.snapshot import Snapshot

__all__ = ["CLUSTER", "ENDPOINT", "LISTENER", "ROUTE", "TYPES", "Caller", "Node", "Snapshot", "generate"]


def generate(snapshot: Snapshot, node: Node) -> dict[str, list[Message]]:
    """All resources of `node` by type URL, in the order in which they are to be sent."""
    caller, protocol = snapshot.caller(node), snapshot.protocol_of(node)
    outbound: list[Message] = []
    assignments: list[Message] = []
    for service in snapshot.services:
        rule = snapshot.rule(service, caller)
        outbound.extend(clusters.outbound(service, rule, caller))
        assignments.extend(endpoints.assignments(service, rule, caller))
    made = {of: routes.outbound(snapshot, caller, of) for of in routes.protocols(snapshot, caller)}
    asked = {of: filters.asked(config) for of, config in made.items()}
    own = {service.fqdn: routes.of_service(snapshot, caller, service) for service in snapshot.grpc_services}
    return {
        CLUSTER: outbound + list(clusters.inbound(node, protocol)),
        ENDPOINT: assignments,
        LISTENER: list(
            listeners.listeners(
                node,
                asked.pop(HTTP),
                python_filters.selected(snapshot.python_filters, node),
                snapshot.limits_of(node),
                [
                    *(Outbound(*each) for each in asked.items()),
                    *(Outbound(GRPC, filters.asked(each), of, routes=each.name) for of, each in own.items()),
                    *relayed(snapshot),
                ],
                protocol,
            )
        ),
        ROUTE: [*made.values(), *own.values()],
    }
