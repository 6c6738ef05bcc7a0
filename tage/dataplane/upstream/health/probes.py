"""One health check of one host: a request over HTTP/1.1, or a connection and some bytes (`http2_probes`: over HTTP/2).
Not compiled: it is no request's way.

A probe has a connection of its own, outside the host's pool and the circuit breakers, and keeps it for the next time
where it may (reuse_connection). The caller limits the time, by cancelling.
"""

from __future__ import annotations

import asyncio
import enum
import os
from typing import Any, NamedTuple

from tage.dataplane.net.connection import Connection
from tage.dataplane.net.proxy_protocol import encode
from tage.dataplane.protocols.http1.decoder import Progress
from tage.dataplane.protocols.http1.response import ResponseDecoder
from tage.dataplane.upstream.connect import Connector, NotSecured

USER_AGENT = "Tage/HC"
MAX_RECEIVED = 65_536
"""Of what a TCP check waits for: what comes beyond it and does not match is a failure."""


_OK = [(200, 201)]


class Verdict(enum.Enum):
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    """It answered, and said that it is not healthy."""
    RETRIABLE = "retriable"
    """It answered something that counts towards the threshold only."""
    NETWORK = "network"
    """It did not answer."""


class Finding(NamedTuple):
    verdict: Verdict
    reason: str = ""


class Target(NamedTuple):
    """What `Connector` connects to. `cluster` is a `Cluster`: its TLS, keepalive and PROXY header count."""

    cluster: Any
    address: str
    port: int
    hostname: str
    """Of HTTP checks: the Host header."""


class Gone(Exception):
    """The connection was closed before there was an answer. `silent`: not a byte had come."""

    def __init__(self, silent: bool, reason: str) -> None:
        super().__init__(reason)
        self.silent = silent


