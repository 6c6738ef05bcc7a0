"""Sidecars under a control plane: routes that change and parts that die while requests are under way."""

from __future__ import annotations

import itertools
import json
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.load import Load
from tests.e2e.mesh import SERVICE, VERSIONS, Mesh
from tests.e2e.ports import until
from tests.e2e.sidecar import AGENT, WORKER

pytestmark = pytest.mark.processes

OUTBOUND = 15001
Json = dict[str, Any]


def resource(kind: str, spec: Json, name: str = SERVICE) -> Json:
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


SUBSETS = resource(
    "DestinationRule",
    {"host": SERVICE, "subsets": [{"name": version, "labels": {"version": version}} for version in VERSIONS]},
)


def destination(version: str, weight: int = 100) -> Json:
    return {"destination": {"host": SERVICE, "subset": version}, "weight": weight}


def routing(*rules: Json, first: int = 100) -> Json:
    """`rules`, then a split with `first` per cent for the first version. Without retries."""
    split = {"route": [destination(VERSIONS[0], first), destination(VERSIONS[1], 100 - first)]}
    rules = tuple({**rule, "retries": {"attempts": 0}} for rule in (*rules, split))
    return resource("VirtualService", {"hosts": [SERVICE], "http": list(rules)})


@pytest.fixture(scope="module")
def module_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    mesh = Mesh(tmp_path_factory.mktemp("mesh"))
    try:
        mesh.wait_ready()
        yield mesh
    except BaseException:
        mesh.discard()
        raise
    mesh.close()


@pytest.fixture
def mesh(module_mesh: Mesh) -> Mesh:
    """Everything goes to v1."""
    module_mesh.apply(SUBSETS, routing())
    until(lambda: answered(module_mesh) == {"v1": 10}, "everything goes to v1")
    return module_mesh


def answered(mesh: Mesh, count: int = 10, **headers: str) -> Counter[str]:
    """By which version."""
    return Counter(mesh.get(**headers).headers.get("x-backend", "") for _ in range(count))


def load(mesh: Mesh, connections: int = 8) -> Load:
    return Load(OUTBOUND, SERVICE, connections, address=mesh.address)


# -- routing -----------------------------------------------------------------------------------------------------------


def test_a_call_passes_both_sidecars(mesh: Mesh) -> None:
    app = mesh.apps["v1"]
    app.requests.clear()
    for host in (SERVICE, f"{SERVICE}.default", f"{SERVICE}.default.svc.cluster.local", f"{SERVICE}:80"):
        assert mesh.get("/path", host, x_request_id="mine").body == b"/path"
    assert {request.headers["x-request-id"] for request in app.requests} == {"mine"}
    inbound = mesh.sidecars["v1"].stats()["listener.virtualInbound.downstream_rq_total"]
    outbound = mesh.client.stats()["listener.http_proxy.downstream_rq_total"]
    assert inbound >= 4
    assert outbound >= inbound
    _, text = mesh.client.page("/stats/prometheus")
    assert 'reporter="source"' in text
    assert f'destination_service="{SERVICE}.default.svc.cluster.local"' in text
    assert 'reporter="destination"' in mesh.sidecars["v1"].page("/stats/prometheus")[1]


def test_weights_headers_and_regular_expressions(mesh: Mesh) -> None:
    jason = {"match": [{"headers": {"end-user": {"exact": "jason"}}}], "route": [destination("v2")]}
    numbered = {"match": [{"uri": {"regex": "/item/[0-9]+"}}], "route": [destination("v2")]}
    file = mesh.directory / "canary.yaml"
    file.write_text(json.dumps(routing(jason, numbered, first=70)))
    assert mesh.tage("apply", "-f", str(file)) == f"VirtualService default/{SERVICE} configured\n"
    until(lambda: answered(mesh, end_user="jason") == {"v2": 10}, "jason gets v2")
    assert mesh.get("/item/12").headers["x-backend"] == "v2"
    split = answered(mesh, 300)
    assert split.total() == split["v1"] + split["v2"] == 300
    assert 170 < split["v1"] < 250


def test_what_leads_nowhere_is_answered_with_a_reason(mesh: Mesh) -> None:
    typo = {"match": [{"uri": {"prefix": "/typo"}}], "route": [destination("v3")]}
    elsewhere = {"match": [{"uri": {"prefix": "/gone"}}], "route": [{"destination": {"host": "nobody"}}]}
    mesh.apply(routing(typo, elsewhere))
    until(lambda: mesh.get("/typo").status == 503, "the rule is in force")
    for path in ("/typo", "/gone"):
        response = mesh.get(path)
        assert (response.status, response.flags) == (503, "NC")
    response = mesh.get(host="unknown")
    assert (response.status, response.flags) == (404, "NR")
    assert "no DestinationRule defines subset v3" in mesh.control.log
    assert mesh.get().status == 200


