"""Both ends of a TCP connection that a sidecar relays, played by the test. Every wait is bounded."""

from __future__ import annotations

import hashlib
import socket
import struct
import threading

from tests.e2e.ports import LOOPBACK, PATIENCE


class Origin:
    """A server that accepts when the test says so."""

    def __init__(self, port: int = 0) -> None:
        self.socket = socket.create_server((LOOPBACK, port))
        self.socket.settimeout(PATIENCE)
        self.port: int = self.socket.getsockname()[1]

    def accept(self) -> socket.socket:
        connection, _ = self.socket.accept()
        connection.settimeout(PATIENCE)
        return connection

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Origin:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(port: int) -> socket.socket:
    return socket.create_connection((LOOPBACK, port), PATIENCE)


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def read(sock: socket.socket, size: int) -> bytes:
    """So many bytes, or all until the end."""
    data = b""
    while len(data) < size and (more := sock.recv(size - len(data))):
        data += more
    return data


def ending(sock: socket.socket) -> str:
    """What becomes of a connection that says nothing more: "end", or "reset"."""
    try:
        while sock.recv(65_536):
            pass
    except ConnectionResetError:
        return "reset"
    return "end"


def ending_of(port: int) -> str:
    """As `ending`, of a new connection; a reset may come before the client has looked at it."""
    try:
        with connect(port) as sock:
            return ending(sock)
    except ConnectionResetError:
        return "reset"


class Sending(threading.Thread):
    """Sends so many pseudo-random bytes, then its end; `digest` is theirs."""

    def __init__(self, sock: socket.socket, size: int, seed: bytes) -> None:
        super().__init__(daemon=True)
        self._sock = sock
        self._left = size
        self._block = hashlib.shake_128(seed).digest(1 << 20)
        self._hash = hashlib.sha256()
        self.error: OSError | None = None
        self.start()

    def run(self) -> None:
        try:
            while self._left:
                piece = self._block[: self._left]
                self._sock.sendall(piece)
                self._hash.update(piece)
                self._left -= len(piece)
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            self.error = error

    @property
    def digest(self) -> bytes:
        self.join(PATIENCE)
        assert not self.is_alive(), "still sending"
        assert self.error is None, self.error
        return self._hash.digest()


class Receiving(threading.Thread):
    """Reads until the end."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(daemon=True)
        self._sock = sock
        self._hash = hashlib.sha256()
        self.error: OSError | None = None
        self.start()

    def run(self) -> None:
        try:
            while data := self._sock.recv(1 << 18):
                self._hash.update(data)
        except OSError as error:
            self.error = error

    @property
    def digest(self) -> bytes:
        self.join(4 * PATIENCE)
        assert not self.is_alive(), "still receiving"
        assert self.error is None, self.error
        return self._hash.digest()
