"""A world whose clients, whose hosts, or both speak HTTP/2; the test's ends of them are those of the library `h2`, so
that our codec is not its own judge. See `tage.xprotocol_testing.world`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events

from tage.dataplane.protocols.http2.settings import Http2Settings
from tage.dataplane.streams.context import Codec
from tage.dataplane.streams.http1_downstream import Http1DownstreamConnection
from tage.dataplane.streams.http1_upstream import Http1UpstreamConnection
from tage.dataplane.streams.http2_downstream import Http2DownstreamConnection
from tage.dataplane.streams.http2_upstream import Http2UpstreamConnection
from tage.xprotocol_testing import world
from tage.xprotocol_testing.world import End

GRPC = [("content-type", "application/grpc"), ("te", "trailers")]


class Message:
    """What has come of one request or answer."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.lines: list[tuple[str, str]] = []
        self.interim: list[dict[str, str]] = []
        self.body = b""
        self.trailers: dict[str, str] | None = None
        self.ended = False
        self.reset: int | None = None

    @property
    def status(self) -> int:
        return int(self.headers[":status"])


class Peer:
    """A client or a server as the test plays it. `look` reads what has come; what `h2` answers by itself (settings,
    pings, windows where `takes_data`) goes out with it."""

    def __init__(self, end: End, server: bool, **settings: int) -> None:
        self.end = end
        config = h2.config.H2Configuration(client_side=not server, header_encoding="utf-8")
        self.h2 = h2.connection.H2Connection(config)
        if settings:
            self.h2.local_settings.update({getattr(h2.settings.SettingCodes, k): v for k, v in settings.items()})
        self.messages: dict[int, Message] = {}
        self.events: list[h2.events.Event] = []
        self.takes_data = True
        self.gone: h2.events.ConnectionTerminated | None = None
        self.h2.initiate_connection()
        self.flush()
        self.look()

    def flush(self) -> None:
        data = self.h2.data_to_send()
        if data:
            self.end.send(data)

    def look(self) -> None:
        data = self.end.takes()
        if data:
            for event in self.h2.receive_data(data):
                self._take(event)
        self.flush()

    def _take(self, event: Any) -> None:
        self.events.append(event)
        if isinstance(event, h2.events.ConnectionTerminated):
            self.gone = event
            return
        number = getattr(event, "stream_id", None)
        if not number:
            return
        message = self.messages.setdefault(number, Message())
        if isinstance(event, h2.events.RequestReceived | h2.events.ResponseReceived):
            message.headers = dict(event.headers)
            message.lines = list(event.headers)
        elif isinstance(event, h2.events.InformationalResponseReceived):
            message.interim.append(dict(event.headers))
        elif isinstance(event, h2.events.DataReceived):
            message.body += event.data
            if self.takes_data and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, number)
        elif isinstance(event, h2.events.TrailersReceived):
            message.trailers = dict(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            message.ended = True
        elif isinstance(event, h2.events.StreamReset):
            message.reset = int(event.error_code)

    # -- clients -------------------------------------------------------------------------------------------------------

    def request(
        self, *headers: tuple[str, str], method: str = "GET", path: str = "/", body: bytes | None = None,
        end: bool = True,
    ) -> int:  # fmt: skip
        number = self.h2.get_next_available_stream_id()
        lines = [(":method", method), (":scheme", "http"), (":authority", "a"), (":path", path), *headers]
        self.h2.send_headers(number, lines, end_stream=end and body is None)
        if body is not None:
            self.h2.send_data(number, body, end_stream=end)
        self.flush()
        return number

    def answer(self, number: int) -> Message:
        self.look()
        return self.messages.setdefault(number, Message())

    # -- servers -------------------------------------------------------------------------------------------------------

    def asked(self, index: int = -1) -> tuple[int, Message]:
        """A request that has come: its stream and what it is."""
        self.look()
        number = sorted(self.messages)[index]
        return number, self.messages[number]

    def respond(
        self, number: int, *headers: tuple[str, str], status: int = 200, body: bytes | None = b"ok",
        trailers: dict[str, str] | None = None, end: bool = True,
    ) -> None:  # fmt: skip
        last = end and trailers is None
        self.h2.send_headers(number, [(":status", str(status)), *headers], end_stream=last and body is None)
        if body is not None:
            self.h2.send_data(number, body, end_stream=last)
        if trailers is not None:
            self.h2.send_headers(number, list(trailers.items()), end_stream=True)
        self.flush()

    # -- both ----------------------------------------------------------------------------------------------------------

    def data(self, number: int, data: bytes, end: bool = False) -> None:
        self.h2.send_data(number, data, end_stream=end)
        self.flush()

    def reset(self, number: int, code: int = 8) -> None:
        self.h2.reset_stream(number, code)
        self.flush()


class Http2World(world.World):
    """`downstream`, `upstream`: whether HTTP/2 is spoken there. `listens` and `settings` are Http2Settings' arguments
    on each side."""

    def __init__(
        self, path: Path, hosts: int = 1, *, clients: bool = True, servers: bool = True, auto: bool = False,
        listens: dict[str, Any] | None = None, asks: dict[str, Any] | None = None, **settings: Any,
    ) -> None:  # fmt: skip
        self._clients = clients
        self._servers = Http2Settings(**(asks or {})) if servers else None
        super().__init__(path, hosts, **settings)
        self.listener.http2 = Http2Settings(**(listens or {}))
        self.listener.codec = Codec.AUTO if auto else Codec.HTTP2 if clients else Codec.HTTP1

    def add_cluster(self, name: str, hosts: int = 1, **settings: Any) -> Any:
        cluster = super().add_cluster(name, hosts, **settings)
        cluster.speak(None, self._servers)
        return cluster

    def upstream(self, host: Any) -> Any:
        if host.cluster.http2 is None:
            return Http1UpstreamConnection(host, self.context.writer)
        return Http2UpstreamConnection(host, self.context)

    def downstream(self) -> Any:
        if self.listener.codec == Codec.HTTP2:
            return Http2DownstreamConnection(self.listener)
        return Http1DownstreamConnection(self.listener)

    def client2(self, **settings: int) -> Peer:
        return Peer(self.client(), server=False, **settings)

    def server2(self, index: int = 0, capacity: int | None = None, **settings: int) -> Peer:
        return Peer(self.accept(index, capacity), server=True, **settings)

    def pair(self) -> tuple[Peer, Peer]:
        """A client and a server between whom a request has been carried."""
        client = self.client2()
        number = client.request()
        server = self.server2()
        at, _ = server.asked()
        server.respond(at)
        assert client.answer(number).ended
        return client, server
