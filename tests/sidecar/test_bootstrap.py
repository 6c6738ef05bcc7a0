"""A bootstrap file, through the real child process and through the translation itself."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tage.sidecar.bootstrap import Bootstrap, Control, is_loopback, load_apart
from tage.sidecar.plan import Cluster, Endpoint, Endpoints
from tage.sidecar.translate import bootstrap
from tage.sidecar.translate.draft import ClusterDraft
from tage.sidecar.translate.problem import Problem, TranslateError

from .translate.build import ADS, action, address, assignment, manager

XDS = {
    "name": "xds",
    "type": "STATIC",
    "typed_extension_protocol_options": {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    },
    "load_assignment": assignment({"endpoint": {"address": address("127.0.0.1", 15010)}}),
}
DYNAMIC = {
    "lds_config": ADS,
    "cds_config": ADS,
    "ads_config": {
        "api_type": "GRPC",
        "transport_api_version": "V3",
        "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
    },
}


def static(**fields: Any) -> dict[str, Any]:
    cluster = {"name": "c", "load_assignment": assignment({"endpoint": {"address": address()}})}
    resources = {"listeners": [manager(route_config=action())], "clusters": [cluster]}
    return {"static_resources": resources, **fields}


def load(tmp_path: Path, content: Any) -> Bootstrap:
    file = tmp_path / "bootstrap.yaml"
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return bootstrap.load(file)


def problems(tmp_path: Path, content: Any) -> list[Problem]:
    with pytest.raises(TranslateError) as caught:
        load(tmp_path, content)
    return caught.value.problems


def test_static(tmp_path: Path) -> None:
    found = load(tmp_path, static(admin={"address": address("127.0.0.1", 9901)}, node={"id": "n"}))
    assert found.admin == ("127.0.0.1", 9901)
    assert found.node == {"id": "n"}
    assert found.control is None
    assert [draft.listener.name for draft in found.listeners] == ["l"]
    assert found.clusters == [ClusterDraft(Cluster("c", "c"), endpoints=Endpoints("c", [Endpoint("127.0.0.1", 8080)]))]


def test_dynamic(tmp_path: Path) -> None:
    found = load(tmp_path, {"dynamic_resources": DYNAMIC, "static_resources": {"clusters": [XDS]}})
    assert found == Bootstrap(control=Control("127.0.0.1:15010"))


def test_json_is_yaml(tmp_path: Path) -> None:
    assert load(tmp_path, json.dumps(static())).listeners


@pytest.mark.processes
def test_child_process(tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    file.write_text(json.dumps(static()))
    assert asyncio.run(load_apart(file)) == bootstrap.load(file)
    file.write_text(json.dumps(static(tracing={})))
    with pytest.raises(TranslateError) as caught:
        asyncio.run(load_apart(file))
    assert str(caught.value) == f"{file}: tracing: not supported"


CLUSTER = "static_resources.clusters[0]"


@pytest.mark.parametrize(
    ("content", "path", "message"),
    [
        ("a: [", "line 1, column 5", "is not YAML or JSON"),
        ("", "", "is not a mapping"),
        ("node: {id: a, id: b}", "line 1, column 15", "the key 'id' stands twice"),
        ({"nodes": {}}, "nodes", "envoy.config.bootstrap.v3.Bootstrap has no such field; is it node?"),
        ({"static_resources": {"clusters": [{"type": "X"}]}}, f"{CLUSTER}.type", "Invalid enum value X"),
        (
            {"static_resources": {"clusters": [{"load_assignment": {"endpoints": [{"priority": "high"}]}}]}},
            f"{CLUSTER}.load_assignment.endpoints[0].priority",
            "'high'",
        ),
        (
            {"static_resources": {"clusters": [{"transport_socket": {"typed_config": {"@type": "x/os.path"}}}]}},
            f"{CLUSTER}.transport_socket.typed_config",
            "unknown @type 'x/os.path'",
        ),
        (static(admin={"address": address("0.0.0.0")}), "admin.address.socket_address.address", "loopback"),
        (static(overload_manager={}), "overload_manager", "not supported"),
        (
            {"static_resources": {"listeners": [manager(route_config=action())]}},
            "static_resources.listeners[0].filter_chains[0].filters[0].typed_config"
            ".route_config.virtual_hosts[0].routes[0].route",
            "unknown cluster 'c'",
        ),
        ({"static_resources": {"listeners": [manager()]}}, "dynamic_resources.ads_config", "is missing"),
        (
            {"static_resources": {"clusters": [{"name": "a"}, {"name": "a"}]}},
            "static_resources.clusters[1].name",
            "twice",
        ),
        ({"dynamic_resources": DYNAMIC}, "dynamic_resources.ads_config", "static_resources has no cluster 'xds'"),
        (
            {
                "dynamic_resources": {**DYNAMIC, "ads_config": {**DYNAMIC["ads_config"], "api_type": "DELTA_GRPC"}},
                "static_resources": {"clusters": [XDS]},
            },
            "dynamic_resources.ads_config.api_type",
            "DELTA_GRPC is not supported (only GRPC)",
        ),
        (
            {
                "dynamic_resources": DYNAMIC,
                "static_resources": {
                    "clusters": [{**XDS, "load_assignment": assignment({"endpoint": {"address": address("10.0.0.1")}})}]
                },
            },
            f"{CLUSTER}.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address",
            "loopback",
        ),
    ],
)
def test_refused(tmp_path: Path, content: Any, path: str, message: str) -> None:
    [problem] = problems(tmp_path, content)
    assert problem.path == path
    assert message in problem.message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TranslateError, match="No such file"):
        bootstrap.load(tmp_path / "none")


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("h", False)],
)
def test_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
