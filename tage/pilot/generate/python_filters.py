"""PythonFilters -> HTTP filters of a listener, for Tage's sidecars alone: an Envoy knows none, and would refuse the
listener. They come as a TypedStruct, for the API has no message for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from xds.type.v3 import typed_struct_pb2

from tage.config.model import Resource
from tage.config.python_filter import PythonFilter
from tage.pilot.generate.node import Node

TYPE_URL = "type.googleapis.com/tage.filters.http.Python"


def selected(resources: Iterable[Resource], node: Node) -> tuple[Resource, ...]:
    """Those that the node is to have, in the order in which a request meets them."""
    if not node.is_tage:
        return ()
    found = [resource for resource in resources if _selects(resource, node)]
    return tuple(sorted(found, key=lambda resource: (-_spec(resource).priority, resource.metadata.name)))


def chain(resources: Iterable[Resource], direction: str) -> list[hcm_pb2.HttpFilter]:
    """`direction` is inbound or outbound."""
    return [_filter(each) for each in resources if _spec(each).direction in (direction, "both")]


def _selects(resource: Resource, node: Node) -> bool:
    selector = _spec(resource).selector
    return (
        resource.metadata.namespace == node.namespace
        and selector.service in ("", node.service)
        and selector.labels.items() <= node.labels.items()
    )


def _filter(resource: Resource) -> hcm_pb2.HttpFilter:
    spec = _spec(resource)
    value = {"class": spec.kind, "config": spec.config, "failure": spec.failure}
    if spec.timeout:
        value["timeout"] = spec.timeout
    if spec.blocking_threshold:
        value["blocking_threshold"] = spec.blocking_threshold
    message = typed_struct_pb2.TypedStruct(type_url=TYPE_URL)
    message.value.update(value)
    # Filters of different namespaces never meet in one listener.
    made = hcm_pb2.HttpFilter(name=resource.metadata.name)
    made.typed_config.Pack(message, deterministic=True)
    return made


def _spec(resource: Resource) -> PythonFilter:
    return cast(PythonFilter, resource.spec)
