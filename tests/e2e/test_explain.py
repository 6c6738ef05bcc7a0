"""What `tage explain` says is what the traffic then does: the same requests, explained and sent."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.backend import Backend, describe
from tests.e2e.bootstraps import Json, bootstrap, cluster, listener, route
from tests.e2e.mesh import SERVICE, VERSIONS, Mesh
from tests.e2e.ports import PATIENCE, free_port, until
from tests.e2e.processes import ROOT, TAGE
from tests.e2e.sidecar import Sidecar, sidecar
from tests.e2e.wire import Client

pytestmark = pytest.mark.processes

SENT = 6
"""Requests that are sent of each kind."""


def explain(*arguments: str, code: int, **environment: str) -> Json:
    """The answer as JSON; `code` is the exit code that the command has to end with."""
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin", **environment}
    env |= {name: value for name, value in os.environ.items() if name == "TAGE_PURE"}
    done = subprocess.run(
        [*TAGE, "explain", *arguments, "-o", "json"],
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == code, f"{arguments}: {done.returncode}: {done.stdout}{done.stderr}"
    return json.loads(done.stdout)


def endpoints(answer: Json) -> set[tuple[str, int]]:
    """Where such requests may go: the usable endpoints of the clusters that take a share."""
    taking = {share["cluster"] for share in answer["route"]["shares"] if share["weight"]}
    return {
        (each["address"], each["port"])
        for found in answer["clusters"]
        if found["name"] in taking
        for each in found.get("endpoints", ())
        if each["usable"]
    }


# -- one sidecar -------------------------------------------------------------------------------------------------------


@dataclass
class Web:
    """A sidecar with an outbound listener, and two backends that say what they got."""

    sidecar: Sidecar
    port: int
    admin: str
    backends: list[Backend]

    def by(self, port: int) -> str:
        return next(each.name for each in self.backends if each.port == port)


RULES: list[Json] = [
    {"name": "beta", "match": {"prefix": "/", "headers": [{"name": "x-user", "string_match": {"prefix": "test-"}}]}},
    {"name": "posts", "match": {"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "POST"}}]}},
    {"name": "absent", "match": {"prefix": "/a", "headers": [{"name": "x-a", "present_match": True}]}},
    {"name": "numbers", "match": {"safe_regex": {"regex": "/[0-9]+"}}},
    {"name": "old", "match": {"prefix": "/old/"}},
    {"name": "moved", "match": {"prefix": "/moved"}},
    {"name": "regex", "match": {"safe_regex": {"regex": "/regex/.*"}}},
    {"name": "headers", "match": {"path_separated_prefix": "/headers"}},
    {"name": "query", "match": {"prefix": "/", "query_parameters": [{"name": "v", "string_match": {"exact": "2"}}]}},
    {"name": "exact", "match": {"path": "/exact"}},
    {"name": "split", "match": {"prefix": "/split"}},
    {"name": "half", "match": {"prefix": "/half"}},
    {"name": "answer", "match": {"prefix": "/answer"}},
    {"name": "lost", "match": {"prefix": "/lost"}},
    {"name": "dead", "match": {"prefix": "/dead"}},
]
ACTIONS: dict[str, Json] = {
    "old": {"route": {"cluster": "a", "prefix_rewrite": "/new/"}},
    "moved": {
        "redirect": {"https_redirect": True, "host_redirect": "new.test", "prefix_rewrite": "/there"},
        "response_headers_to_add": [{"header": {"key": "x-moved", "value": "1"}}],
    },
    "regex": {
        "route": {
            "cluster": "a",
            "regex_rewrite": {"pattern": {"regex": "^/regex/(.*)$"}, "substitution": r"/r/\1"},
            "host_rewrite_literal": "a.test",
            "append_x_forwarded_host": True,
        }
    },
    "headers": {
        "route": {
            "weighted_clusters": {
                "clusters": [
                    {
                        "name": "b",
                        "weight": 1,
                        "request_headers_to_add": [{"header": {"key": "x-share", "value": "b"}}],
                        "request_headers_to_remove": ["x-secret"],
                    }
                ]
            }
        },
        "request_headers_to_add": [
            {
                "header": {"key": "x-user", "value": "%REQ(x-name)%"},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
        ],
    },
    "exact": {"route": {"cluster": "b", "prefix_rewrite": "/"}},
    "split": {"route": {"weighted_clusters": {"clusters": [{"name": "a", "weight": 100}, {"name": "b", "weight": 0}]}}},
    "half": {"route": {"weighted_clusters": {"clusters": [{"name": "a", "weight": 1}, {"name": "b", "weight": 1}]}}},
    "answer": {"direct_response": {"status": 418, "body": {"inline_string": "tea"}}},
    "lost": {"route": {"cluster": "none"}},
    "dead": {"route": {"cluster": "dead"}},
}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    backends = [Backend(describe, "a"), Backend(describe, "b")]
    admin, port = free_port(), free_port()
    rules = [{**rule, **ACTIONS.get(rule["name"], {"route": {"cluster": "b"}})} for rule in RULES]
    hosts = [
        {"name": "shop", "domains": ["shop", "*.shop"], "routes": rules},
        {"name": "whole", "domains": ["whole.test:8080", "whole.*"], "routes": [route("a")]},
    ]
    clusters = [*(cluster(each.name, each.port) for each in backends), cluster("dead")]
    content = bootstrap(admin, [listener("web", port, hosts)], clusters)
    try:
        with sidecar(tmp_path_factory.mktemp("web"), content) as running:
            yield Web(running, port, f"http://127.0.0.1:{admin}", backends)
    finally:
        for backend in backends:
            backend.close()


@pytest.mark.parametrize(
    ("method", "url", "headers", "code"),
    [
        ("GET", "http://shop/1", {}, 0),
        ("GET", "http://shop/1", {"x-user": "test-1"}, 0),
        ("GET", "http://shop/12?q=1", {"x-user": "jason"}, 0),
        ("POST", "http://shop/1", {}, 0),
        ("GET", "http://a.shop/a", {"x-a": "1"}, 0),
        ("GET", "http://a.shop/a", {}, 1),
        ("GET", "http://shop/old/x?y=z", {}, 0),
        ("GET", "http://shop/moved/x?y", {}, 0),
        ("GET", "http://shop/regex/a/b?y", {}, 0),
        ("GET", "http://shop/headers/1", {"x-name": "mary", "x-user": "me", "x-secret": "s"}, 0),
        ("GET", "http://shop/headersx", {}, 1),
        ("GET", "http://shop/any?a=1&v=2", {}, 0),
        ("GET", "http://shop/any?v=22", {}, 1),
        ("GET", "http://shop/exact?q", {}, 0),
        ("GET", "http://shop/exactly", {}, 1),
        ("GET", "http://shop/split", {}, 0),
        ("GET", "http://shop/half", {}, 0),
        ("GET", "http://shop/answer", {}, 0),
        ("GET", "http://shop/lost", {}, 1),
        ("GET", "http://shop/dead", {}, 1),
        ("GET", "http://SHOP/1", {}, 0),
        ("GET", "http://other/1", {}, 1),
        ("GET", "http://whole.test:8080/", {}, 0),
        (
            "GET",
            "http://whole.x/",
            {"x-forwarded-for": "9.9.9.9", "te": "trailers", "connection": "x-b", "x-b": "1"},
            0,
        ),
    ],
)
def test_a_sidecar_does_what_it_says(web: Web, method: str, url: str, headers: dict[str, str], code: int) -> None:
    flags = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    found = explain(method, url, *flags, "--sidecar", web.admin, code=code)
    host, _, path = url.removeprefix("http://").partition("/")
    answers = [send(web, method, host, f"/{path}", headers) for _ in range(SENT)]
    if found["outcome"]["kind"] in ("refused", "answered"):
        assert {answer.status for answer in answers} == {found["outcome"]["status"]}
        for header in found["outcome"].get("headers", ()):
            assert {answer.headers.get(header["name"]) for answer in answers} == {header["value"]}
        return
    assert {answer.status for answer in answers} == {200}
    expected = {web.by(port) for _, port in endpoints(found)}
    seen = {answer.headers["x-backend"] for answer in answers}
    assert seen <= expected
    if len(expected) == 1:
        assert seen == expected
    for answer in answers:
        assert received(json.loads(answer.body)) == told(found["route"]["shares"][0]["request"])


def send(web: Web, method: str, host: str, path: str, headers: dict[str, str]) -> Any:
    with Client(web.port) as client:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        client.send(f"{method} {path} HTTP/1.1\r\nhost: {host}\r\n{lines}\r\n".encode())
        return client.response(method)


def received(request: Json) -> Json:
    return head(request["method"], request["target"], request["headers"])


def told(request: Json) -> Json:
    lines = {each["name"]: each["value"] for each in request["headers"] if each.get("change") != "removed"}
    return head(request["method"], request["path"], lines)


def head(method: str, target: str, headers: dict[str, str]) -> Json:
    """Two requests have not the same id."""
    return {"method": method, "target": target, "headers": {**headers, "x-request-id": bool(headers["x-request-id"])}}


# -- a mesh ------------------------------------------------------------------------------------------------------------


def resource(kind: str, spec: Json) -> Json:
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": SERVICE}, "spec": spec}


SUBSETS = resource(
    "DestinationRule",
    {"host": SERVICE, "subsets": [{"name": version, "labels": {"version": version}} for version in VERSIONS]},
)


def to(**weights: int) -> list[Json]:
    return [
        {"destination": {"host": SERVICE, "subset": version}, "weight": weight} for version, weight in weights.items()
    ]


ROUTING = resource(
    "VirtualService",
    {
        "hosts": [SERVICE],
        "http": [
            {"name": "testers", "match": [{"headers": {"end-user": {"exact": "jason"}}}], "route": to(v2=100)},
            {
                "name": "api",
                "match": [{"uri": {"prefix": "/api"}, "method": {"exact": "GET"}}],
                "route": to(v1=0, v2=1),
            },
            {"name": "both", "match": [{"uri": {"regex": "/both/[a-z]+"}}], "route": to(v1=50, v2=50)},
            {"name": "rest", "route": to(v1=100, v2=0)},
        ],
    },
)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    mesh = Mesh(tmp_path_factory.mktemp("mesh"))
    try:
        mesh.wait_ready()
        mesh.apply(SUBSETS, ROUTING)
        until(lambda: {mesh.get().headers["x-backend"] for _ in range(SENT)} == {"v1"}, "the rules are in force")
        mesh.wait_in_sync()
        yield mesh
    except BaseException:
        mesh.discard()
        raise
    mesh.close()


def of_mesh(mesh: Mesh, *arguments: str, code: int = 0) -> Json:
    return explain(*arguments, code=code, TAGE_CONTROL=mesh.control_address)


def versions(mesh: Mesh, answer: Json) -> set[str]:
    hosts = {address for address, _ in endpoints(answer)}
    return {version for version, sidecar in mesh.addresses.items() if sidecar in hosts}


@pytest.mark.parametrize(
    ("path", "headers", "rule"),
    [
        ("/", {}, "rest"),
        ("/", {"end-user": "jason"}, "testers"),
        ("/", {"end-user": "Jason"}, "rest"),
        ("/api/1", {}, "api"),
        ("/both/x", {}, "both"),
        ("/both/1", {}, "rest"),
    ],
)
def test_a_mesh_does_what_it_says(mesh: Mesh, path: str, headers: dict[str, str], rule: str) -> None:
    flags = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    found = of_mesh(mesh, f"http://{SERVICE}{path}", *flags)
    assert found["route"]["name"] == rule
    expected = versions(mesh, found)
    seen = set()
    for _ in range(SENT):
        answer = mesh.get(path, **{name.replace("-", "_"): value for name, value in headers.items()})
        seen.add(answer.headers["x-backend"])
        assert answer.status == 200
    assert seen <= expected
    if len(expected) == 1:
        assert seen == expected
    arrivals = {arrival["listener"]["address"] for arrival in found["arrivals"]}
    assert arrivals == {mesh.addresses[version] for version in expected}


def test_a_rule_before_and_after_it_is_applied(mesh: Mesh, tmp_path: Path) -> None:
    rule = resource("VirtualService", {"hosts": [SERVICE], "http": [{"name": "all", "route": to(v2=100)}]})
    file = tmp_path / "rule.json"
    file.write_text(json.dumps(rule))
    assert versions(mesh, of_mesh(mesh, f"http://{SERVICE}/", "-f", str(file))) == {"v2"}
    assert versions(mesh, of_mesh(mesh, f"http://{SERVICE}/")) == {"v1"}, "nothing was applied"
    assert mesh.get().headers["x-backend"] == "v1"
    mesh.apply(rule)
    try:
        until(lambda: {mesh.get().headers["x-backend"] for _ in range(SENT)} == {"v2"}, "the rule is in force")
        assert versions(mesh, of_mesh(mesh, f"http://{SERVICE}/")) == {"v2"}
    finally:
        mesh.apply(ROUTING)
        until(lambda: {mesh.get().headers["x-backend"] for _ in range(SENT)} == {"v1"}, "the rules are back")


def test_whose_request(mesh: Mesh) -> None:
    assert of_mesh(mesh, f"http://{SERVICE}/", "--from", "reviews-v1")["scope"].startswith("reviews-v1.default, by ")
    live = explain(
        f"http://{SERVICE}/", "--sidecar", f"http://{mesh.address}:15000", code=0
    )  # the client's own sidecar, asked directly
    assert versions(mesh, live) == {"v1"}
