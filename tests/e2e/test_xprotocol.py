"""A private protocol from an allow-listed file in whole sidecars: calls through two of them, new code under traffic,
code that fails, several protocols on one port."""

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

from tests.e2e import wire
from tests.e2e.backend import Backend
from tests.e2e.bootstraps import bootstrap, cluster, listener, route, virtual_host
from tests.e2e.ports import PATIENCE, free_port, until
from tests.e2e.processes import TAGE, Process
from tests.e2e.rpc import (
    ERROR,
    HEARTBEAT,
    HEARTBEAT_ACK,
    OK,
    RESPONSE,
    UNKNOWN,
    Client,
    Message,
    RpcBackend,
    encode,
    inspector,
    rpc_chain,
    rpc_cluster,
    rpc_listener,
)
from tests.e2e.sidecar import WORKER, Sidecar, sidecar
from tests.e2e.test_tls import AUTHORITY, Files, connection, get, socket_of

pytestmark = pytest.mark.processes

LEDGER = Path(__file__).parents[2] / "examples" / "bookshop" / "ledger.py"
STOCK = "com.tage.Stock"


class World:
    """A directory for protocols, a backend, and sidecars in front of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.code = directory / "protocols"
        self.code.mkdir()
        shutil.copy(LEDGER, self.code)
        self.backend = RpcBackend()
        self.port = free_port()

    def write(self, text: str, file: str = "ledger.py") -> None:
        """As an orderly tool does it."""
        part = self.code / f"{file}.new"
        part.write_text(text)
        part.replace(self.code / file)

    @contextmanager
    def running(self, content: Any, name: str = "sidecar", workers: int = 1) -> Iterator[Sidecar]:
        options = ("--protocols", str(self.code), "--workers", str(workers))
        with sidecar(self.directory, content, *options, name=name) as running:
            yield running

    def bootstrap(self, *listeners: Any, port: int = 0, to: int = 0, **fields: Any) -> Any:
        """One listener for the ledger's protocol, and a cluster for the backend, unless others are given."""
        rules = [virtual_host(STOCK, route("stock"))]
        return bootstrap(
            free_port(),
            list(listeners) or [rpc_listener("ledger", "rpc", port or self.port, rules)],
            [rpc_cluster("ledger", "stock", to or self.backend.port, **fields)],
        )

    def client(self) -> Client:
        return Client(self.port)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.backend.close()


def test_calls_through_two_sidecars(world: World) -> None:
    inner = free_port()
    held: list[Message] = []

    def answers(request: Message) -> bytes | None:
        """Those that are held come in the reverse order, with the last."""
        if request.method != "hold":
            return encode(RESPONSE, request.id, metadata=request.metadata, body=request.body)
        held.append(request)
        if len(held) < 10:
            return None
        return b"".join(encode(RESPONSE, each.id, body=each.body) for each in reversed(held))

    world.backend.handler = answers
    back = world.bootstrap(port=inner)
    front = world.bootstrap(to=inner)
    with world.running(back, "back") as behind, world.running(front, "front") as before, world.client() as client:
        answer = client.call("count", metadata={"user": "ann"}, body=b"x" * 1000)
        assert (answer.status, answer.metadata, answer.body) == (OK, {"user": "ann"}, b"x" * 1000)
        assert world.backend.requests[0].service == STOCK
        for i in range(10):
            client.send("hold", body=b"%d" % i)
        found = {answer.id: answer.body for answer in (client.receive() for _ in range(10))}
        assert sorted(found.values()) == [b"%d" % i for i in range(10)]
        assert [found[key] for key in sorted(found)] == [b"%d" % i for i in range(10)], "each got his own"
        # Services are told apart by case; who is not there gets an answer of his protocol.
        assert client.call(service="com.tage.stock").status == UNKNOWN
        client.send(kind=HEARTBEAT)
        assert client.receive().kind == HEARTBEAT_ACK
        assert client.call(body=b"again").body == b"again"
        for each in (before, behind):
            metrics = each.page("/stats/prometheus")[1]
            (line,) = re.findall(r"istio_requests_total\{.*rpc_method=\"count\".*\} \d+", metrics)
            for label in ('request_protocol="ledger"', f'rpc_service="{STOCK}"', 'response_code="200"'):
                assert label in line
            assert line.endswith(" 2")
            (line,) = re.findall(r"istio_requests_total\{.*rpc_method=\"hold\".*\} \d+", metrics)
            assert line.endswith(" 10")
        assert world.backend.connections == 1


