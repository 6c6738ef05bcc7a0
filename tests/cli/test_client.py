from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tage.cli.client import ControlClient
from tage.cli.errors import CommandError
from tage.config.errors import ConfigError


class Api(ThreadingHTTPServer):
    """Answers every call with `answer` and remembers the calls."""

    daemon_threads = True
    answer: tuple[int, bytes] = (200, b"{}")

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, object]] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.calls.append((self.command, self.path, body))
        status, content = self.server.answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_DELETE = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_calls(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # Must not be used.
    client = ControlClient(api.address)
    api.answer = (200, b'{"items": [{"kind": "Mesh"}], "sidecars": []}')
    assert client.resources() == [{"kind": "Mesh"}]
    client.resources("VirtualService", "a b", "x")
    client.apply([{"kind": "Mesh"}])
    assert client.delete("Mesh", "default", "a/b")
    assert client.sidecars() == []
    assert api.calls == [
        ("GET", "/v1/resources", None),
        ("GET", "/v1/resources?kind=VirtualService&namespace=a+b&name=x", None),
        ("POST", "/v1/resources", {"items": [{"kind": "Mesh"}]}),
        ("DELETE", "/v1/resources/Mesh/default/a%2Fb", None),
        ("GET", "/v1/status", None),
    ]


def test_what_is_not_there_is_not_deleted(api: Api) -> None:
    api.answer = (404, b'{"message": "there is no Mesh default/x"}')
    assert not ControlClient(api.address).delete("Mesh", "default", "x")


def test_a_refusal_is_a_config_error(api: Api) -> None:
    api.answer = (400, b'{"errors": [{"message": "is wrong", "path": "items[0].spec", "file": "", "line": 0}]}')
    with pytest.raises(ConfigError) as caught:
        ControlClient(api.address).apply([])
    assert str(caught.value) == "items[0].spec: is wrong"


@pytest.mark.parametrize(
    ("status", "content", "expected"),
    [
        (500, b'{"message": "the store failed"}', "GET /v1/status was answered 500: the store failed"),
        (400, b'{"message": "unknown parameter"}', "answered 400: unknown parameter"),
        (404, b"<html>", "answered 404 without JSON; is that Tage's HTTP API"),
        (200, b"[]", "an answer without 'sidecars'"),
        (503, b"", "was answered 503"),
    ],
)
def test_failures_are_one_line(api: Api, status: int, content: bytes, expected: str) -> None:
    api.answer = (status, content)
    with pytest.raises(CommandError) as caught:
        ControlClient(api.address).sidecars()
    message = str(caught.value)
    assert message.startswith(f"control plane {api.address}: ")
    assert expected in message
    assert "\n" not in message


def test_nothing_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(CommandError, match="Connection refused; does it run"):
            ControlClient(address).sidecars()


def test_a_listener_that_never_answers_and_one_that_speaks_otherwise() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(CommandError, match=r"no answer within 0.1 s"):
            ControlClient(address, timeout=0.1).sidecars()
        server.accept()[0].close()

        def speak() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-x\r\n")

        thread = threading.Thread(target=speak)
        thread.start()
        with pytest.raises(CommandError, match="not an HTTP answer"):
            ControlClient(address).sidecars()
        thread.join()
