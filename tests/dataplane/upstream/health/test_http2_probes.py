"""One check over HTTP/2, over loopback: of grpcio's server, and of one that is told what to say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
import h2.config
import h2.connection
import h2.events
import pytest
import uvloop
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from tage.dataplane.net.reactor import Reactor
from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.telemetry import layout
from tage.dataplane.telemetry.store import StatStore
from tage.dataplane.upstream.cluster import Cluster
from tage.dataplane.upstream.connect import Connector
from tage.dataplane.upstream.health.http2_probes import GrpcProbe, Http2Probe, request_message, serving_status
from tage.dataplane.upstream.health.probes import Finding, Target, Verdict
from tage.sidecar.plan import GrpcCheck, HttpCheck

SERVING = b"\0\0\0\0\x02\x08\x01"
GRPC = [(":status", "200"), ("content-type", "application/grpc")]
OK = [("grpc-status", "0")]


@pytest.fixture
def store(tmp_path):
    return StatStore(tmp_path / "stats")


def ask(store: StatStore, check: HttpCheck | GrpcCheck, port: int, times: int = 1, reuse: bool = True) -> list[Finding]:
    async def run():
        loop = asyncio.get_running_loop()
        connector = Connector(loop, Reactor(loop), None)
        cluster = Cluster("c", store.group(layout.CLUSTER, "c"), TimerWheel(loop.call_later), connector)
        target = Target(cluster, "127.0.0.1", port, "health")
        kind = Http2Probe if isinstance(check, HttpCheck) else GrpcProbe
        probe = kind(connector, target, reuse, check)
        findings = []
        for _ in range(times):
            async with asyncio.timeout(10):
                findings.append(await probe.ask())
            await asyncio.sleep(0.02)
        probe.close()
        return findings

    return uvloop.run(run())


# -- grpcio's server ---------------------------------------------------------------------------------------------------


def health_messages() -> tuple[Any, Any]:
    """The messages of grpc.health.v1, made by protobuf from its description."""
    file = descriptor_pb2.FileDescriptorProto(name="health.proto", package="grpc.health.v1", syntax="proto3")
    request = file.message_type.add(name="HealthCheckRequest")
    request.field.add(name="service", number=1, type="TYPE_STRING", label="LABEL_OPTIONAL")
    response = file.message_type.add(name="HealthCheckResponse")
    states = response.enum_type.add(name="ServingStatus")
    for number, name in enumerate(("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")):
        states.value.add(name=name, number=number)
    response.field.add(
        name="status",
        number=1,
        type="TYPE_ENUM",
        label="LABEL_OPTIONAL",
        type_name=".grpc.health.v1.HealthCheckResponse.ServingStatus",
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return tuple(
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"grpc.health.v1.{name}"))
        for name in ("HealthCheckRequest", "HealthCheckResponse")
    )  # type: ignore[return-value]


class Health:
    """grpc.health.v1.Health as grpcio-health-checking has it."""

    def __init__(self) -> None:
        self.request, self.response = health_messages()
        self.states = {"": "SERVING", "down": "NOT_SERVING", "s" * 300: "SERVING"}
        self.metadata: list[dict[str, str]] = []
        self.peers: set[str] = set()

    def check(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.metadata.append(dict(context.invocation_metadata()))  # type: ignore[arg-type]
        self.peers.add(context.peer())
        if request.service not in self.states:
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown: 踏歌 100 %")
        return self.response(status=self.states[request.service])


@pytest.fixture(scope="module")
def health() -> Iterator[tuple[Health, int]]:
    service = Health()
    method = grpc.unary_unary_rpc_method_handler(
        service.check,
        request_deserializer=service.request.FromString,
        response_serializer=service.response.SerializeToString,
    )
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": method})])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield service, port
    server.stop(None).wait()


@pytest.mark.parametrize(
    ("service", "expected", "reason"),
    [
        ("", Verdict.HEALTHY, ""),
        ("s" * 300, Verdict.HEALTHY, ""),
        ("down", Verdict.UNHEALTHY, "NOT_SERVING"),
        ("nobody", Verdict.UNHEALTHY, "gRPC status 5 NOT_FOUND: unknown: 踏歌 100 %"),
    ],
)
def test_a_server_is_asked_for_a_service(store, health, service, expected, reason):
    assert ask(store, GrpcCheck(service), health[1]) == [Finding(expected, reason)]


def test_the_call(store, health):
    service, port = health
    ask(store, GrpcCheck(metadata=[("X-A", "1"), ("User-Agent", "me")]), port)
    metadata = service.metadata[-1]
    assert metadata["x-a"] == "1"
    assert metadata["user-agent"] == "me"
    ask(store, GrpcCheck(), port)
    assert service.metadata[-1]["user-agent"] == "Tage/HC"


@pytest.mark.parametrize(("reuse", "connections"), [(True, 1), (False, 3)])
def test_one_connection_for_all_or_each_its_own(store, health, reuse, connections):
    service, port = health
    service.peers.clear()
    findings = ask(store, GrpcCheck(), port, times=3, reuse=reuse)
    assert findings == [Finding(Verdict.HEALTHY)] * 3
    assert len(service.peers) == connections


def test_a_server_without_the_service(store):
    server = grpc.server(futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        (finding,) = ask(store, GrpcCheck(), port)
    finally:
        server.stop(None).wait()
    assert finding.verdict is Verdict.UNHEALTHY
    assert finding.reason.startswith("gRPC status 12 UNIMPLEMENTED: ")


# -- a server that says what it is told --------------------------------------------------------------------------------


class Script(asyncio.Protocol):
    """Python's h2 as the server: `answer(connection, stream_id)` for each request."""

    def __init__(self, server: Server) -> None:
        self.server = server
        config = h2.config.H2Configuration(client_side=False, validate_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.server.connections += 1
        self.h2.initiate_connection()
        transport.write(self.h2.data_to_send())

    def data_received(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                self.server.requests.append(dict(event.headers))
            elif isinstance(event, h2.events.DataReceived):
                self.server.bodies.append(event.data)
            elif isinstance(event, h2.events.StreamEnded):
                answer = self.server.answers.pop(0)
                if answer is None:
                    self.transport.close()
                    return
                answer(self.h2, event.stream_id)
            elif isinstance(event, h2.events.PingAckReceived):
                self.server.pongs += 1
        self.transport.write(self.h2.data_to_send())


class Server:
    def __init__(self, *answers: Callable[[Any, int], None] | None) -> None:
        self.answers = list(answers)
        self.connections = 0
        self.pongs = 0
        self.requests: list[dict[bytes, bytes]] = []
        self.bodies: list[bytes] = []

    def asked(self, store: StatStore, check: HttpCheck | GrpcCheck, **options: Any) -> list[Finding]:
        """The findings of a probe that asks it."""
        findings: list[Finding] = []

        async def run(loop_store: StatStore) -> None:
            loop = asyncio.get_running_loop()
            async with await loop.create_server(lambda: Script(self), "127.0.0.1", 0) as server:
                port = server.sockets[0].getsockname()[1]
                findings.extend(await loop.run_in_executor(None, lambda: ask(loop_store, check, port, **options)))

        asyncio.run(run(store))
        return findings


def answers(
    headers: list[tuple[str, str]] = GRPC, body: bytes = SERVING, trailers: list[tuple[str, str]] | None = OK
) -> Callable[[Any, int], None]:
    def answer(connection: Any, stream: int) -> None:
        connection.send_headers(stream, headers, end_stream=not body and trailers is None)
        if body:
            connection.send_data(stream, body, end_stream=trailers is None)
        if trailers is not None:
            connection.send_headers(stream, trailers, end_stream=True)

    return answer


HTTP = HttpCheck("/healthz?deep=1", http2=True)
PLAIN = [(":status", "200"), ("content-length", "2")]


def test_the_request(store):
    server = Server(answers(PLAIN, b"ok", None))
    check = HttpCheck("/healthz?deep=1", method="POST", headers=[("x-A", "1"), ("Host", "me")], http2=True)
    assert server.asked(store, check) == [Finding(Verdict.HEALTHY)]
    assert server.requests == [
        {
            b":method": b"POST",
            b":scheme": b"http",
            b":authority": b"me",
            b":path": b"/healthz?deep=1",
            b"user-agent": b"Tage/HC",
            b"x-a": b"1",
        }
    ]
    assert server.bodies == []


def test_the_call_as_it_is_written(store):
    server = Server(answers())
    assert server.asked(store, GrpcCheck("a")) == [Finding(Verdict.HEALTHY)]
    assert server.requests == [
        {
            b":method": b"POST",
            b":scheme": b"http",
            b":authority": b"health",
            b":path": b"/grpc.health.v1.Health/Check",
            b"content-type": b"application/grpc",
            b"te": b"trailers",
            b"user-agent": b"Tage/HC",
        }
    ]
    assert b"".join(server.bodies) == b"\0\0\0\0\x03\x0a\x01a"


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, Verdict.UNHEALTHY), (204, Verdict.HEALTHY), (429, Verdict.RETRIABLE), (503, Verdict.UNHEALTHY)],
)
def test_statuses(store, status, expected):
    check = HttpCheck("/", expected=[(201, 300)], retriable=[(429, 430)], http2=True)
    (finding,) = Server(answers([(":status", str(status))], b"", None)).asked(store, check)
    assert finding == Finding(expected, "" if expected is Verdict.HEALTHY else f"status {status}")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            answers([*GRPC, ("grpc-status", "14"), ("grpc-message", "down")], b"", None),
            "gRPC status 14 UNAVAILABLE: down",
        ),
        (answers([(":status", "503")], b"", None), "gRPC status 14 UNAVAILABLE"),
        (answers([(":status", "404")], b"no", None), "gRPC status 12 UNIMPLEMENTED"),
        (answers(trailers=[("x", "y")]), "gRPC status 2 UNKNOWN"),
        (answers(trailers=[("grpc-status", "99")]), "gRPC status 99 UNKNOWN"),
        (answers(body=b"\0\0\0\0\x02\x08\x02"), "NOT_SERVING"),
        (answers(body=b"\0\0\0\0\x02\x08\x03"), "SERVICE_UNKNOWN"),
        (answers(body=b"\0\0\0\0\0"), "UNKNOWN"),
        (answers(body=b"\0\0\0\0\x02\x08\x63"), "status 99"),
        (answers(body=b""), "the answer is not one message of gRPC"),
        (answers(body=SERVING + SERVING), "the answer is not one message of gRPC"),
        (answers(body=b"\x01\0\0\0\x02\x08\x01"), "the answer is compressed, which was not asked for"),
        (answers(body=b"\0\0\0\0\x02\x08\x81"), "the answer is not a HealthCheckResponse"),
    ],
)
def test_what_is_not_serving_is_unhealthy(store, answer, reason):
    assert Server(answer).asked(store, GrpcCheck()) == [Finding(Verdict.UNHEALTHY, reason)]


