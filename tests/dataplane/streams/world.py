"""A world whose clients and hosts speak HTTP/1.1: see `tage.xprotocol_testing.world`."""

from __future__ import annotations

from typing import Any

from tage.dataplane.streams.http1_downstream import Http1DownstreamConnection
from tage.dataplane.streams.http1_upstream import Http1UpstreamConnection
from tage.xprotocol_testing import world
from tage.xprotocol_testing.world import SLOT_MS, Dialling, End

__all__ = ["GET", "OK", "POST", "SLOT_MS", "UNAVAILABLE", "Dialling", "End", "World"]

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"


class World(world.World):
    def upstream(self, host: Any) -> Any:
        return Http1UpstreamConnection(host, self.context.writer)

    def downstream(self) -> Any:
        return Http1DownstreamConnection(self.listener)

    def warm(self) -> End:
        """A server with one free connection, which has carried one request."""
        client = self.client(GET)
        server = self.accept()
        server.takes()
        server.send(OK)
        assert client.takes() == OK
        client.end()
        assert client.closed
        return server
