"""Small meshes that the tests of Pilot share."""

from __future__ import annotations

from tage.config.load import load_text
from tage.config.model import Resource
from tage.pilot.generate import Node, Snapshot
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


def snapshot(*texts: str, services: tuple[Service, ...] = (REVIEWS, RATINGS)) -> Snapshot:
    resources: list[Resource] = [resource for text in texts for resource in load_text(text)]
    return Snapshot(
        services,
        [resource for resource in resources if resource.kind == "VirtualService"],
        [resource for resource in resources if resource.kind == "DestinationRule"],
    )