def test_no_answer(store):
    (finding,) = Server(None).asked(store, HTTP)
    assert finding.verdict is Verdict.NETWORK
    assert finding.reason in ("the connection was closed", "Connection reset by peer"), "as its ACK of SETTINGS comes"
    reset = Server(lambda connection, stream: connection.reset_stream(stream, 11))
    (finding,) = reset.asked(store, HTTP)
    assert finding.verdict is Verdict.NETWORK
    assert finding.reason == "the request was reset, error 11"
    assert ask(store, HTTP, 1) == [Finding(Verdict.NETWORK, "Connection refused")]


def test_a_server_that_does_not_speak_http_2(store):
    async def run() -> list[Finding]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await asyncio.get_running_loop().run_in_executor(None, lambda: ask(store, HTTP, port))

    (finding,) = asyncio.run(run())
    assert finding.verdict is Verdict.NETWORK
    assert finding.reason.startswith("HTTP/2: ")


def test_interim_answers_and_other_bodies_are_passed_over(store):
    def answer(connection: Any, stream: int) -> None:
        connection.send_headers(stream, [(":status", "103"), ("link", "x")])
        answers([(":status", "200")], b"x" * 10_000, [("x", "y")])(connection, stream)

    assert Server(answer).asked(store, HTTP) == [Finding(Verdict.HEALTHY)]


