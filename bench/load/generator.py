"""What the open-loop generators share: connections, requests that fall due, failures. Subclasses say what is asked and
which answer is right: `openloop` (the benchmarks) and `bench.soak.load`.

The loop is open (`pacing`), or closed (`_send_at_once`): each connection sends as soon as it is answered.

A connection has at most one request under way. A request fails when it cannot be sent, when its answer is wrong, when
the connection ends, or when the answer is not there `TIMEOUT` after it was due; it counts once and is never sent again,
and its connection is replaced. A connection that ends without a request, or gets bytes that nobody asked for, is a
failure too.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from bench.load.pacing import TIMEOUT, Pacing


class Connection:
    """One keep-alive connection; `due` is 0 when no request is under way. `expected` is the subclass's."""

    __slots__ = ("due", "expected", "received", "sent", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.due = 0.0
        self.sent = 0.0
        self.expected = b""
        self.received = b""


class Generator(Pacing[Connection]):
    def __init__(self, connect: Callable[[], socket.socket], connections: int, seed: int) -> None:
        """`connect` returns a connected socket that does not block, or raises OSError."""
        super().__init__(seed)
        self._connect = connect
        self._connections: dict[int, Connection] = {}
        self._idle: deque[Connection] = deque()
        for _ in range(connections):
            self._open()

    # -- the subclass's ------------------------------------------------------------------------------------------------

    def _request(self, connection: Connection) -> bytes:
        """The next request; small enough for an empty socket buffer to take it whole."""
        raise NotImplementedError

    def _look_at(self, connection: Connection) -> None:
        """More of an answer is there. Calls `_answered` when it is whole and right, `_fail` when it is wrong."""
        raise NotImplementedError

    def _count_failure(self, reason: str) -> None:
        raise NotImplementedError

    # -- the loops -----------------------------------------------------------------------------------------------------

    def _send_at_once(self, end: float) -> None:
        while (now := time.monotonic()) < end:
            while self._idle:
                self._send(self._idle.popleft(), now)
            self._receive(self.check_every)
            self._look_for_late(now)

    def _drain(self, deadline: float) -> None:
        """Until the last answer; what is not there at the deadline has failed."""
        while (self._waiting or self._under_way()) and time.monotonic() < deadline:
            self._receive(0.05)
        for _ in self._waiting:
            self._count_failure("never sent: no connection became free")
        for _ in self._under_way():
            self._count_failure(self._no_answer)

    def _under_way(self) -> list[Connection]:
        return [connection for connection in self._connections.values() if connection.due]

    # -- requests and answers ------------------------------------------------------------------------------------------

    def _send(self, connection: Connection, due: float) -> None:
        request = self._request(connection)
        connection.due = due
        connection.sent = time.monotonic()
        try:
            sent = connection.sock.send(request)
        except OSError as error:
            self._fail(connection, f"cannot send: {error.strerror}")
            return
        if sent != len(request):
            self._fail(connection, f"only {sent} of {len(request)} bytes could be sent")

    def _free(self) -> Connection | None:
        return self._idle.popleft() if self._idle else None

    def _take_events(self, timeout: float) -> None:
        for descriptor, _ in self._poller.poll(timeout):
            connection = self._connections[descriptor]
            try:
                # More than a TLS record: nothing stays behind in the TLS layer, where epoll would not see it.
                data = connection.sock.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError):
                continue
            except OSError as error:
                self._fail(connection, f"connection lost: {error.strerror}")
                continue
            if not data:
                self._fail(connection, "connection closed" if connection.due else "idle connection closed")
                continue
            connection.received += data
            if connection.due:
                self._look_at(connection)
            else:
                self._fail(connection, f"bytes that nobody asked for: {connection.received[:80]!r}")

    def _answered(self, connection: Connection) -> None:
        """The connection is free for another request."""
        connection.received = b""
        connection.due = 0.0
        self._idle.append(connection)

    def _look_for_late(self, now: float) -> None:
        for connection in self._under_way():
            if self._is_late(connection.due, now):
                self._fail(connection, self._no_answer)

    # -- connections ---------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        connection = Connection(self._connect())
        self._connections[connection.sock.fileno()] = connection
        self._poller.register(connection.sock, select.EPOLLIN)
        self._idle.append(connection)

    def _fail(self, connection: Connection, reason: str) -> None:
        self._count_failure(reason)
        del self._connections[connection.sock.fileno()]
        self._poller.unregister(connection.sock)
        with suppress(ValueError):
            self._idle.remove(connection)
        connection.sock.close()
        try:
            self._open()
        except OSError as error:
            raise SystemExit(f"cannot connect again: {error.strerror or error}") from error

    def _close(self) -> None:
        for connection in self._connections.values():
            connection.sock.close()
        self._poller.close()


def connect_plain(host: str, port: int) -> socket.socket:
    sock = socket.create_connection((host, port), timeout=TIMEOUT)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    return sock


def fine_timers() -> None:
    """Asks the kernel not to round this process's waits up by its usual 50 us."""
    with suppress(OSError), open("/proc/self/timerslack_ns", "w") as slack:  # without it waits are a little longer
        slack.write("1")
