"""Trailers through a sidecar with a static bootstrap: between an h11 server and an h11 client, and enabled or not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.e2e.backend import Answer, Backend, Request
from tests.e2e.bootstraps import bootstrap, cluster, listener, route, virtual_host
from tests.e2e.ports import free_port
from tests.e2e.sidecar import sidecar
from tests.e2e.wire import Client, head

pytestmark = [pytest.mark.processes, pytest.mark.uncompiled]

OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
HTTP1 = {"http_protocol_options": {"enable_trailers": True}}


async def pieces(*each: bytes) -> AsyncIterator[bytes]:
    for piece in each:
        yield piece


def answer(request: Request) -> Answer:
    trailers = [("X-Sum", "2"), ("Set-Cookie", "a=b"), ("x-got", str(sorted(request.trailers.items())))]
    return Answer(body=pieces(b"one", b"two"), headers=[("Trailer", "X-Sum")], trailers=trailers)


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """By name, the listeners whose connection managers have trailers enabled, or have not."""
    backend, kept, dropped = Backend(answer), free_port(), free_port()
    typed = {"@type": f"type.googleapis.com/{OPTIONS}", "explicit_http_config": HTTP1}
    hosts = [virtual_host(name, route(name)) for name in ("keeps", "drops")]
    content = bootstrap(
        free_port(),
        [listener("kept", kept, hosts, **HTTP1), listener("dropped", dropped, hosts)],
        [
            cluster("keeps", backend.port, typed_extension_protocol_options={OPTIONS: typed}),
            cluster("drops", backend.port),
        ],
    )
    directory: Path = tmp_path_factory.mktemp("trailers")
    try:
        with sidecar(directory, content):
            yield {"kept": kept, "dropped": dropped}
    finally:
        backend.close()


@pytest.mark.parametrize("name", ["kept", "dropped"])
@pytest.mark.parametrize("host", ["keeps", "drops"])
def test_trailers_pass_where_both_sides_have_them_enabled(ports: dict[str, int], name: str, host: str) -> None:
    passed = (name, host) == ("kept", "keeps")
    with Client(ports[name]) as client:
        for number in ("1", "2"):
            client.send(head("POST", "/", host, transfer_encoding="chunked", trailer="X-Number"))
            client.send(b"3\r\none\r\n0\r\nX-Number: %s\r\nAuthorization: x\r\n\r\n" % number.encode())
            response = client.response("POST")
            assert response.body == b"onetwo"
            assert ("trailer" in response.headers) is passed
            got = str([("x-number", number)])
            assert response.trailers == ({"x-sum": "2", "x-got": got} if passed else {})
        client.send(head("GET", "/", host))
        assert client.response().trailers == ({"x-sum": "2", "x-got": "[]"} if passed else {})