def test_a_connection_that_is_told_to_end_is_not_used_again(store):
    def leaves(connection: Any, stream: int) -> None:
        answers(PLAIN, b"ok", None)(connection, stream)
        connection.close_connection(last_stream_id=stream)

    server = Server(leaves, answers(PLAIN, b"ok", None))
    assert server.asked(store, HTTP, times=2) == [Finding(Verdict.HEALTHY)] * 2
    assert server.connections == 2


def test_one_that_was_closed_meanwhile_says_nothing_of_the_host(store):
    good = answers(PLAIN, b"ok", None)
    server = Server(good, None, good)
    assert server.asked(store, HTTP, times=2) == [Finding(Verdict.HEALTHY)] * 2
    assert server.connections == 2


def test_a_ping_is_answered_between_two_checks(store):
    def pings(connection: Any, stream: int) -> None:
        answers(PLAIN, b"ok", None)(connection, stream)
        connection.ping(b"12345678")

    server = Server(pings, answers(PLAIN, b"ok", None))
    assert server.asked(store, HTTP, times=2) == [Finding(Verdict.HEALTHY)] * 2
    assert (server.connections, server.pongs) == (1, 1)


# -- grpc.health.v1 ----------------------------------------------------------------------------------------------------


def test_messages_are_those_of_protobuf():
    request, response = health_messages()
    for service in ("", "a", "s" * 127, "s" * 128, "s" * 70_000, "踏歌"):
        message = request(service=service).SerializeToString()
        assert request_message(service) == b"\0" + len(message).to_bytes(4, "big") + message
    for status in range(4):
        message = response(status=status).SerializeToString()
        assert serving_status(b"\0" + len(message).to_bytes(4, "big") + message) == status


def test_fields_of_later_versions_are_passed_over():
    message = b"\x12\x03abc" + b"\x19" + b"8" * 8 + b"\x25" + b"4" * 4 + b"\x28\x81\x01" + b"\x08\x01"
    assert serving_status(b"\0" + len(message).to_bytes(4, "big") + message) == 1


@pytest.mark.parametrize("message", [b"\x08", b"\x12\x05abc", b"\x0b", b"\x80" * 11, b"\x25444"])
def test_what_is_no_message(message):
    with pytest.raises(ValueError, match="not a HealthCheckResponse"):
        serving_status(b"\0" + len(message).to_bytes(4, "big") + message)
