"""Health checks over HTTP/2: a request, or a call of gRPC's own health service. Not compiled: it is no request's way.

The connection answers the server's SETTINGS and PINGs as they come, also between two checks, so that a server which
asks whether it is alive finds it so. The messages of grpc.health.v1 have one field each (github.com/grpc/grpc,
src/proto/grpc/health/v1/health.proto); they are written and read by hand.
"""

from __future__ import annotations

import asyncio
from typing import Any

from tage.dataplane.protocols import grpc
from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.protocols.grpc import GrpcStatus
from tage.dataplane.protocols.http2.control import Event
from tage.dataplane.protocols.http2.session import Session
from tage.dataplane.protocols.http2.settings import Http2Settings
from tage.dataplane.protocols.message import RequestHead
from tage.dataplane.protocols.writer import ByteWriter
from tage.dataplane.upstream.connect import Connector
from tage.dataplane.upstream.health.probes import (
    MAX_RECEIVED,
    USER_AGENT,
    ByteStream,
    Finding,
    Gone,
    HostProbe,
    Target,
    Verdict,
    has_header,
    judge,
)

CHECK = b"/grpc.health.v1.Health/Check"
_SERVING = 1
_SERVING_STATUS = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
_CANCEL = 8
"""RFC 9113, 7."""


class Answer:
    """What has come of one. `status` 0: no head yet; `problem`: why there will be no more of it."""

    def __init__(self) -> None:
        self.status = 0
        self.grpc_status = -1
        self.message = b""
        self.body = b""
        self.complete = False
        self.problem = ""

    def take_head(self, head: Any) -> None:
        self.status = head.status
        self.grpc_status = grpc.status_in(head.block)
        self.message = head.block.get(b"grpc-message") or b""

    def take_trailers(self, lines: bytes | None) -> None:
        if lines is None:
            return
        self.grpc_status = grpc.status_of(lines)
        for line in lines.splitlines():
            name, _, value = line.partition(b": ")
            if name == b"grpc-message":
                self.message = value


