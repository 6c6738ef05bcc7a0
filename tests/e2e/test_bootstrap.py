"""What `tage sidecar --bootstrap` says to files that it cannot run, and forms of those that it can."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.backend import Backend, mirror
from tests.e2e.bootstraps import Json, address, bootstrap, cluster, listener, route, virtual_host
from tests.e2e.ports import LOOPBACK, free_port
from tests.e2e.sidecar import Sidecar
from tests.e2e.wire import Client

pytestmark = pytest.mark.processes

MANAGER = "static_resources.listeners[0].filter_chains[0].filters[0].typed_config"
ROUTE = f"{MANAGER}.route_config.virtual_hosts[0].routes[0].route"
CLUSTER = "static_resources.clusters[0]"


@pytest.fixture
def content() -> Json:
    return bootstrap(free_port(), [listener("l", free_port(), [virtual_host("*", route("c"))])], [cluster("c", 1)])


def refused(directory: Path, text: str, name: str = "bootstrap.yaml") -> str:
    """What the sidecar says before it ends with status 2, which means that it was configured wrongly."""
    (directory / name).write_text(text)
    running = Sidecar(directory, "--bootstrap", str(directory / name), admin=(LOOPBACK, 0))
    try:
        assert running.wait() == 2, running.log
        running.assert_clean()
    finally:
        running.discard()
    assert "Traceback" not in running.log
    return running.log


def manager(content: Json) -> Json:
    return content["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]


def action(content: Json) -> Json:
    return manager(content)["route_config"]["virtual_hosts"][0]["routes"][0]["route"]


def _filter(content: Json) -> None:
    lua = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
    manager(content)["http_filters"].insert(0, {"name": "envoy.filters.http.lua", "typed_config": {"@type": lua}})


def _everything(content: Json) -> None:
    """All problems of a file are told at once."""
    content["tracing"] = {}
    action(content)["internal_redirect_policy"] = {}
    content["static_resources"]["clusters"][0]["lb_policy"] = "CLUSTER_PROVIDED"


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        (_filter, [f"{MANAGER}.http_filters[0]"]),
        (lambda c: action(c).update(internal_redirect_policy={}), [f"{ROUTE}.internal_redirect_policy: not supported"]),
        (_everything, ["tracing: not supported", f"{ROUTE}.internal_redirect", f"{CLUSTER}.lb_policy: CLUSTER_PROV"]),
        (lambda c: c["admin"].update(address=address("0.0.0.0", 1)), ["admin.address", "use a loopback address"]),
        (lambda c: action(c).update(cluster="nobody") or manager(c)["route_config"].pop("validate_clusters"),
         [f"{MANAGER}.route_config.virtual_hosts[0].routes[0].route: unknown cluster 'nobody'"]),
    ],
    ids=["filter", "field", "several", "admin", "cluster"],
)  # fmt: skip
def test_what_is_not_supported_is_named_with_its_path(
    tmp_path: Path, content: Json, change: Callable[[Json], Any], problems: list[str]
) -> None:
    change(content)
    log = refused(tmp_path, yaml.safe_dump(content))
    for problem in problems:
        assert problem in log
    assert str(tmp_path / "bootstrap.yaml") in log


def test_an_unknown_field(tmp_path: Path, content: Json) -> None:
    content["static_resources"]["clusters"][0]["conect_timeout"] = "1s"
    assert "conect_timeout" in refused(tmp_path, yaml.safe_dump(content))


def test_yaml_that_is_none(tmp_path: Path) -> None:
    log = refused(tmp_path, "node: {id: x}\nadmin:\n address: a\n  more: b\n")
    assert "bootstrap.yaml: line 4, column 7: is not YAML or JSON" in log


def test_json_that_is_none(tmp_path: Path) -> None:
    assert "bootstrap.json: line 2, column 11: is not YAML or JSON" in refused(
        tmp_path, '{"node": {"id": "x"},\n "admin": ]}', "bootstrap.json"
    )


@pytest.mark.parametrize("which", ["listener", "admin"])
def test_a_port_that_is_taken_is_named(tmp_path: Path, content: Json, which: str) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        if which == "listener":
            content["static_resources"]["listeners"][0]["address"] = address(LOOPBACK, port)
        else:
            content["admin"]["address"] = address(LOOPBACK, port)
        log = refused(tmp_path, json.dumps(content))
    assert f"{LOOPBACK}:{port}" in log
    assert "address already in use" in log or "another process listens there" in log


# -- what works --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    with contextlib.closing(Backend(mirror)) as made:
        yield made


@pytest.mark.parametrize("name", ["b.yaml", "b.json"])
def test_names_and_weights(tmp_path: Path, backend: Backend, name: str) -> None:
    """YAML, JSON; a cluster by name; several listeners; routes by prefix, path, regex and header; weights."""
    first, second = free_port(), free_port()
    clusters = {"weighted_clusters": {"clusters": [{"name": "dns", "weight": 1}, {"name": "nobody", "weight": 1}]}}
    routes = [
        {"match": {"path": "/exact"}, "route": {"cluster": "dns"}},
        {"match": {"safe_regex": {"regex": "/r[0-9]+"}}, "route": {"cluster": "dns"}},
        {
            "match": {"prefix": "/", "headers": [{"name": "x-go", "string_match": {"exact": "yes"}}]},
            "route": {"cluster": "dns"},
        },
        {"match": {"prefix": "/half"}, "route": clusters},
        {"match": {"prefix": "/old/"}, "route": {"cluster": "dns", "prefix_rewrite": "/new/"}},
    ]
    content = bootstrap(
        free_port(),
        [
            listener("first", first, [virtual_host("*", *routes)]),
            listener("second", second, [virtual_host("two.test", route("dns"))]),
        ],
        [cluster("dns", backend.port, type="STRICT_DNS", host="localhost", dns_lookup_family="V4_ONLY")],
    )
    dump = yaml.safe_dump if name.endswith("yaml") else json.dumps
    (tmp_path / name).write_text(dump(content))
    admin = content["admin"]["address"]["socket_address"]["port_value"]
    running = Sidecar(tmp_path, "--bootstrap", str(tmp_path / name), admin=(LOOPBACK, admin))
    try:
        running.wait_ready()
        with Client(first) as client:
            for path, status in (("/exact", 200), ("/exact/not", 404), ("/r12", 200), ("/r", 404), ("/other", 404)):
                assert client.get("any", path).status == status, path
            assert client.get("any", "/other", x_go="yes").status == 200
            assert client.get("any", "/old/place").body == b"/new/place"
            halves = [client.get("any", "/half").status for _ in range(100)]
            assert 20 < halves.count(200) < 80
            assert halves.count(503) == 100 - halves.count(200)
        with Client(second) as client:
            assert client.get("two.test").status == 200
            assert client.get("three.test").status == 404
        assert running.stop() == 0
    finally:
        running.discard()


def test_usage(tmp_path: Path) -> None:
    running = Sidecar(tmp_path, "--bootstrap", str(tmp_path / "none.yaml"), admin=(LOOPBACK, 0))
    try:
        assert running.wait() == 2
        assert "no such file" in running.log
    finally:
        running.discard()
