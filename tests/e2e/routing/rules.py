"""Cases -> virtual hosts and clusters, as JSON of a bootstrap.

What is in Istio's words goes the whole way: resources are loaded and validated, and Pilot generates what it would send
to a sidecar. Of that, the case's virtual hosts stand in the one listener of its file, and clusters get their endpoints
in place. A cluster that is a case's own gets its id behind the name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from tage.config.errors import ConfigError
from tage.config.load import load_objects, load_text
from tage.config.model import Resource
from tage.pilot.generate import CLUSTER, ENDPOINT, ROUTE, Node, Snapshot, filters, generate, listeners
from tage.sidecar.translate import cluster as cluster_translation
from tage.sidecar.translate import listener as listener_translation
from tage.sidecar.translate.problem import Problems
from tests.e2e import bootstraps
from tests.e2e.bootstraps import Json
from tests.e2e.routing.case import Case, File, load
from tests.e2e.routing.services import DESTINATION_RULE, SERVICES, ports, registry
from tests.sidecar.translate.build import message

NODE = Node("sidecar~127.0.0.1~client.default~default.svc.cluster.local", generator="tage")
_DEFAULT_RULE = load_text(DESTINATION_RULE)


@dataclass
class Rules:
    """Of one case. `refused` says why it cannot be carried out; then there is nothing else."""

    virtual_hosts: list[Json] = field(default_factory=list)
    clusters: dict[str, Json] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


@cache
def book() -> Book:
    """Made once, for all tests."""
    return Book(load())


@dataclass
class Book:
    """All files' rules."""

    files: list[File]

    @cached_property
    def rules(self) -> dict[str, Rules]:
        """By case."""
        return {case.id: self._of(case, file) for file in self.files for case in file.cases}

    def listener(self, file: File, port: int, cases: list[Case]) -> Json:
        """With the virtual hosts of these cases."""
        hosts = [host for case in cases for host in self.rules[case.id].virtual_hosts]
        return self._listener(file, port, hosts)

    def of_cases(self, cases: list[Case]) -> list[Json]:
        """The clusters that there are with these."""
        return [*self.clusters.values(), *(each for case in cases for each in self.rules[case.id].clusters.values())]

    def leads_to(self, cluster: str, case: Case) -> set[str]:
        """The backends of a cluster."""
        names = {port: name for name, port in ports().items()}
        content = (self.clusters | self.rules[case.id].clusters)[cluster]
        endpoints = content["load_assignment"].get("endpoints", [])
        return {
            names[each["endpoint"]["address"]["socket_address"]["port_value"]]
            for locality in endpoints
            for each in locality["lb_endpoints"]
        }

    @cached_property
    def clusters(self) -> dict[str, Json]:
        """Every case's; for those in Envoy's words each service, and each version of the first one."""
        single = {name: [name] for name in SERVICES["reviews"]}
        nothing: Json = {CLUSTER: {}, ENDPOINT: {}}
        return _clusters(self._plain, nothing) | {
            name: bootstraps.cluster(name, *(ports()[backend] for backend in backends))
            for name, backends in (SERVICES | single).items()
        }

    def _of(self, case: Case, file: File) -> Rules:
        if case.is_istio:
            try:
                found = self._generated(case)
            except ConfigError as error:
                return Rules(refused=str(error).splitlines())
        else:
            hosts = case.virtual_hosts or [{"name": case.host, "domains": [case.host], **(case.virtual_host or {})}]
            found = Rules(hosts, {})
        found.refused = self._refusals(found, file)
        return found

    # -- Istio's words -------------------------------------------------------------------------------------------------

    def _generated(self, case: Case) -> Rules:
        resources = load_objects(case.resources or list(_resources(case)))
        node = Node(**{**vars(NODE), **case.node})
        before = self._plain if node == NODE else _by_name(generate(self._snapshot([], []), node))
        after = _by_name(generate(self._snapshot(case.services, resources), node))
        hosts = {host.name: host for host in after[ROUTE].virtual_hosts}
        known = {host.name for host in before[ROUTE].virtual_hosts}
        names = [host.name for host in after[ROUTE].virtual_hosts if host.name not in known]
        assert names, f"{case.id}: the resources make no virtual host"
        own = _clusters(after, before)
        renamed = {name: f"{name}@{case.id}" for name in own}
        own = {renamed.get(name, name): content | {"name": renamed.get(name, name)} for name, content in own.items()}
        return Rules([_replaced(_json(hosts[name]), renamed) for name in names], own)

    @cached_property
    def _plain(self) -> dict[str, Any]:
        """What Pilot generates where there are no rules."""
        return _by_name(generate(self._snapshot([], []), NODE))

    def _snapshot(self, services: list[Json], resources: list[Resource]) -> Snapshot:
        own = {each.spec.host for each in resources if each.kind == "DestinationRule"}
        rules = [each for each in _DEFAULT_RULE if each.spec.host not in own]
        everything = [*rules, *resources]
        virtual_services = [each for each in everything if each.kind == "VirtualService"]
        destination_rules = [each for each in everything if each.kind == "DestinationRule"]
        return Snapshot(registry(services), virtual_services, destination_rules)

    # -- listeners -----------------------------------------------------------------------------------------------------

    def _listener(self, file: File, port: int, hosts: list[Json]) -> Json:
        if not file.is_istio:
            listener = bootstraps.listener(file.name, port, hosts)
            _manager(listener)["http_filters"][:0] = file.filters
            return listener
        routes = _json(self._plain[ROUTE]) | {"virtual_hosts": hosts, "validate_clusters": False}
        # A filter stands there only where a rule asks something of it.
        listener = _json(next(listeners.listeners(NODE, filters.asked(message("route", routes)))))
        listener |= {"name": file.name, "address": bootstraps.address("127.0.0.1", port)}
        manager = _manager(listener)
        manager.pop("rds")
        manager["route_config"] = routes
        return listener

    def _refusals(self, rules: Rules, file: File) -> list[str]:
        """What Tage's sidecar says to a listener with these rules, and to its clusters."""
        problems = Problems()
        listener_translation.translate(
            message("listener", self._listener(file, 1, rules.virtual_hosts)), "", problems, static=False
        )
        for content in rules.clusters.values():
            cluster_translation.translate(message("cluster", content), content["name"], problems)
        return [str(problem) for problem in problems.list()]