class _Http2Stream(ByteStream):
    """A client's side of HTTP/2, one request at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._out = ByteWriter()
        self._session = Session(False, Http2Settings(max_concurrent_streams=1), self._out)
        self._session.start()
        self._answer: Answer | None = None

    def received(self, data: bytes) -> None:
        self._session.feed(data)
        now = int(asyncio.get_running_loop().time() * 1000)
        while (event := self._session.read(now)) not in (Event.MORE, Event.FAILED):
            if self._answer is not None:
                self._told(event, self._answer)
        self._flush()
        if event == Event.FAILED:
            self.finish(f"HTTP/2: {self._session.error.reason}")
        self.wake()

    def _told(self, event: int, answer: Answer) -> None:
        session = self._session
        if event == Event.HEAD and session.head.status >= 200:
            answer.take_head(session.head)
            answer.complete = session.ended
        elif event == Event.DATA:
            if len(answer.body) < MAX_RECEIVED:
                answer.body += session.payload or b""
            answer.complete = session.ended
        elif event == Event.END:
            answer.take_trailers(session.trailers)
            answer.complete = True
        elif event == Event.RESET:
            answer.problem = session.problem or f"the request was reset, error {session.code}"

    def usable(self) -> bool:
        return self.open and not self.closing and not self.end and not self._session.goaway_received

    async def request(self, head: RequestHead, lines: bytes, body: bytes | None) -> Answer:
        """`lines` are its headers. Raises `Gone`."""
        session, answer = self._session, Answer()
        edits = HeaderEdits()
        edits.extra = lines
        stream = session.open(None)
        if stream is None:
            raise Gone(True, "the server takes no more requests on this connection")
        self._answer = answer
        session.send_request(stream, head, edits, body is None)
        if body is not None:
            session.send_data(stream, body, True, None)
        self._flush()
        while not answer.complete and not answer.problem:
            if self.end:
                raise Gone(answer.status == 0, self.end)
            await self.wait()
        self._answer = None
        if not stream.closed:
            session.reset(stream, _CANCEL)
            self._flush()
        return answer

    def _flush(self) -> None:
        data = self._out.take()
        if data:
            self.write(data)


class _Http2Probe(HostProbe):
    """`headers` and `named` (the check's own, which come in place of these) become lines."""

    def __init__(self, connector: Connector, target: Target, reuse: bool) -> None:
        super().__init__(connector, target, reuse)
        self._head = RequestHead()
        self._head.authority = target.hostname.encode("latin-1", "replace")
        self._head.scheme = b"http" if target.cluster.tls is None else b"https"
        self._lines = b""
        self._body: bytes | None = None

    def _prepare(self, headers: list[tuple[str, str]], own: list[tuple[str, str]]) -> None:
        """The check's `own` headers come in place of those with the same name."""
        fields = [*((name, value) for name, value in headers if not has_header(own, name)), *own]
        self._lines = "".join(
            f"{name.lower()}: {value}\r\n" for name, value in fields if name.lower() != "host"
        ).encode("latin-1", "replace")
        for name, value in own:
            if name.lower() == "host":
                self._head.authority = value.encode("latin-1", "replace")

    def _make(self) -> ByteStream:
        return _Http2Stream()

    async def _exchange(self, stream: ByteStream) -> tuple[Finding, bool]:
        assert isinstance(stream, _Http2Stream)
        answer = await stream.request(self._head, self._lines, self._body)
        if answer.problem:
            return Finding(Verdict.NETWORK, answer.problem), True
        return self._judge(answer), True

    def _judge(self, answer: Answer) -> Finding:
        raise NotImplementedError


class Http2Probe(_Http2Probe):
    """`check` is as `plan.HttpCheck`."""

    def __init__(self, connector: Connector, target: Target, reuse: bool, check: Any) -> None:
        super().__init__(connector, target, reuse)
        self._check = check
        self._head.method = check.method.encode()
        self._head.path = check.path.encode("latin-1", "replace")
        self._prepare([("user-agent", USER_AGENT)], check.headers)

    def _judge(self, answer: Answer) -> Finding:
        return judge(answer.status, self._check)


class GrpcProbe(_Http2Probe):
    """`check` is as `plan.GrpcCheck`. As in Envoy, whatever is answered but SERVING is unhealthy at once."""

    def __init__(self, connector: Connector, target: Target, reuse: bool, check: Any) -> None:
        super().__init__(connector, target, reuse)
        self._head.method = b"POST"
        self._head.path = CHECK
        self._head.body_length = -1
        own = [("content-type", "application/grpc"), ("te", "trailers"), ("user-agent", USER_AGENT)]
        self._prepare(own, check.metadata)
        self._body = request_message(check.service)

    def _judge(self, answer: Answer) -> Finding:
        status = answer.grpc_status
        if status < 0:
            status = GrpcStatus.UNKNOWN if answer.status == 200 else grpc.from_http(answer.status)
        if status != GrpcStatus.OK:
            name = GrpcStatus(grpc.known(status)).name
            said = grpc.decoded(answer.message).decode("utf-8", "replace")
            return Finding(Verdict.UNHEALTHY, f"gRPC status {status} {name}" + (f": {said[:200]}" if said else ""))
        try:
            serving = serving_status(answer.body)
        except ValueError as error:
            return Finding(Verdict.UNHEALTHY, str(error))
        if serving == _SERVING:
            return Finding(Verdict.HEALTHY)
        return Finding(Verdict.UNHEALTHY, _SERVING_STATUS[serving] if 0 <= serving <= 3 else f"status {serving}")


def request_message(service: str) -> bytes:
    """grpc.health.v1.HealthCheckRequest, with gRPC's prefix."""
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def serving_status(body: bytes) -> int:
    """`status` of the one grpc.health.v1.HealthCheckResponse in a body. Raises ValueError where there is none."""
    if len(body) < 5 or len(body) != 5 + int.from_bytes(body[1:5], "big"):
        raise ValueError("the answer is not one message of gRPC")
    if body[0]:
        raise ValueError("the answer is compressed, which was not asked for")
    status, at = 0, 5
    while at < len(body):
        tag, at = _read_varint(body, at)
        kind = tag & 7
        if kind == 0:
            value, at = _read_varint(body, at)
            if tag >> 3 == 1:
                status = value
        elif kind == 2:
            size, at = _read_varint(body, at)
            at += size
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError("the answer is not a HealthCheckResponse")
    if at > len(body):
        raise ValueError("the answer is not a HealthCheckResponse")
    return status


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(body: bytes, at: int) -> tuple[int, int]:
    """It, and what comes behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(body):
            break
        value |= (body[at] & 127) << shift
        at += 1
        if body[at - 1] < 128:
            return value, at
    raise ValueError("the answer is not a HealthCheckResponse")
