"""grpc.testing.TestService by grpcio: `python -m tests.interop.grpc.serve PORT`, on loopback, until SIGTERM."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from tests.interop.grpc.messages import (
    ECHO_INITIAL,
    ECHO_TRAILING,
    METHODS,
    SERVICE,
    Empty,
    InputResponse,
    OutputResponse,
    SimpleResponse,
)

Context = grpc.aio.ServicerContext
STREAMS = 1000
"""On a connection, as grpc-go's server has no limit and grpcio's neither by default: a proxy must live with few."""


async def _echo(context: Context) -> None:
    metadata = dict(context.invocation_metadata() or ())
    if ECHO_INITIAL in metadata:
        await context.send_initial_metadata(((ECHO_INITIAL, metadata[ECHO_INITIAL]),))
    if ECHO_TRAILING in metadata:
        context.set_trailing_metadata(((ECHO_TRAILING, metadata[ECHO_TRAILING]),))


async def _end(request: Any, context: Context) -> None:
    """With the status that the request asks for, if it does."""
    if request.HasField("response_status") and request.response_status.code:
        code = next(each for each in grpc.StatusCode if each.value[0] == request.response_status.code)
        await context.abort(code, request.response_status.message)


async def _empty(request: Any, context: Context) -> Any:
    return Empty()


async def _unary(request: Any, context: Context) -> Any:
    await _echo(context)
    await _end(request, context)
    answer = SimpleResponse()
    answer.payload.body = bytes(request.response_size)
    return answer


async def _input(requests: AsyncIterator[Any], context: Context) -> Any:
    size = 0
    async for request in requests:
        size += len(request.payload.body)
    return InputResponse(aggregated_payload_size=size)


async def _output(request: Any, context: Context) -> AsyncIterator[Any]:
    await _echo(context)
    for parameters in request.response_parameters:
        await asyncio.sleep(parameters.interval_us / 1e6)
        answer = OutputResponse()
        answer.payload.body = bytes(parameters.size)
        yield answer
    await _end(request, context)


async def _duplex(requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
    await _echo(context)
    async for request in requests:
        await _end(request, context)
        for parameters in request.response_parameters:
            await asyncio.sleep(parameters.interval_us / 1e6)
            answer = OutputResponse()
            answer.payload.body = bytes(parameters.size)
            yield answer


_HANDLERS = {
    "EmptyCall": (grpc.unary_unary_rpc_method_handler, _empty),
    "UnaryCall": (grpc.unary_unary_rpc_method_handler, _unary),
    "StreamingInputCall": (grpc.stream_unary_rpc_method_handler, _input),
    "StreamingOutputCall": (grpc.unary_stream_rpc_method_handler, _output),
    "FullDuplexCall": (grpc.stream_stream_rpc_method_handler, _duplex),
}


def handlers() -> grpc.GenericRpcHandler:
    methods = {}
    for name, (make, handler) in _HANDLERS.items():
        request, answer = METHODS[name]
        methods[name] = make(
            handler, request_deserializer=request.FromString, response_serializer=answer.SerializeToString
        )
    return grpc.method_handlers_generic_handler(SERVICE, methods)


async def _serve(port: int) -> None:
    server = grpc.aio.server(options=[("grpc.max_concurrent_streams", STREAMS), ("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((handlers(),))
    if not server.add_insecure_port(f"127.0.0.1:{port}"):
        sys.exit(f"cannot listen on port {port}")
    await server.start()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    await server.stop(None)


def main() -> None:
    asyncio.run(_serve(int(sys.argv[1])))


if __name__ == "__main__":
    main()
