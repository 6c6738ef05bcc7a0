"""The cases as grpcio's client: each a function of a channel, and asserts what
doc/interop-test-descriptions.md of grpc/grpc asks for."""

from __future__ import annotations

import itertools
import queue
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from tests.interop.grpc.messages import (
    ECHO_INITIAL,
    ECHO_TRAILING,
    METHODS,
    SERVICE,
    Empty,
    InputRequest,
    OutputRequest,
    SimpleRequest,
)

SECONDS = 30.0
LARGE_REQUEST, LARGE_ANSWER = 271828, 314159
REQUESTS, ANSWERS = (27182, 8, 1828, 45904), (31415, 9, 2653, 58979)
METADATA = ((ECHO_INITIAL, "test_initial_metadata_value"), (ECHO_TRAILING, b"\xab\xab\xab"))
SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP \U0001f608\t\n"

_KINDS = {
    "EmptyCall": "unary_unary",
    "UnaryCall": "unary_unary",
    "StreamingInputCall": "stream_unary",
    "StreamingOutputCall": "unary_stream",
    "FullDuplexCall": "stream_stream",
}


def stub(channel: grpc.Channel, method: str) -> Any:
    request, answer = METHODS[method]
    make = getattr(channel, _KINDS[method])
    serialize, parse = request.SerializeToString, answer.FromString
    return make(f"/{SERVICE}/{method}", request_serializer=serialize, response_deserializer=parse)


def simple(answer: int = 0, payload: int = 0, code: int = 0, message: str = "") -> Any:
    made = SimpleRequest(response_size=answer)
    made.payload.body = bytes(payload)
    if code:
        made.response_status.code, made.response_status.message = code, message
    return made


def output(*sizes: int, payload: int = 0, code: int = 0, message: str = "") -> Any:
    made = OutputRequest()
    for size in sizes:
        made.response_parameters.add(size=size)
    made.payload.body = bytes(payload)
    if code:
        made.response_status.code, made.response_status.message = code, message
    return made


class Asking:
    """Requests of a stream, one after the other as the test puts them in."""

    def __init__(self, *requests: Any) -> None:
        self._queue: queue.Queue[Any] = queue.Queue()
        for request in requests:
            self.put(request)

    def put(self, request: Any) -> None:
        self._queue.put(request)

    def end(self) -> None:
        self._queue.put(None)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._queue.get, None)


def failed(call: Callable[[], object]) -> Any:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value


def empty_unary(channel: grpc.Channel) -> None:
    assert stub(channel, "EmptyCall")(Empty(), timeout=SECONDS) == Empty()


def large_unary(channel: grpc.Channel) -> None:
    answer = stub(channel, "UnaryCall")(simple(LARGE_ANSWER, LARGE_REQUEST), timeout=SECONDS)
    assert answer.payload.body == bytes(LARGE_ANSWER)


def client_streaming(channel: grpc.Channel) -> None:
    def requests() -> Iterator[Any]:
        for size in REQUESTS:
            request = InputRequest()
            request.payload.body = bytes(size)
            yield request

    answer = stub(channel, "StreamingInputCall")(requests(), timeout=SECONDS)
    assert answer.aggregated_payload_size == sum(REQUESTS)


def server_streaming(channel: grpc.Channel) -> None:
    answers = stub(channel, "StreamingOutputCall")(output(*ANSWERS), timeout=SECONDS)
    assert [answer.payload.body for answer in answers] == [bytes(size) for size in ANSWERS]


def ping_pong(channel: grpc.Channel) -> None:
    asking = Asking()
    answers = stub(channel, "FullDuplexCall")(iter(asking), timeout=SECONDS)
    for request, answer in zip(REQUESTS, ANSWERS, strict=True):
        asking.put(output(answer, payload=request))
        assert next(answers).payload.body == bytes(answer)
    asking.end()
    assert list(answers) == []
    assert answers.code() is grpc.StatusCode.OK


def empty_stream(channel: grpc.Channel) -> None:
    answers = stub(channel, "FullDuplexCall")(iter(()), timeout=SECONDS)
    assert list(answers) == []
    assert answers.code() is grpc.StatusCode.OK


