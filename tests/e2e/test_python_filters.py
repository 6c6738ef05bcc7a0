"""Filters in Python in a whole sidecar: the guide's examples, failures, what is awaited, new code under load."""

from __future__ import annotations

import json
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.backend import Answer, Backend, describe, mirror
from tests.e2e.bootstraps import bootstrap, cluster, listener, route, virtual_host
from tests.e2e.load import Load
from tests.e2e.ports import LOOPBACK, PATIENCE, free_port, until
from tests.e2e.processes import TAGE, Process
from tests.e2e.sidecar import Sidecar, sidecar
from tests.e2e.wire import Client, Response, head

pytestmark = pytest.mark.processes

EXAMPLES = Path(__file__).parents[2] / "examples" / "filters"
ROUTER = {
    "name": "envoy.filters.http.router",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
}


def typed(value: dict[str, Any]) -> dict[str, Any]:
    return {
        "@type": "type.googleapis.com/xds.type.v3.TypedStruct",
        "type_url": "type.googleapis.com/tage.filters.http.Python",
        "value": value,
    }


class World:
    """A directory for filters, two backends, and a sidecar in front of them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.code = directory / "filters"
        self.code.mkdir()
        self.backends = {name: Backend(describe, name) for name in ("v1", "v2")}
        self.port = free_port()
        self.sidecar: Sidecar = None  # type: ignore[assignment]

    def bootstrap(self, *filters: tuple[str, dict[str, Any]], routes: list[Any] | None = None) -> dict[str, Any]:
        """Filters by name and value. Routes without a match lead to v1."""
        chain = [*({"name": name, "typed_config": typed(value)} for name, value in filters), ROUTER]
        hosts = [virtual_host("*", *(routes or [route("v1")]))]
        return bootstrap(
            free_port(),
            [listener("in", self.port, hosts, http_filters=chain)],
            [cluster(name, backend.port) for name, backend in self.backends.items()],
        )

    @contextmanager
    def running(self, *filters: tuple[str, dict[str, Any]], workers: int = 1, **more: Any) -> Iterator[Sidecar]:
        options = ("--filters", str(self.code), "--workers", str(workers))
        with sidecar(self.directory, self.bootstrap(*filters, **more), *options) as running:
            self.sidecar = running
            yield running

    def write(self, file: str, text: str) -> None:
        """As an orderly tool does it."""
        part = self.code / f"{file}.new"
        part.write_text(text)
        part.replace(self.code / file)

    def get(self, path: str = "/", host: str = "app", **headers: str) -> Response:
        with Client(self.port) as client:
            return client.get(host, path, **headers)

    def received(self, **headers: str) -> dict[str, str]:
        """The headers that the backend got."""
        response = self.get(**headers)
        assert response.status == 200, (response, self.sidecar.log)
        found: dict[str, str] = json.loads(response.body)["headers"]
        return found

    def counts(self, name: str) -> dict[str, int]:
        prefix = f"python_filter.{name}."
        stats = self.sidecar.stats()
        return {key.removeprefix(prefix): value for key, value in stats.items() if key.startswith(prefix)}

    def close(self) -> None:
        for backend in self.backends.values():
            backend.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


# -- the guide's examples ----------------------------------------------------------------------------------------------


def test_an_api_key_is_checked(world: World) -> None:
    shutil.copy(EXAMPLES / "api_key.py", world.code)
    off = {**route("v1", "/public"), "typed_per_filter_config": {"key": typed({"disabled": True})}}
    other = {
        **route("v1", "/partners"),
        "typed_per_filter_config": {"key": typed({"config": {"keys": {"p1": "partner"}}})},
    }
    key = ("key", {"class": "api_key.py:ApiKey", "config": {"keys": {"k1": "ann"}}})
    with world.running(key, routes=[off, other, route("v1")]):
        for headers in ({}, {"x_api_key": "k2"}, {"x_api_key": "p1"}):
            response = world.get(**headers)
            assert (response.status, response.body) == (401, b"who are you?\n")
            assert response.headers["www-authenticate"] == "ApiKey"
        got = world.received(x_api_key="k1")
        assert got["x-user"] == "ann"
        assert "x-api-key" not in got
        assert world.get("/public").status == 200
        assert world.get("/partners", x_api_key="k1").status == 401
        assert world.get("/partners", x_api_key="p1").status == 200
        assert world.counts("key") == {"requests": 6, "replies": 4, "errors": 0, "timeouts": 0, "blocked": 0}
        status, text = world.sidecar.page("/stats/prometheus")
        assert status == 200
        assert 'envoy_python_filter_replies{filter="key"} 4' in text


def test_an_ab_test_routes_anew(world: World) -> None:
    shutil.copy(EXAMPLES / "ab_test.py", world.code)
    to_b = route("v2")
    to_b["match"]["headers"] = [{"name": "x-variant", "string_match": {"exact": "b"}}]
    with world.running(("ab", {"class": "ab_test.py:AbTest", "config": {"percent": 50}}), routes=[to_b, route("v1")]):
        seen: dict[str, set[str]] = {"a": set(), "b": set()}
        for number in range(40):
            response = world.get(x_user=f"user-{number % 20}")
            variant = response.headers["x-variant"]
            assert response.headers["x-backend"] == {"a": "v1", "b": "v2"}[variant]
            seen[variant].add(f"user-{number % 20}")
        assert seen["a"]
        assert seen["b"]
        assert not seen["a"] & seen["b"]
        assert world.get(x_user="user-0", x_variant="b").headers["x-backend"] == "v2"


class Tenants:
    """The service that the look-up asks."""

    def __init__(self) -> None:
        self._socket = socket.create_server((LOOPBACK, 0))
        self.port = self._socket.getsockname()[1]
        self.questions: list[str] = []
        self.silent = False
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        kept = []
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            question = connection.recv(4096).split()[1].decode()
            self.questions.append(question)
            if self.silent:
                kept.append(connection)
                continue
            known = question == "/tenants/shop.example"
            connection.sendall(b"HTTP/1.0 200 x\r\n\r\nacme\n" if known else b"HTTP/1.0 404 x\r\n\r\n")
            connection.close()

    def close(self) -> None:
        self._socket.close()


def test_a_lookup_is_awaited(world: World) -> None:
    shutil.copy(EXAMPLES / "lookup.py", world.code)
    tenants = Tenants()
    value = {"class": "lookup.py:Lookup", "config": {"address": f"{LOOPBACK}:{tenants.port}"}, "timeout": "500ms"}
    try:
        with world.running(("tenant", value)):
            for _ in range(3):
                response = world.get(host="shop.example")
                assert json.loads(response.body)["headers"]["x-tenant"] == "acme"
            assert world.get(host="nobody.example").status == 404
            assert tenants.questions == ["/tenants/shop.example", "/tenants/nobody.example"]
            with Client(world.port) as client:  # the body waits with its request
                response = client.post("shop.example", "/", b"x" * 100_000)
                assert json.loads(response.body)["body"] == "x" * 100_000
            tenants.silent = True
            response = world.get(host="late.example")
            assert (response.status, response.body) == (500, b"filter tenant failed")
            assert world.counts("tenant")["timeouts"] == 1
            assert "took longer than 500 ms and was given up" in world.sidecar.log
            with Client(world.port) as client:  # it goes before it is answered; the sidecar is none the worse
                client.send(head("GET", "/", "gone.example"))
                until(lambda: "/tenants/gone.example" in tenants.questions, "the question")
            assert world.get(host="shop.example").status == 200
    finally:
        tenants.close()


ANSWERS = """
import tage