@pytest.mark.parametrize(
    ("match", "path", "problem"),
    [
        ({"uri": {"regex": "/item/[0-9"}}, "match[0].uri.regex", "RE2"),
        ({"uri": {"regex": "(?=x)"}}, "match[0].uri.regex", "RE2"),
        ({"headers": {"end-user": {"exactly": "x"}}}, "match[0].headers.end-user.exactly", "unknown field"),
    ],
)
def test_a_wrong_resource_is_refused_and_nothing_is_applied(mesh: Mesh, match: Json, path: str, problem: str) -> None:
    wrong = routing({"match": [match], "route": [destination("v2")]})
    wrong["metadata"]["name"] = "wrong"
    file = mesh.directory / "two.yaml"
    file.write_text(f"{json.dumps(routing(first=0))}\n---\n{json.dumps(wrong)}\n")
    before = mesh.tage("get", "vs", "-o", "json")
    error = mesh.tage("apply", "-f", str(file), status=2)
    assert f"{file.name}:3: spec.http[0].{path}" in error
    assert problem in error
    assert mesh.tage("get", "vs", "-o", "json") == before
    assert answered(mesh) == {"v1": 10}


def test_what_is_deleted_has_no_effect(mesh: Mesh) -> None:
    assert mesh.tage("delete", "vs", SERVICE) == f"VirtualService default/{SERVICE} deleted\n"
    until(lambda: set(answered(mesh)) == set(VERSIONS), "both versions answer")


# -- changes under load ------------------------------------------------------------------------------------------------


def test_weights_change_under_load(mesh: Mesh) -> None:
    with load(mesh) as running:
        for turn in range(12):
            mesh.apply(routing(first=100 * (turn % 2)))
            before, wanted = running.answers.copy(), VERSIONS[(turn + 1) % 2]
            until(lambda: running.answers[wanted] > before[wanted] or running.failures, f"{wanted} answers")  # noqa: B023
    assert running.failures == []
    assert min(running.answers.values()) > 0


def test_instances_come_and_go_under_load(mesh: Mesh) -> None:
    """Without a subset: the default route goes to all instances."""
    mesh.apply(resource("VirtualService", {"hosts": [SERVICE], "http": [{
        "route": [{"destination": {"host": SERVICE}}], "retries": {"attempts": 0}}]}))  # fmt: skip
    until(lambda: set(answered(mesh)) == set(VERSIONS), "both versions answer")
    with load(mesh) as running:
        for versions in itertools.islice(itertools.cycle([("v1",), VERSIONS, ("v2",), VERSIONS]), 6):
            mesh.register(*versions)
            until(lambda: set(answered(mesh, 6)) == set(versions), f"{versions} answer")  # noqa: B023
    assert running.failures == []
    mesh.register(*VERSIONS)
    until(lambda: set(answered(mesh)) == set(VERSIONS), "both versions answer")


def test_the_control_plane_is_killed_and_comes_back_under_load(mesh: Mesh) -> None:
    with load(mesh) as running:
        mesh.control.send(signal.SIGKILL)
        mesh.control.wait()
        running.wait_more(100)
        until(lambda: not mesh.client.json("/server_info")["control_plane"]["connected"], "the sidecar has noticed")
        mesh.start_control()
        mesh.wait_in_sync()
        assert set(running.answers) == {"v1"}
        mesh.apply(routing(first=0))
        until(lambda: running.answers["v2"] > 0 or running.failures, "the change has arrived")
    assert running.failures == []
    shown = mesh.tage("status")
    assert shown.count("SYNCED") >= 9
    assert "STALE" not in shown
    assert "NACK" not in shown


def test_an_agent_dies_while_the_control_plane_is_away(mesh: Mesh) -> None:
    """Traffic goes on with the last plan, through a worker that has got it from the supervisor alone."""
    agents = (mesh.client, *mesh.sidecars.values())
    with load(mesh) as running:
        mesh.control.send(signal.SIGKILL)
        mesh.control.wait()
        former = [sidecar.kill(AGENT) for sidecar in agents]
        for sidecar, pid in zip(agents, former, strict=True):
            sidecar.wait_replaced(AGENT, pid)
        running.wait_more(100)
    assert running.failures == []
    worker = mesh.client.kill(WORKER)
    assert answered(mesh) == {"v1": 10}
    mesh.client.wait_replaced(WORKER, worker)
    mesh.start_control()
    mesh.wait_in_sync()
    mesh.apply(routing(first=0))
    until(lambda: answered(mesh) == {"v2": 10}, "the change has arrived")
