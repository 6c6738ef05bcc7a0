"""An event loop, its clock and its transports that only the test moves."""

from __future__ import annotations

import heapq
import socket
import struct
from collections import deque
from typing import Any

from tage.dataplane.net.transport import NO_LINGER, Transport


class FakeLoop:
    """`call_later`, `call_soon` and a clock that only `run` moves."""

    def __init__(self):
        self.ms = 1_000_000
        self.calls = []
        self.order = 0
        self.soon: deque[Any] = deque()

    def clock(self):
        return self.ms * 1000

    def call_soon(self, callback, *args):
        self.soon.append((callback, args))

    def call_later(self, seconds, callback):
        self.order += 1
        call = [self.ms + seconds * 1000, self.order, callback, False]
        heapq.heappush(self.calls, call)
        return Handle(call)

    def turn(self):
        """What was due at once when the turn began."""
        for _ in range(len(self.soon)):
            callback, args = self.soon.popleft()
            callback(*args)

    def settle(self):
        """Until nothing is due at once."""
        turns = 0
        while self.soon:
            self.turn()
            turns += 1
            assert turns < 10_000, "the loop never comes to rest"

    def run(self, ms):
        """Lets `ms` milliseconds pass; gives the number of timed calls made."""
        end = self.ms + ms
        turns = 0
        self.settle()
        while self.calls and self.calls[0][0] <= end:
            at, _, callback, cancelled = heapq.heappop(self.calls)
            self.ms = max(self.ms, int(at + 0.999))
            if not cancelled:
                callback()
                self.settle()
                turns += 1
                assert turns < 100_000
        self.ms = end
        return turns


class Handle:
    def __init__(self, call):
        self.call = call

    def cancel(self):
        self.call[3] = True


class FakeTransport:
    """A uvloop transport as its protocol sees it, and the peer at its other end as the test plays it.

    The end of a connection is heard of in the loop's next turn, never within the call that causes it. What the peer
    sends while reading is paused waits, its end included; a reset does not. `unsent` is what the transport holds for a
    peer that does not take it: with some of it, `close` takes until `take_all`. With a `capacity`, what is written
    beyond that many bytes blocks within the write, as uvloop may.
    """

    local: tuple[str, int] | None = None

    def __init__(self, loop: FakeLoop, peer: tuple[str, int] | None = ("10.1.2.3", 40_000)) -> None:
        self._loop = loop
        self._peer = peer
        self._protocol: Any = None
        self._inbox: deque[bytes | None] = deque()
        self.sent = bytearray()
        self.unsent = 0
        self.capacity: int | None = None
        self.reading = True
        self.closing = False
        self.given_up = False
        self.aborted = False
        self.lingers = True
        """False: closing is to reset the connection (SO_LINGER)."""
        self.half_closes = True
        """False: as TLS, whose directions end together."""
        self.wrote_eof = False
        self.lost = False

    # -- what the protocol calls ---------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        assert type(data) is bytes, data
        assert data, "an empty write"
        assert not self.wrote_eof, "a write behind the end"
        assert not self.given_up, "a write behind the end"
        if not self.closing:
            self.sent += data
            if self.capacity is not None:
                self.capacity -= len(data)
                if self.capacity < 0:
                    self.capacity = None
                    self.block()

    def hand_over(self, connection: Any) -> None:
        self._protocol = connection

    def can_write_eof(self) -> bool:
        return self.half_closes

    def write_eof(self) -> None:
        assert self.half_closes
        assert not self.given_up
        self.wrote_eof = True

    def close(self) -> None:
        self.given_up = True
        if not self.closing:
            self.closing = True
            if not self.unsent:
                self._loop.call_soon(self._lose, None)

    def abort(self) -> None:
        if not self.aborted:
            self.closing = self.aborted = self.given_up = True
            self._loop.call_soon(self._lose, None)

    def pause_reading(self) -> None:
        assert self.reading, "paused twice"
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading, "resumed without a pause"
        self.reading = True
        self._loop.call_soon(self._deliver)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": self._peer, "sockname": self.local, "socket": self}.get(name, default)

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        assert (level, option, value) == (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.lingers = False

    def get_write_buffer_size(self) -> int:
        return self.unsent

    # -- what the peer does --------------------------------------------------------------------------------------------

    def attach(self, protocol: Any) -> None:
        self._protocol = protocol
        protocol.connection_made(Seam(self))

    def feed(self, data: bytes) -> None:
        self._inbox.append(data)
        self._deliver()

    def feed_eof(self) -> None:
        self._inbox.append(None)
        self._deliver()

    def reset(self, error: Exception | None = None) -> None:
        self.closing = True
        self._loop.call_soon(self._lose, error or ConnectionResetError(104, "Connection reset by peer"))

    def block(self) -> None:
        """The peer takes nothing: more is held than the high-water mark."""
        self.unsent = 100_000
        self._protocol.pause_writing()

    def unblock(self) -> None:
        """The peer takes everything."""
        self.unsent = 0
        self._protocol.resume_writing()
        self.take_all()

    def take_all(self) -> None:
        self.unsent = 0
        if self.closing:
            self._loop.call_soon(self._lose, None)

    @property
    def inbox(self) -> int:
        """Bytes that wait because reading is paused."""
        return sum(len(data) for data in self._inbox if data)

    def _deliver(self) -> None:
        while self._inbox and self.reading and not self.closing:
            data = self._inbox.popleft()
            if data is not None:
                self._protocol.data_received(data)
            elif not self._protocol.eof_received():
                self.close()

    def _lose(self, error: Exception | None) -> None:
        if not self.lost:
            self.lost = self.closing = True
            protocol, self._protocol = self._protocol, None
            protocol.connection_lost(error)


class Seam(Transport):
    """What a connection sees of a `FakeTransport`."""

    def __init__(self, transport) -> None:
        self._transport = transport
        self._write = transport.write

    def write(self, data):
        self._write(data)

    def write_pieces(self, pieces):
        self._write(b"".join(pieces))

    def hand_over(self, connection):
        self._transport.hand_over(connection)

    def write_eof(self):
        """Up to TLS 1.2 both directions end, after what was written has gone out."""
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def pause_reading(self):
        self._transport.pause_reading()

    def resume_reading(self):
        self._transport.resume_reading()

    def close(self):
        self._transport.close()

    def abort(self):
        self._transport.abort()

    def reset(self):
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self._transport.abort()

    def unsent(self):
        return self._transport.get_write_buffer_size()

    def peer(self):
        return self._transport.get_extra_info("peername")

    def local(self):
        return self._transport.get_extra_info("sockname")

    def tls(self):
        return self._transport.get_extra_info("ssl_object")