class Answers(tage.Filter):
    def on_request(self, request):
        if request.path.startswith("/api"):
            headers = [("set-cookie", "a=1"), ("set-cookie", "b=2"), ("content-type", "application/json")]
            return request.reply(int(request.path[5:]), '{}', headers=headers)

    def on_response(self, response, request):
        response.headers["server"] = "mine"
        if response.status == 418:
            return request.reply(503, "no tea")
"""


def test_answers_of_a_filters_own(world: World) -> None:
    world.write("answers.py", ANSWERS)
    routes = [route("v1"), {"match": {"prefix": "/direct"}, "direct_response": {"status": 404}}][::-1]
    with world.running(("answers", {"class": "answers.py:Answers"}), routes=routes), Client(world.port) as client:
        response = client.get("app", "/api/201")
        assert (response.status, response.body) == (201, b"{}")
        assert response.headers["set-cookie"] == "a=1, b=2"
        assert response.headers["content-type"] == "application/json"
        assert response.headers["server"] == "mine"
        assert client.get("app", "/direct").headers["server"] == "mine"
        client.send(head("HEAD", "/api/200", "app"))
        response = client.response("HEAD")
        assert (response.status, response.headers["content-length"]) == (200, "2")
        assert client.get("app").headers["server"] == "mine"
        world.backends["v1"].handler = lambda request: Answer(status=418, body=b"a teapot")
        response = client.get("app")
        assert (response.status, response.body) == (503, b"no tea")
        world.backends["v1"].handler = describe
        assert client.get("app").status == 200


# -- failures ----------------------------------------------------------------------------------------------------------

BROKEN = """
import tage

class Broken(tage.Filter):
    def on_request(self, request):
        request.headers["x-before"] = "1"
        if "x-break" in request.headers:
            raise KeyError("users")

class Late(tage.Filter):
    def on_response(self, response, request):
        raise KeyError(response.headers["x-backend"])
