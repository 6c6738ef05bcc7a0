"""HTTP/1.1 through a sidecar with a static bootstrap, as clients and servers see it."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.e2e.backend import Answer, Backend, RawBackend, describe
from tests.e2e.bootstraps import bootstrap, cluster, listener, route, virtual_host
from tests.e2e.ports import LOOPBACK, PATIENCE, free_port
from tests.e2e.sidecar import Sidecar, sidecar
from tests.e2e.wire import Client, Response, head

pytestmark = [pytest.mark.processes, pytest.mark.uncompiled]

HOP_BY_HOP = ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")


class Setup:
    def __init__(self, running: Sidecar, port: int, backend: Backend, raw: RawBackend) -> None:
        self.sidecar = running
        self.port = port
        self.backend = backend
        self.raw = raw

    def client(self) -> Client:
        return Client(self.port)


@pytest.fixture(scope="module")
def module_setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    backend, raw = Backend(), RawBackend()
    port = free_port()
    content = bootstrap(
        free_port(),
        [listener("l", port, [virtual_host("app", route("app")), virtual_host("raw", route("raw"))])],
        [
            cluster("app", backend.port, host="localhost", type="STRICT_DNS", dns_lookup_family="V4_ONLY"),
            cluster("raw", raw.port),
        ],
    )
    try:
        with sidecar(tmp_path_factory.mktemp("http1"), content) as running:
            yield Setup(running, port, backend, raw)
    finally:
        backend.close()
        raw.close()


@pytest.fixture
def setup(module_setup: Setup) -> Setup:
    module_setup.backend.handler = describe
    module_setup.backend.expect_continue = lambda request: None
    module_setup.backend.requests.clear()
    return module_setup


def received(response: Response) -> dict[str, Any]:
    """What the backend says it got."""
    assert response.status == 200, response
    result: dict[str, Any] = json.loads(response.body)
    return result


# -- heads -------------------------------------------------------------------------------------------------------------


def test_origin_form(setup: Setup) -> None:
    with setup.client() as client:
        request = received(client.get("app", "/a/b?c=d&e"))
    assert (request["method"], request["target"], request["headers"]["host"]) == ("GET", "/a/b?c=d&e", "app")


def test_absolute_form_names_the_host(setup: Setup) -> None:
    with setup.client() as client:
        request = received(client.get("elsewhere", "http://app/a?b"))
        assert (request["target"], request["headers"]["host"]) == ("/a?b", "app")
        request = received(client.get("elsewhere", "http://app"))
        assert (request["target"], request["headers"]["host"]) == ("/", "app")
        assert client.get("app", "http://nowhere/").status == 404


def test_headers_that_every_request_gets(setup: Setup) -> None:
    with setup.client() as client:
        first = received(client.get("app"))["headers"]
        second = received(client.get("app"))["headers"]
        uuid = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
        assert re.fullmatch(uuid, first["x-request-id"])
        assert first["x-request-id"] != second["x-request-id"]
        assert first["x-forwarded-for"] == LOOPBACK
        assert first["x-forwarded-proto"] == "http"
        kept = received(client.get("app", x_request_id="mine", x_forwarded_for="10.1.2.3", x_forwarded_proto="https"))
        assert kept["headers"]["x-request-id"] == "mine"
        assert kept["headers"]["x-forwarded-for"].replace(" ", "") == f"10.1.2.3,{LOOPBACK}"
        assert kept["headers"]["x-forwarded-proto"] == "https"


def test_hop_by_hop_headers_stay_behind(setup: Setup) -> None:
    with setup.client() as client:
        request = received(
            client.get(
                "app",
                connection="keep-alive, x-own",
                keep_alive="timeout=5",
                proxy_connection="keep-alive",
                te="trailers",
                x_own="for the next hop only",
                x_other="for the backend",
            )
        )
        assert not {*HOP_BY_HOP, "x-own"} & set(request["headers"])
        assert request["headers"]["x-other"] == "for the backend"

        setup.backend.handler = lambda request: Answer(
            headers=[("connection", "x-mine"), ("x-mine", "1"), ("keep-alive", "timeout=9"), ("x-yours", "2")]
        )
        response = client.get("app")
        assert not {*HOP_BY_HOP, "x-mine"} & set(response.headers)
        assert response.headers["x-yours"] == "2"


def test_repeated_headers_keep_their_order(setup: Setup) -> None:
    with setup.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: app\r\nX-A: 1\r\nX-B: 2\r\nx-a: 3\r\n\r\n")
        assert received(client.response())["headers"]["x-a"] == "1, 3"
        setup.backend.handler = lambda request: Answer(headers=[("set-cookie", "a=1"), ("set-cookie", "b=2")])
        assert client.get("app").headers["set-cookie"] == "a=1, b=2"


# -- connections -------------------------------------------------------------------------------------------------------


def test_both_sides_are_kept_alive(setup: Setup) -> None:
    before = setup.backend.connections
    with setup.client() as client:
        connections = {received(client.get("app"))["connection"] for _ in range(20)}
    with setup.client() as client:
        connections.add(received(client.get("app"))["connection"])
    assert len(connections) == 1
    assert setup.backend.connections - before <= 1


def test_pipelined_requests_are_answered_in_order(setup: Setup) -> None:
    body = b"x" * 1000
    with setup.client() as client:
        client.send(
            b"".join(
                head("GET", f"/{i}", "app") if i % 3 else head("POST", f"/{i}", "app", content_length="1000") + body
                for i in range(30)
            )
        )
        for i in range(30):
            request = received(client.response("GET" if i % 3 else "POST"))
            assert request["target"] == f"/{i}"
            assert len(request["body"]) == (0 if i % 3 else 1000)


def test_a_client_that_asks_for_the_end_gets_it(setup: Setup) -> None:
    with setup.client() as client:
        response = client.get("app", connection="close")
        assert response.headers["connection"] == "close"
        client.assert_closed()


def test_a_half_closed_client_is_answered(setup: Setup) -> None:
    with setup.client() as client:
        client.send(head("GET", "/last", "app"))
        client.socket.shutdown(socket.SHUT_WR)
        assert received(client.response())["target"] == "/last"
        client.assert_closed()


def test_http_1_0(setup: Setup) -> None:
    with setup.client() as client:
        client.send(b"GET /old HTTP/1.0\r\nHost: app\r\n\r\n")
        assert received(client.response())["target"] == "/old"
        client.assert_closed()
    with setup.client() as client:
        for _ in range(2):
            client.send(b"GET /kept HTTP/1.0\r\nHost: app\r\nConnection: keep-alive\r\n\r\n")
            response = client.response()
            assert response.headers["connection"] == "keep-alive"
            assert received(response)["target"] == "/kept"


# -- answers without a body --------------------------------------------------------------------------------------------


def test_head(setup: Setup) -> None:
    setup.raw.answers(
        b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    )
    with setup.client() as client:
        client.send(head("HEAD", "/", "raw"))
        response = client.response("HEAD")
        assert (response.status, response.headers["content-length"], response.body) == (200, "12345", b"")
        assert client.get("raw").body == b"ok"


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(setup: Setup, status: int) -> None:
    setup.raw.answers(
        b"HTTP/1.1 %d Nothing\r\nETag: x\r\n\r\n" % status, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    )
    with setup.client() as client:
        response = client.get("raw")
        assert (response.status, response.headers["etag"], response.body) == (status, "x", b"")
        assert "transfer-encoding" not in response.headers
        assert client.get("raw").body == b"ok"


# -- bodies ------------------------------------------------------------------------------------------------------------


def test_a_chunked_request_stays_chunked(setup: Setup) -> None:
    with setup.client() as client:
        client.send(head("POST", "/", "app", transfer_encoding="chunked"))
        for piece in (b"one", b"two", b"three"):
            client.send(b"%x;ext=1\r\n%s\r\n" % (len(piece), piece))
        client.send(b"0\r\nX-Trailer: t\r\n\r\n")
        request = received(client.response("POST"))
        assert request["body"] == "onetwothree"
        assert request["headers"]["transfer-encoding"] == "chunked"
        assert "content-length" not in request["headers"]
        assert received(client.get("app", "/next"))["target"] == "/next"


def test_a_request_with_a_length_keeps_it(setup: Setup) -> None:
    with setup.client() as client:
        client.send(head("PUT", "/", "app", content_length="6") + b"abc")
        client.send(b"def")
        request = received(client.response("PUT"))
    assert request["body"] == "abcdef"
    assert request["headers"]["content-length"] == "6"
    assert "transfer-encoding" not in request["headers"]


def test_a_chunked_answer_stays_chunked_and_comes_as_it_is_sent(setup: Setup) -> None:
    more = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        await more.wait()
        yield b"second"

    setup.backend.handler = lambda request: Answer(body=pieces())
    with setup.client() as client:
        client.send(head("GET", "/", "app"))
        assert b"transfer-encoding: chunked\r\n" in client.read_until(b"\r\n\r\n")
        assert client.read_until(b"first\r\n") == b"5\r\nfirst\r\n"
        setup.backend.call(more.set)
        assert client.read_until(b"0\r\n\r\n") == b"6\r\nsecond\r\n0\r\n\r\n"


def test_a_body_that_ends_with_the_connection(setup: Setup) -> None:
    setup.raw.answers(b"HTTP/1.1 200 OK\r\n\r\nall of it")
    with setup.client() as client:
        response = client.get("raw")
        assert (response.status, response.body) == (200, b"all of it")


def test_expect_100_continue_is_end_to_end(setup: Setup) -> None:
    with setup.client() as client:
        client.send(head("POST", "/", "app", expect="100-continue", content_length="4"))
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        client.send(b"body")
        request = received(client.response("POST"))
        assert request["body"] == "body"
        assert request["headers"]["expect"] == "100-continue"

        setup.backend.expect_continue = lambda request: Answer(status=413, close=True)
        client.send(head("POST", "/", "app", expect="100-continue", content_length="4"))
        response = client.response("POST")
        assert (response.status, response.interim) == (413, [])
        assert response.headers["connection"] == "close"  # whether the body still comes is not known
        client.assert_closed()


def test_interim_answers_pass(setup: Setup) -> None:
    setup.raw.answers(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    )
    with setup.client() as client:
        response = client.get("raw")
    assert (response.status, response.interim) == (200, [103, 102])


# -- clients that people use -------------------------------------------------------------------------------------------


def test_requests(setup: Setup) -> None:
    proxy = {"http": f"http://{LOOPBACK}:{setup.port}"}
    with requests.Session() as session:
        session.trust_env = False
        direct = session.get(f"{proxy['http']}/direct", headers={"Host": "app"}, timeout=PATIENCE)
        assert direct.json()["target"] == "/direct"
        posted = session.post("http://app/proxied?x=1", json={"a": 1}, proxies=proxy, timeout=PATIENCE).json()
        assert (posted["target"], posted["headers"]["host"]) == ("/proxied?x=1", "app")
        assert json.loads(posted["body"]) == {"a": 1}
        streamed = session.put("http://app/", data=iter([b"a", b"b"]), proxies=proxy, timeout=PATIENCE).json()
        assert (streamed["body"], streamed["headers"]["transfer-encoding"]) == ("ab", "chunked")
        assert session.get("http://unknown/", proxies=proxy, timeout=PATIENCE).status_code == 404


def test_urllib(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://{LOOPBACK}:{setup.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    opener = urllib.request.build_opener()
    with opener.open("http://app/by/urllib", timeout=PATIENCE) as answer:
        assert json.load(answer)["target"] == "/by/urllib"
    with opener.open("http://app/", data=b"form=1", timeout=PATIENCE) as answer:
        assert json.load(answer)["body"] == "form=1"


def test_http_client(setup: Setup) -> None:
    connection = http.client.HTTPConnection(LOOPBACK, setup.port, timeout=PATIENCE)
    try:
        for target in ("http://app/absolute", "/origin"):
            connection.request("GET", target, headers={"Host": "app"})
            answer = connection.getresponse()
            assert json.loads(answer.read())["target"] == target.removeprefix("http://app")
        connection.request("POST", "/", body=iter([b"x"] * 3), headers={"Host": "app"}, encode_chunked=True)
        assert json.loads(connection.getresponse().read())["body"] == "xxx"
    finally:
        connection.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(setup: Setup) -> None:
    def curl(*arguments: str, body: str = "", **env: str) -> str:
        command = ["curl", "-sS", "--max-time", str(PATIENCE), *arguments]
        done = subprocess.run(command, input=body, env=env, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        return done.stdout

    proxy = f"http://{LOOPBACK}:{setup.port}"
    assert json.loads(curl("http://app/c?1", http_proxy=proxy))["target"] == "/c?1"
    # More than a megabyte: curl asks whether to send it.
    big = curl("-x", proxy, "--data-binary", "@-", "http://app/big", body="x" * 1_500_000)
    assert len(json.loads(big)["body"]) == 1_500_000
    assert curl("-H", "Host: app", "-I", proxy).startswith("HTTP/1.1 200 ")
    assert curl("-x", proxy, "-w", "%{http_code}", "-o", "/dev/null", "http://unknown/") == "404"


def test_what_was_sent_uncompiled_ran_uncompiled(setup: Setup) -> None:
    """TAGE_PURE in the environment reaches the worker; without it, the worker is compiled."""
    maps = Path(f"/proc/{setup.sidecar.worker}/maps").read_text()
    assert ("tage/dataplane/streams/stream.cpython" in maps) == (os.environ.get("TAGE_PURE", "") in ("", "0"))
