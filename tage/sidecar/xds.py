"""The gRPC side of ADS: one stream to the control plane, opened again for ever. What is said on it is `ads_state`'s.

A stream that breaks is opened again after 0.5 s, then twice as long each time up to 10 s, with jitter, so that a mesh
does not come back all at once; after the first response the count starts anew. Keepalive pings notice a control plane
that is gone without a word.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from typing import Any, Protocol

import grpc
import grpc.aio
from envoy.config.core.v3 import base_pb2
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import any_pb2, json_format
from google.rpc import status_pb2

from tage.sidecar.ads_state import Request

METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
BACKOFF_FIRST = 0.5
BACKOFF_MAX = 10.0
"""Seconds."""
MAX_MESSAGE = 64 << 20
"""Bytes of one response; what the channel to the supervisor takes."""
MAX_QUEUED = 1000
"""Requests that wait for a control plane that does not read."""
MAX_ERROR = 4096
"""Characters of a NACK's detail; the log has all of it."""

_OPTIONS = (
    # gRPC servers take pings more often than every five minutes for abuse unless told otherwise; Tage's and Istio's
    # allow these. Another one ends the connection now and then, and the stream is opened again.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),  # http_proxy is for applications, and leads to a sidecar
    ("grpc.use_local_subchannel_pool", 1),
)

logger = logging.getLogger(__name__)


class Events(Protocol):
    """Who has to know, on the event loop."""

    def connected(self) -> None:
        """A stream was opened; requests may be sent until `disconnected`."""

    def disconnected(self) -> None: ...

    def response(self, type_url: str, version: str, nonce: str, resources: Sequence[any_pb2.Any]) -> None: ...


class AdsClient:
    def __init__(self, address: str, node: dict[str, Any], events: Events) -> None:
        """`address` is host:port; `node` is envoy.config.core.v3.Node as JSON. Raises `json_format.ParseError`."""
        self.address = address
        self._node = json_format.ParseDict(node, base_pb2.Node())
        self._events = events
        self._queue: asyncio.Queue[Request] = asyncio.Queue(MAX_QUEUED)
        self._answered = False

    def send(self, request: Request) -> None:
        """On the open stream. Raises `asyncio.QueueFull`, which nobody has to handle: nothing reads at the other end,
        and the agent starts again."""
        self._queue.put_nowait(request)

    async def run(self) -> None:
        """Until cancelled."""
        attempts = 0
        while True:
            self._answered = False
            reason = await self._one_stream()
            attempts = 1 if self._answered else attempts + 1
            delay = min(BACKOFF_MAX, BACKOFF_FIRST * 2.0 ** min(attempts - 1, 10)) * random.uniform(0.5, 1.0)
            log = logger.warning if attempts == 1 else logger.debug
            log("control plane %s: %s; the last configuration stays, next try in %.1f s", self.address, reason, delay)
            await asyncio.sleep(delay)

    async def _one_stream(self) -> str:
        """Returns why it ended."""
        async with grpc.aio.insecure_channel(self.address, options=_OPTIONS) as channel:
            call = channel.stream_stream(
                METHOD,
                request_serializer=discovery_pb2.DiscoveryRequest.SerializeToString,
                response_deserializer=discovery_pb2.DiscoveryResponse.FromString,
            )()
            self._queue = asyncio.Queue(MAX_QUEUED)
            writer = None
            try:
                await call.wait_for_connection()
                logger.info("control plane %s: connected", self.address)
                writer = asyncio.create_task(self._write(call))
                self._events.connected()
                async for response in call:
                    self._answered = True
                    self._events.response(
                        response.type_url, response.version_info, response.nonce, list(response.resources)
                    )
                return "it closed the stream"
            except grpc.aio.AioRpcError as error:
                return error.details() or error.code().name
            finally:
                if writer is not None:
                    writer.cancel()
                    self._events.disconnected()
                call.cancel()

    async def _write(self, call: Any) -> None:
        first = True
        try:
            while True:
                request = await self._queue.get()
                await call.write(self._message(request, with_node=first))
                first = False
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            # The reader gets the same end of the stream and reports it.
            logger.debug("control plane %s: cannot write: %s", self.address, error)

    def _message(self, request: Request, *, with_node: bool) -> discovery_pb2.DiscoveryRequest:
        """The node goes with the stream's first request; it would be the same in each."""
        message = discovery_pb2.DiscoveryRequest(
            type_url=request.type_url,
            version_info=request.version,
            response_nonce=request.nonce,
            resource_names=request.names,
        )
        if with_node:
            message.node.CopyFrom(self._node)
        if request.error:
            message.error_detail.CopyFrom(
                status_pb2.Status(code=grpc.StatusCode.INVALID_ARGUMENT.value[0], message=request.error[:MAX_ERROR])
            )
        return message
