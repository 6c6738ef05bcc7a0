"""A sidecar takes everything that Pilot makes of the two resources, in whatever fields."""

from __future__ import annotations

import dataclasses

import pytest
from google.protobuf.any_pb2 import Any

from tage.pilot.generate import TYPES, generate
from tage.registry.model import Service
from tage.sidecar import plan
from tage.sidecar.translate import resources
from tests.pilot.everything import RULES
from tests.pilot.samples import NODE, instance, snapshot


@pytest.mark.parametrize("type_url", TYPES)
def test_every_field(type_url: str) -> None:
    instances = (instance(1, "v1", locality="east/z1"), instance(2, "v2", locality="west/z1"))
    mesh = snapshot(RULES, services=(Service("reviews", instances=instances),))
    assert mesh.warnings == ()
    node = dataclasses.replace(NODE, labels={"version": "v1"}, locality="east/z1")
    packed = []
    for message in generate(mesh, node)[type_url]:
        packed.append(Any())
        packed[-1].Pack(message)
    assert len(resources.decode(type_url, packed)) == len(packed)


PROTOCOLS = ("bolt", "dubbo", "thrift", "dubbo-thrift", "hsf", "x-ledger")
VERSIONS = ("http", "http2", "grpc")


@pytest.mark.parametrize("service", VERSIONS)
@pytest.mark.parametrize("type_url", TYPES)
def test_every_version_of_http(type_url: str, service: str) -> None:
    services = [Service(name, protocol=name, instances=(instance(1, "v1"),)) for name in VERSIONS]
    packed = []
    for message in generate(snapshot(services=services), dataclasses.replace(NODE, service=service))[type_url]:
        packed.append(Any())
        packed[-1].Pack(message)
    found = resources.decode(type_url, packed)
    assert len(found) == len(packed)
    if type_url.endswith("Cluster"):
        of = {name.split("|")[-1].partition(".")[0] or "app": each.cluster.http2 for name, each in found.items()}
        speaks = {"http": None, "http2": plan.Http2(), "grpc": plan.Http2()}
        assert of == {**speaks, "app": speaks[service]}
    if type_url.endswith("Listener"):
        assert {chain.http.codec for each in found.values() for chain in each.listener.all_chains()} == {"auto"}


@pytest.mark.parametrize("service", ["reviews", *PROTOCOLS])
@pytest.mark.parametrize("type_url", TYPES)
def test_every_protocol(type_url: str, service: str) -> None:
    """Services of remote calls, beside one of HTTP; for a sidecar of each of them."""
    services = [
        Service(name, protocol=name, interfaces=(f"com.tage.{name.title()}",), instances=(instance(1, "v1"),))
        for name in PROTOCOLS
    ]
    mesh = snapshot(services=(*services, Service("reviews", instances=(instance(2, "v1"),))))
    packed = []
    for message in generate(mesh, dataclasses.replace(NODE, service=service))[type_url]:
        packed.append(Any())
        packed[-1].Pack(message)
    found = resources.decode(type_url, packed)
    assert len(found) == len(packed)
    if type_url.endswith("Listener"):
        chains = [chain.http for each in found.values() for chain in each.listener.all_chains() if chain.http]
        spoken = {http.x_protocol.protocol for http in chains if http.x_protocol is not None}
        assert spoken >= {name.removeprefix("x-") for name in PROTOCOLS}
    if type_url.endswith("Cluster"):
        spoken = {each.cluster.x_protocol.protocol for each in found.values() if each.cluster.x_protocol is not None}
        assert spoken >= {name.removeprefix("x-") for name in PROTOCOLS}
