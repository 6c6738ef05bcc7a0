"""Small meshes that the tests of Pilot share."""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from tage.config.load import load_text
from tage.config.model import Resource
from tage.pilot.generate import Caller, Node, Snapshot, routes
from tage.registry.model import Instance, Service


def instance(number: int, version: str = "v1", **changes: object) -> Instance:
    address = f"127.1.0.{number}"
    fields = {
        "name": f"i{number}",
        "address": address,
        "port": 15006,
        "app_address": address,
        "app_port": 8080,
        "labels": {"version": version},
    }
    return Instance(**{**fields, **changes})  # type: ignore[arg-type]


REVIEWS = Service("reviews", instances=(instance(1, "v1"), instance(2, "v2"), instance(3, "v2")))
RATINGS = Service("ratings", namespace="other", port=9080, instances=(instance(9),))

NODE = Node(
    id="sidecar~127.1.0.1~reviews-v1-1.default~default.svc.cluster.local",
    generator="tage",
    service="reviews",
    address="127.1.0.1",
    app_address="127.1.0.1",
    app_port=8080,
)

SUBSETS = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
"""


def routing(http: str = "[{route: [{destination: {host: reviews}}]}]", name: str = "reviews", **fields: str) -> str:
    """A VirtualService; `fields` may give `namespace` and `hosts`."""
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: {fields.get("namespace", "default")}}}
spec:
  hosts: {fields.get("hosts", "[reviews]")}
  http: {http}
"""


def destination_rule(spec: str = "{host: reviews}", name: str = "reviews", namespace: str = "default") -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}, namespace: {namespace}}}
spec: {spec}
"""


def routes_of(http: str, *texts: str, caller: Caller | None = None, **more: object) -> list[dict[str, Any]]:
    """The routes of `reviews` under a VirtualService with these rules, as JSON with proto names."""
    mesh = snapshot(routing(http), *texts, **more)  # type: ignore[arg-type]
    config = routes.outbound(mesh, caller or Caller())
    (host,) = (host for host in config.virtual_hosts if host.name == f"{REVIEWS.fqdn}:80")
    return [plain(route) for route in host.routes]


def plain(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True)


def snapshot(*texts: str, services: tuple[Service, ...] = (REVIEWS, RATINGS)) -> Snapshot:
    resources: list[Resource] = [resource for text in texts for resource in load_text(text)]
    return Snapshot(
        services,
        [resource for resource in resources if resource.kind == "VirtualService"],
        [resource for resource in resources if resource.kind == "DestinationRule"],
        rate_limits=[resource for resource in resources if resource.kind == "RateLimit"],
    )
