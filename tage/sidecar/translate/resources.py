"""The resources of one DiscoveryResponse -> drafts and sections by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from google.protobuf import any_pb2
from google.protobuf.message import Message

from tage.sidecar.translate import cluster, endpoint, listener, route
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import unpack

_KINDS: dict[str, tuple[type[Message], Callable[[Any, str, Problems], Any], str, str]] = {
    kind.DESCRIPTOR.full_name: (kind, translate, label, field)
    for kind, translate, label, field in (
        (listener_pb2.Listener, listener.translate, "listener", "name"),
        (route_pb2.RouteConfiguration, route.translate, "route_config", "name"),
        (cluster_pb2.Cluster, cluster.translate, "cluster", "name"),
        (endpoint_pb2.ClusterLoadAssignment, endpoint.translate, "endpoints", "cluster_name"),
    )
}


def decode(type_url: str, resources: Sequence[any_pb2.Any]) -> dict[str, Any]:
    """`type_url` is one of the four. Paths in problems begin with ``cluster[NAME]`` and the like.

    Raises `TranslateError`.
    """
    kind, translate, label, field = _KINDS[type_url.rpartition("/")[2]]
    problems = Problems()
    result: dict[str, Any] = {}
    for index, resource in enumerate(resources):
        message = unpack(resource, kind, f"resources[{index}]", problems)
        if message is None:
            continue
        name = getattr(message, field)
        path = f"{label}[{name}]"
        if name in result:
            problems.add(path, "stands twice in one response")
        result[name] = translate(message, path, problems)
    problems.check()
    return result