def cancel_after_begin(channel: grpc.Channel) -> None:
    asking = Asking()
    call = stub(channel, "StreamingInputCall").future(iter(asking), timeout=SECONDS)
    call.cancel()
    assert call.cancelled()
    assert call.code() is grpc.StatusCode.CANCELLED
    asking.end()


def cancel_after_first_response(channel: grpc.Channel) -> None:
    asking = Asking(output(ANSWERS[0], payload=REQUESTS[0]))
    answers = stub(channel, "FullDuplexCall")(iter(asking), timeout=SECONDS)
    assert next(answers).payload.body == bytes(ANSWERS[0])
    answers.cancel()
    assert failed(lambda: next(answers)).code() is grpc.StatusCode.CANCELLED
    asking.end()


def timeout_on_sleeping_server(channel: grpc.Channel) -> None:
    asking = Asking(output(payload=REQUESTS[0]))
    answers = stub(channel, "FullDuplexCall")(iter(asking), timeout=0.001)
    assert failed(lambda: next(answers)).code() is grpc.StatusCode.DEADLINE_EXCEEDED
    asking.end()


def custom_metadata(channel: grpc.Channel) -> None:
    _, unary = stub(channel, "UnaryCall").with_call(
        simple(LARGE_ANSWER, LARGE_REQUEST), timeout=SECONDS, metadata=METADATA
    )
    duplex = stub(channel, "FullDuplexCall")(
        iter([output(LARGE_ANSWER, payload=LARGE_REQUEST)]), timeout=SECONDS, metadata=METADATA
    )
    assert [len(answer.payload.body) for answer in duplex] == [LARGE_ANSWER]
    for call in (unary, duplex):
        assert METADATA[0] in [tuple(each) for each in call.initial_metadata()]
        assert METADATA[1] in [tuple(each) for each in call.trailing_metadata()]


def _status(channel: grpc.Channel, message: str, *, duplex: bool) -> None:
    unary = failed(lambda: stub(channel, "UnaryCall")(simple(code=2, message=message), timeout=SECONDS))
    errors = [unary]
    if duplex:
        answers = stub(channel, "FullDuplexCall")(iter([output(code=2, message=message)]), timeout=SECONDS)
        errors.append(failed(lambda: next(answers)))
    for error in errors:
        assert error.code() is grpc.StatusCode.UNKNOWN
        assert error.details() == message


def status_code_and_message(channel: grpc.Channel) -> None:
    _status(channel, "test status message", duplex=True)


def special_status_message(channel: grpc.Channel) -> None:
    _status(channel, SPECIAL, duplex=False)


def _unimplemented(channel: grpc.Channel, path: str) -> None:
    call = channel.unary_unary(path, request_serializer=Empty.SerializeToString, response_deserializer=Empty.FromString)
    assert failed(lambda: call(Empty(), timeout=SECONDS)).code() is grpc.StatusCode.UNIMPLEMENTED


def unimplemented_method(channel: grpc.Channel) -> None:
    _unimplemented(channel, f"/{SERVICE}/UnimplementedCall")


def unimplemented_service(channel: grpc.Channel) -> None:
    _unimplemented(channel, "/grpc.testing.UnimplementedService/UnimplementedCall")


def in_turn(channel: grpc.Channel, calls: int = 200) -> None:
    """Not of the list: many calls on one connection, each with an answer of its own size."""
    call = stub(channel, "UnaryCall")
    sizes = list(itertools.islice(itertools.cycle((0, 1, 100, 16384, 70000)), calls))
    pending = [call.future(simple(size), timeout=SECONDS) for size in sizes]
    assert [len(each.result().payload.body) for each in pending] == sizes


CASES: dict[str, Callable[[grpc.Channel], None]] = {
    case.__name__: case
    for case in (
        empty_unary,
        large_unary,
        client_streaming,
        server_streaming,
        ping_pong,
        empty_stream,
        cancel_after_begin,
        cancel_after_first_response,
        timeout_on_sleeping_server,
        custom_metadata,
        status_code_and_message,
        special_status_message,
        unimplemented_method,
        unimplemented_service,
    )
}
"""By the names that grpc-go's client knows them by."""