class ByteStream(Connection):
    """Bytes as they come, for one who awaits them."""

    def __init__(self) -> None:
        Connection.__init__(self)
        self._chunks: list[bytes] = []
        self._ended = ""
        self._waiter: asyncio.Future[None] | None = None

    def received(self, data: bytes) -> None:
        self._chunks.append(data)
        if sum(map(len, self._chunks)) > MAX_RECEIVED:
            self.pause_reading()
        self.wake()

    def ended(self) -> bool:
        self.finish("the connection was closed")
        return False

    def lost(self, error: Any) -> None:
        if isinstance(error, OSError) and error.errno:
            self.finish(os.strerror(error.errno))
        self.finish("the connection was closed")

    def finish(self, why: str) -> None:
        """There is no more."""
        self._ended = self._ended or why
        self.wake()

    def expire(self) -> None:
        raise AssertionError("it is on no timer wheel")

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def usable(self) -> bool:
        """For another check: nothing has come unasked."""
        return self.open and not self.closing and not self._ended and not self._chunks

    async def read(self) -> bytes:
        """Some bytes; empty at the end."""
        if not self._chunks and not self._ended:
            await self.wait()
        data = b"".join(self._chunks)
        self._chunks.clear()
        self.resume_reading()
        return data

    async def wait(self) -> None:
        """Until `wake`."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    @property
    def end(self) -> str:
        """Why there is no more."""
        return self._ended


class HostProbe:
    """What all checks have in common: a connection, and what may become of it."""

    def __init__(self, connector: Connector, target: Target, reuse: bool) -> None:
        self._connector = connector
        self._target = target
        self._reuse = reuse
        self._stream: ByteStream | None = None

    async def ask(self) -> Finding:
        """Cancelled, it has closed its connection."""
        stream = self._stream
        self._stream = None
        reused = stream is not None and stream.usable()
        try:
            if stream is None or not reused:
                if stream is not None:
                    stream.abort()
                stream = await self._connect()
            try:
                finding, keep = await self._exchange(stream)
            except Gone as gone:
                if not reused or not gone.silent:
                    return Finding(Verdict.NETWORK, str(gone))
                # It was closing when the request met it, and says nothing about the host.
                stream.abort()
                stream = await self._connect()
                finding, keep = await self._exchange(stream)
            if keep and self._reuse and stream.usable():
                self._stream, stream = stream, None
            return finding
        except Gone as gone:
            return Finding(Verdict.NETWORK, str(gone))
        except NotSecured as error:
            return Finding(Verdict.NETWORK, f"TLS error: {error}")
        except OSError as error:
            return Finding(Verdict.NETWORK, os.strerror(error.errno) if error.errno else str(error))
        except (ValueError, OverflowError) as error:
            return Finding(Verdict.NETWORK, str(error))
        finally:
            if stream is not None:
                stream.abort()

    async def _connect(self) -> ByteStream:
        version = self._target.cluster.proxy_protocol
        preface = encode(version, None, None) if version else b""
        return await self._connector.attach(self._target, lambda _: self._make(), preface)

    def _make(self) -> ByteStream:
        return ByteStream()

    async def _exchange(self, stream: ByteStream) -> tuple[Finding, bool]:
        """And whether the connection can carry another. Raises `Gone`."""
        raise NotImplementedError

    def close(self) -> None:
        if self._stream is not None:
            self._stream.abort()
            self._stream = None


class HttpProbe(HostProbe):
    """`check` is as `plan.HttpCheck`."""

    def __init__(self, connector: Connector, target: Target, reuse: bool, check: Any) -> None:
        super().__init__(connector, target, reuse)
        self._check = check
        headers = {"host": ("Host", target.hostname), "user-agent": ("User-Agent", USER_AGENT)}
        lines = [f"{check.method} {check.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for key, (name, value) in headers.items() if not has_header(check.headers, key)]
        lines += [f"{name}: {value}" for name, value in check.headers]
        if not reuse:
            lines.append("Connection: close")
        self._request = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")

    async def _exchange(self, stream: ByteStream) -> tuple[Finding, bool]:
        decoder = ResponseDecoder()
        decoder.to_head = self._check.method == "HEAD"
        stream.write(self._request)
        silent = True
        while True:
            progress = decoder.read_head()
            if progress == Progress.READY and decoder.head.status >= 200:
                break
            if progress == Progress.FAILED or (progress == Progress.READY and decoder.head.status == 101):
                return Finding(Verdict.NETWORK, "the answer is not HTTP/1.1"), False
            if progress == Progress.READY:
                decoder.read_body()
                continue
            data = await stream.read()
            if not data:
                raise Gone(silent, stream.end)
            silent = False
            decoder.feed(data)
        status = decoder.head.status
        await self._rest(stream, decoder)
        return judge(status, self._check), decoder.keep_alive and not decoder.buffered()

    async def _rest(self, stream: ByteStream, decoder: ResponseDecoder) -> None:
        """The body, which nobody wants."""
        while (progress := decoder.read_body()) != Progress.READY:
            if progress == Progress.FAILED:
                raise Gone(False, "the answer's body is not HTTP/1.1")
            data = await stream.read()
            if not data:
                if decoder.finish() == Progress.READY:
                    return
                raise Gone(False, stream.end)
            decoder.feed(data)

class TcpProbe(HostProbe):
    """`check` is as `plan.TcpCheck`."""

    def __init__(self, connector: Connector, target: Target, reuse: bool, check: Any) -> None:
        super().__init__(connector, target, reuse)
        self._check = check

    async def _exchange(self, stream: ByteStream) -> tuple[Finding, bool]:
        if self._check.send:
            stream.write(self._check.send)
        received = b""
        while not _in_order(received, self._check.receive):
            data = await stream.read()
            if not data:
                raise Gone(not received, stream.end)
            received += data
            if len(received) > MAX_RECEIVED:
                return Finding(Verdict.NETWORK, f"what was expected is not in {MAX_RECEIVED} bytes"), False
        return Finding(Verdict.HEALTHY), bool(self._check.receive)


def judge(status: int, check: Any) -> Finding:
    """What a `plan.HttpCheck` makes of an answer."""
    if _within(status, check.expected or _OK):
        return Finding(Verdict.HEALTHY)
    retriable = _within(status, check.retriable)
    return Finding(Verdict.RETRIABLE if retriable else Verdict.UNHEALTHY, f"status {status}")


def has_header(headers: list[tuple[str, str]], key: str) -> bool:
    return any(name.lower() == key for name, _ in headers)


def _within(status: int, ranges: list[tuple[int, int]]) -> bool:
    return any(first <= status < end for first, end in ranges)


def _in_order(received: bytes, blocks: list[bytes]) -> bool:
    """Each somewhere behind the one before."""
    at = 0
    for block in blocks:
        at = received.find(block, at)
        if at < 0:
            return False
        at += len(block)
    return True