def _resources(case: Case) -> Iterator[Json]:
    specs = [("VirtualService", {"hosts": [case.host], "http": case.http})]
    specs += [("DestinationRule", spec) for spec in case.destination_rules]
    for number, (kind, spec) in enumerate(specs):
        metadata = {"name": f"{case.id}-{number}"}
        yield {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _by_name(generated: dict[str, list[Message]]) -> dict[str, Any]:
    return {
        CLUSTER: {each.name: each for each in generated[CLUSTER]},
        ENDPOINT: {each.cluster_name: each for each in generated[ENDPOINT]},
        ROUTE: generated[ROUTE][0],
    }


def _clusters(generated: dict[str, Any], before: dict[str, Any]) -> dict[str, Json]:
    """Those that are not as they were before, by name, each with its endpoints in it."""
    found = {}
    for name, cluster in generated[CLUSTER].items():
        service = cluster.eds_cluster_config.service_name
        now, then = ([of[CLUSTER].get(name), of[ENDPOINT].get(service)] for of in (generated, before))
        if now != then:
            content = _json(cluster) | {"type": "STATIC", "load_assignment": _json(generated[ENDPOINT][service])}
            del content["eds_cluster_config"]
            found[name] = content
    return found


def _json(message: Message) -> Json:
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def _manager(listener: Json) -> Json:
    return listener["filter_chains"][0]["filters"][0]["typed_config"]


def _replaced(content: Any, names: dict[str, str]) -> Any:
    """The same with these words in place of those, wherever they stand whole."""
    if isinstance(content, dict):
        return {key: _replaced(value, names) for key, value in content.items()}
    if isinstance(content, list):
        return [_replaced(value, names) for value in content]
    return names.get(content, content) if isinstance(content, str) else content