def test_large_calls(world: World) -> None:
    with world.running(world.bootstrap()), world.client() as client:
        for size in (262_000, 300_000, 3_000_000):
            body = bytes(range(256)) * (size // 256)
            assert client.call(body=body).body == body


def test_rules_see_headers_and_their_edits_arrive(world: World) -> None:
    """By content, and with another service's name."""
    canary = {
        "match": {"prefix": "/", "headers": [{"name": "user", "string_match": {"exact": "ann"}}]},
        "route": {"cluster": "stock", "host_rewrite_literal": "com.tage.Canary"},
        "request_headers_to_add": [{"header": {"key": "x-canary", "value": "yes"}}],
        "response_headers_to_add": [{"header": {"key": "x-seen", "value": "1"}}],
    }
    stop = {
        "match": {"prefix": f"/{STOCK}/stop"},
        "direct_response": {"status": 503, "body": {"inline_string": "closed"}},
    }
    rules = [{"name": "s", "domains": [STOCK], "routes": [stop, canary, route("stock")]}]
    section = rpc_listener("ledger", "rpc", world.port, rules)
    with world.running(world.bootstrap(section)), world.client() as client:
        answer = client.call(metadata={"user": "bob"}, body=b"b")
        assert (answer.metadata, answer.body) == ({"called": f"{STOCK}.count", "user": "bob"}, b"b")
        answer = client.call(metadata={"user": "ann", "k": "v"}, body=b"a" * 400_000)
        assert answer.metadata == {
            "called": "com.tage.Canary.count",
            "user": "ann",
            "k": "v",
            "x-canary": "yes",
            "x-seen": "1",
        }
        assert answer.body == b"a" * 400_000
        answer = client.call("stop")
        assert (answer.status, answer.body) == (3, b"closed")


def calls(world: World, stop: threading.Event, failures: list[Exception], statuses: set[int]) -> int:
    """Calls that are routed and one that is not, on connections of a hundred calls each."""
    done = 0
    while not stop.is_set():
        with world.client() as client:
            for _ in range(50):
                try:
                    assert client.call(body=b"a").body == b"a"
                    statuses.add(client.call(service="nobody").status)
                except ConnectionError:
                    break  # it was drained, between two calls
                except Exception as error:
                    failures.append(error)
                    return done
                done += 1
    return done


def test_new_code_under_traffic(world: World) -> None:
    """No call fails, nothing starts anew, and what does not load changes nothing."""
    stop, failures, statuses = threading.Event(), [], set()  # type: ignore[var-annotated]
    with world.running(world.bootstrap(), workers=2) as running, world.client() as old:
        family = running.family()
        assert old.call(service="nobody").status == UNKNOWN
        thread = threading.Thread(target=calls, args=(world, stop, failures, statuses), daemon=True)
        thread.start()
        until(lambda: UNKNOWN in statuses, "calls are made")
        text = LEDGER.read_text()
        world.write(text.replace("404: 4", "404: 9"))
        until(lambda: 9 in statuses or failures, "new connections meet the new code")
        with world.client() as client:
            assert client.call(service="nobody").status == 9
        world.write(text.replace("header=24", "header=2"))
        until(lambda: "those that were there before stay in force" in running.log, "the new file is refused")
        assert re.search(r"ledger\.py:\d+: Ledger\.\w+", running.log), running.log
        world.write("class (")
        until(lambda: "ledger.py: line 1: " in running.log, "the new file is no Python")
        with world.client() as client:
            assert client.call(service="nobody").status == 9
            assert client.call(body=b"b").body == b"b"
        world.write(text)
        statuses.clear()
        until(lambda: UNKNOWN in statuses or failures, "the first code is in force again")
        stop.set()
        thread.join(PATIENCE)
        assert failures == []
        assert running.family() == family, "nothing was started anew"


def test_a_worker_that_starts_while_the_agent_is_dead_has_the_code(world: World) -> None:
    with world.running(world.bootstrap()) as running:
        with world.client() as client:
            assert client.call().status == OK
        shutil.rmtree(world.code)
        former = running.kill(WORKER)
        running.wait_replaced(WORKER, former)

        def answers() -> bool:
            try:
                with world.client() as client:
                    return client.call().status == OK
            except OSError:
                return False

        until(answers, "the new worker speaks it")
        world.code.mkdir()


RAISING = """
    def names(self, frame, shape):
        end = 24 + int.from_bytes(frame[12:14], "big")
        method = frame[end : end + int.from_bytes(frame[14:16], "big")]
        if method == b"boom":
            raise RuntimeError("worn out")
        return frame[24:end], method
"""


def test_code_that_fails_ends_its_connection_alone(world: World) -> None:
    world.write(LEDGER.read_text() + RAISING)
    with world.running(world.bootstrap()) as running, world.client() as other:
        assert other.call().status == OK
        for _ in range(3):
            with world.client() as client:
                client.send("boom")
                client.assert_closed()
        assert other.call(body=b"still").body == b"still"
        assert running.stats()["x_protocol.ledger.exception"] == 3
        until(lambda: "RuntimeError: worn out" in running.log, "it is named")
        assert re.search(r"protocol 'ledger' \(\S+/ledger\.py\) failed", running.log)


def test_several_protocols_on_one_port(world: World, tmp_path: Path) -> None:
    """Two private protocols, HTTP and TLS."""
    text = LEDGER.read_text().replace("class Ledger", "class Tally").replace('name = "ledger"', 'name = "tally"')
    world.write(text.replace('b"LG', 'b"TA'), "tally.py")
    files = Files(tmp_path)
    files.put("a", AUTHORITY.issue("a.test"))
    http = Backend()
    rules = [virtual_host("*", route("http"))]
    section = listener("all", world.port, rules)
    (web,) = section["filter_chains"]
    secure = {**web, "name": "tls", "filter_chain_match": {"transport_protocol": "tls"}}
    secure["transport_socket"] = socket_of("Downstream", {"tls_certificates": [files.certificate("a")]})
    web["filter_chain_match"] = {"application_protocols": ["http/1.1"]}
    section["filter_chains"] += [
        secure,
        *(
            {
                **rpc_chain(name, name, [virtual_host(STOCK, route(name))]),
                "filter_chain_match": {"application_protocols": [f"x-{name}"]},
            }
            for name in ("ledger", "tally")
        ),
    ]
    kind = "type.googleapis.com/envoy.extensions.filters.listener"
    section["listener_filters"] = [
        {"name": "tls", "typed_config": {"@type": f"{kind}.tls_inspector.v3.TlsInspector"}},
        {"name": "http", "typed_config": {"@type": f"{kind}.http_inspector.v3.HttpInspector"}},
        inspector("ledger", "tally"),
    ]
    section["listener_filters_timeout"] = "1s"
    content = bootstrap(
        free_port(),
        [section],
        [
            cluster("http", http.port),
            rpc_cluster("ledger", "ledger", world.backend.port),
            rpc_cluster("tally", "tally", world.backend.port),
        ],
    )
    try:
        with world.running(content):
            with world.client() as client:
                assert client.call(body=b"ledger").body == b"ledger"
            with world.client() as client:
                client.sock.sendall(encode(1, 7, service="nobody", method="m", magic=b"TA"))
                assert client.receive().status == UNKNOWN
            with wire.Client(world.port) as client:
                assert client.get("app").status == 200
            with connection(world.port, "a.test") as sock:
                assert get(sock, "a.test")[0] == 200
            with Client(world.port) as slow:
                slow.sock.sendall(b"L")
                slow.assert_closed()  # nothing more came in time
            with Client(world.port) as strange:
                strange.sock.sendall(b"SSH-2.0-x\r\n")
                strange.assert_closed()
    finally:
        http.close()


BOLT_HEARTBEAT = bytes.fromhex("01 01 0000 01 00000007 01 00000bb8 0000 0000 00000000")
BOLT_ACK = bytes.fromhex("01 00 0000 01 00000007")
"""Its first bytes: what tells it, and the id."""
DUBBO_HEARTBEAT = bytes.fromhex("dabb e200 0000000000000007 00000001 4e")
DUBBO_ACK = bytes.fromhex("dabb 2214 0000000000000007 00000001 4e")


def test_those_that_come_with_tage_on_one_port(world: World) -> None:
    """Heartbeats are answered by the sidecar, in the protocol that it has told."""
    http = Backend()
    section = listener("all", world.port, [virtual_host("*", route("http"))])
    (web,) = section["filter_chains"]
    web["filter_chain_match"] = {"application_protocols": ["http/1.1"]}
    section["filter_chains"] += [
        {
            **rpc_chain(name, name, [virtual_host(STOCK, route(name))]),
            "filter_chain_match": {"application_protocols": [f"x-{name}"]},
        }
        for name in ("bolt", "dubbo")
    ]
    kind = "type.googleapis.com/envoy.extensions.filters.listener"
    section["listener_filters"] = [
        {"name": "http", "typed_config": {"@type": f"{kind}.http_inspector.v3.HttpInspector"}},
        inspector("bolt", "dubbo"),
    ]
    dead = [rpc_cluster(name, name, free_port()) for name in ("bolt", "dubbo")]
    try:
        with world.running(bootstrap(free_port(), [section], [cluster("http", http.port), *dead])):
            for heartbeat, ack in ((BOLT_HEARTBEAT, BOLT_ACK), (DUBBO_HEARTBEAT, DUBBO_ACK)):
                with Client(world.port) as client:
                    client.sock.sendall(heartbeat[:1])
                    client.sock.sendall(heartbeat[1:])
                    assert client.exactly(len(ack)) == ack
            with wire.Client(world.port) as plain:
                assert plain.get("app").status == 200
    finally:
        http.close()


def test_a_start_without_the_protocol_is_refused(world: World) -> None:
    def refused(*options: str) -> str:
        file = world.directory / "b.json"
        file.write_text(json.dumps(world.bootstrap()))
        process = Process(world.directory, *TAGE, "sidecar", "--bootstrap", str(file), *options, name="refused")
        try:
            assert process.wait() == 2
            return process.log
        finally:
            process.discard()

    assert "there is no protocol 'ledger'; there are bolt, dubbo, dubbo-thrift, hsf, thrift" in refused()
    world.write("x = 1")
    assert "ledger.py: has no protocol: no class derived from tage.xprotocol.Protocol" in refused(
        "--protocols", str(world.code)
    )
    world.write("x = (")
    assert "ledger.py: line 1: '(' was never closed" in refused("--protocols", str(world.code))
    assert "no such file or directory" in refused("--protocols", str(world.directory / "none"))


def test_an_answer_of_ones_own_has_the_protocols_status(world: World) -> None:
    dead = free_port()
    rules = [
        virtual_host("dead", route("dead")),
        {
            **virtual_host(STOCK),
            "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 500, "body": {"inline_string": "no"}}}],
        },
    ]
    content = bootstrap(
        free_port(),
        [rpc_listener("ledger", "rpc", world.port, rules)],
        [rpc_cluster("ledger", "dead", dead)],
    )
    with world.running(content), world.client() as client, socket.socket():
        assert client.call(service="dead").status == 3
        answer = client.call()
        assert (answer.status, answer.body) == (ERROR, b"no")