"""


@pytest.mark.parametrize("failure", ["open", "closed"])
def test_a_filter_that_raises(world: World, failure: str) -> None:
    world.write("broken.py", BROKEN)
    with world.running(("broken", {"class": "broken.py:Broken", "failure": failure}), workers=2):
        assert world.received()["x-before"] == "1"
        for _ in range(20):
            response = world.get(x_break="1")
            assert response.status == (200 if failure == "open" else 500)
            assert failure == "open" or response.body == b"filter broken failed"
        assert world.counts("broken")["errors"] == 20
        until(lambda: 'raise KeyError("users")' in world.sidecar.log, "the traceback")
        assert "worker: python filter 'broken'" in world.sidecar.log
        assert world.sidecar.log.count("on_request failed") <= 2 * 10


@pytest.mark.parametrize("failure", ["open", "closed"])
def test_a_filter_that_raises_on_the_way_back(world: World, failure: str) -> None:
    world.write("broken.py", BROKEN)
    with world.running(("late", {"class": "broken.py:Late", "failure": failure})), Client(world.port) as client:
        for _ in range(3):
            response = client.get("app")
            assert response.status == (200 if failure == "open" else 500)
        assert world.counts("late")["errors"] == 3


def test_a_filter_that_blocks_is_named_with_its_line(world: World) -> None:
    text = "import time\nimport tage\n\nclass Slow(tage.Filter):\n    def on_request(self, request):\n"
    world.write("slow.py", text + "        if 'x-slow' in request.headers:\n            time.sleep(0.5)\n")
    with world.running(("slow", {"class": "slow.py:Slow"})):
        for _ in range(20):
            world.get()
        assert world.get(x_slow="1").status == 200
        until(lambda: "has held the worker for" in world.sidecar.log, "the report")
        (line,) = re.findall(".*has held the worker for.*", world.sidecar.log)
        assert line.startswith("worker: python filter 'slow' (")
        assert "on_request has held the worker for" in line
        assert line.endswith(f"at {world.code}/slow.py:7 in on_request")
        assert world.counts("slow")["blocked"] == 1


# -- code --------------------------------------------------------------------------------------------------------------

VERSION = """
import tage

class Version(tage.Filter):
    def on_request(self, request):
        request.headers["x-filter"] = "{version}"

    def on_response(self, response, request):
        response.headers["x-filter"] = "{version}"
"""


def test_new_code_under_load(world: World) -> None:
    """No request is lost, whether the new version works or not."""
    world.write("version.py", VERSION.format(version="1"))
    for backend in world.backends.values():
        backend.handler = mirror
    with world.running(("version", {"class": "version.py:Version"}), workers=2):
        assert world.get().headers["x-filter"] == "1"
        worker_pids = {pid for pid, words in world.sidecar.family().items() if "tage.sidecar.worker" in words}
        with Load(world.port, "app", 4) as load:
            load.wait_more(200)
            for version in ("2", "3"):
                world.write("version.py", VERSION.format(version=version))
                until(lambda v=version: all(world.get().headers["x-filter"] == v for _ in range(8)), version)
                load.wait_more(100)
            for broken in ("1 / 0\n" + VERSION, "class Version:\n", VERSION.replace("Version", "Other")):
                said = world.sidecar.log.count("what was there before stays in force")
                world.write("version.py", broken)
                until(
                    lambda n=said: world.sidecar.log.count("what was there before stays in force") > n,
                    f"that it is told: {broken[:20]}",
                )
                assert world.get().headers["x-filter"] == "3"
            load.wait_more(100)
            world.write("version.py", VERSION.format(version="4"))
            until(lambda: all(world.get().headers["x-filter"] == "4" for _ in range(8)), "version 4")
            load.wait_more(100)
        assert load.failures == []
        assert world.counts("version")["errors"] == 0
        assert worker_pids == {pid for pid, words in world.sidecar.family().items() if "tage.sidecar.worker" in words}


def test_a_worker_that_is_killed_comes_back_with_the_code_in_force(world: World) -> None:
    world.write("version.py", VERSION.format(version="1"))
    with world.running(("version", {"class": "version.py:Version"})) as running:
        assert world.get().headers["x-filter"] == "1"
        world.write("version.py", "1 / 0\n")
        until(lambda: "what was there before stays in force" in running.log, "that it is told")
        running.wait_replaced("tage.sidecar.worker", running.kill("tage.sidecar.worker"))
        until(running.is_ready, "the new worker")
        assert world.get().headers["x-filter"] == "1"


@pytest.mark.parametrize(
    ("text", "value", "said"),
    [
        ("1 / 0\n", {"class": "version.py:Version"}, "ZeroDivisionError: division by zero"),
        ("import tage\n", {"class": "version.py:Version"}, "version.py has no 'Version'"),
        (BROKEN, {"class": "../version.py:Broken"}, "is outside of the directories that may hold filters"),
        (BROKEN, {"class": "nothing.py:Broken"}, "there is no such file"),
        (BROKEN, {"class": "version.py:Broken", "timeout": "soon"}, "'soon' is not a duration"),
    ],
)
def test_a_sidecar_does_not_start_with_a_filter_that_does_not_work(
    world: World, text: str, value: dict[str, Any], said: str
) -> None:
    world.write("version.py", text)
    file = world.directory / "refused.json"
    file.write_text(json.dumps(world.bootstrap(("version", value))))
    argv = (*TAGE, "sidecar", "--bootstrap", str(file), "--filters", str(world.code), "--run-dir", f"{file}.run")
    process = Process(world.directory, *argv, name="refused")
    try:
        assert process.wait(PATIENCE) == 2
        assert said in process.log
    finally:
        process.discard()
