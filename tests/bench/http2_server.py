"""An HTTP/2 server of these tests, with `h2` from PyPI: answers each request whole, as the test says."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass

import h2.config
import h2.connection
import h2.errors
import h2.events

from tests.bench.server import ThreadedServer


@dataclass(frozen=True)
class Behaviour:
    body: bytes = b"x" * 100
    trailers: bool = False
    before_stall: int = -1
    """Answers until it stops once for `stall` seconds."""
    stall: float = 0.0
    reset: bool = False
    go_away: bool = False


class Server(ThreadedServer):
    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._left = behaviour.before_stall
        self._lock = threading.Lock()
        self.seen: list[dict[bytes, bytes]] = []
        super().__init__()

    def _serve(self, sock: socket.socket) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        with sock, contextlib.suppress(ConnectionError):  # a client that is not content leaves
            sock.sendall(connection.data_to_send())
            while not self._gone_away(connection) and (data := sock.recv(65536)):
                for event in connection.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        self.seen.append(dict(event.headers))
                    if isinstance(event, h2.events.DataReceived):
                        connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    if isinstance(event, h2.events.StreamEnded):
                        with self._lock:  # held through the stall: all connections wait
                            self._left -= 1
                            if self._left == 0:
                                time.sleep(self._behaviour.stall)
                        if not self._gone_away(connection):
                            self._answer(connection, event.stream_id)
                sock.sendall(connection.data_to_send())

    @staticmethod
    def _gone_away(connection: h2.connection.H2Connection) -> bool:
        return connection.state_machine.state is h2.connection.ConnectionState.CLOSED

    def _answer(self, connection: h2.connection.H2Connection, stream: int) -> None:
        behaviour = self._behaviour
        if behaviour.go_away:
            connection.close_connection(h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
        elif behaviour.reset:
            connection.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
        else:
            connection.send_headers(stream, [(":status", "200"), ("content-type", "text/plain")])
            connection.send_data(stream, behaviour.body, end_stream=not behaviour.trailers)
            if behaviour.trailers:
                connection.send_headers(stream, [("grpc-status", "0")], end_stream=True)
