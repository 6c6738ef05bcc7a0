"""Plain TCP without the event loop in between: an epoll descriptor of our own, which uvloop watches like any other.

When the loop finds it readable it calls `Reactor.turn`: the sockets that are ready are taken in a batch, each is read
into one buffer and its bytes go to its connection by a C call; what a connection writes goes to the kernel at once.
What the kernel does not take waits in the transport, bounded by who writes (`HIGH_WATER`, `pause_writing`).
docs/decisions/0001 has the measurement.

What connections put off (`flushes`) goes out at the end of each batch. Behind the ready sockets stands a probe now and
then, whose wait is everybody's (`net/overload.py`).

Events are level-triggered and a socket is read once an event: who has more to say is asked again in the next batch, so
that nobody starves the others; after `_ROUNDS` batches the loop has its turn. Connections hear of their end in a later
turn. An exception from a connection ends that connection alone.
"""

import errno
import os
import select
import socket as sockets
from collections import deque

import cython

from tage.dataplane.native import EpollEvents
from tage.dataplane.net.connection import Connection
from tage.dataplane.net.flushes import Flushes
from tage.dataplane.net.overload import Overload
from tage.dataplane.net.transport import NO_LINGER, Transport

if not cython.compiled:
    # Compiled, this name comes from the .pxd.
    from tage.dataplane import native

_IN = cython.declare(cython.uint, select.EPOLLIN)
_OUT = cython.declare(cython.uint, select.EPOLLOUT)
_ERR = cython.declare(cython.uint, select.EPOLLERR)
_HUP = cython.declare(cython.uint, select.EPOLLHUP)
_EAGAIN = cython.declare(cython.Py_ssize_t, -errno.EAGAIN)

HIGH_WATER = cython.declare(cython.Py_ssize_t, 64 * 1024)
LOW_WATER = cython.declare(cython.Py_ssize_t, 16 * 1024)
_READ = cython.declare(cython.Py_ssize_t, 256 * 1024)
_ROUNDS = cython.declare(cython.int, 4)
_PROBE_US = cython.declare(cython.longlong, 10_000)  # between two probes, at least


class Reactor:
    """One a worker, on its loop. `close` it when no connection is open any more."""

    def __init__(self, loop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._descriptor = self._epoll.fileno()
        self._events = EpollEvents()
        self._buffer = bytearray(_READ)
        self.buffer = self._buffer
        self.view = memoryview(self._buffer)
        self._dead = []
        self.overload = Overload()
        self.flushes = Flushes()
        self._probe = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._probe_sent = 0
        self._probe_next = 0
        self._batch = 0
        self._turned = 0
        self._transports = [None] * (self._probe + 1)
        self._epoll.register(self._probe, select.EPOLLIN)
        loop.add_reader(self._descriptor, self.turn)

    def attach(self, sock, connection: Connection) -> None:
        """A connected socket, which does not block, becomes the connection's; from here on the reactor closes it."""
        transport: SocketTransport = SocketTransport(self, sock, connection)
        self.register(transport, _IN)
        connection.connection_made(transport)

    def turn(self) -> None:
        """Serves what is ready."""
        transport: SocketTransport
        count: cython.int
        i: cython.int
        rounds: cython.int = 0
        now: cython.longlong = native.now_us()
        since: cython.longlong = now
        longest: cython.longlong = 0
        if self.overload.share and self._probe_sent == 0:
            self.overload.silent(now - self._turned)
        self.flushes.holding = True
        while rounds < _ROUNDS:
            rounds += 1
            count = self._events.wait(self._descriptor)
            for i in range(count):
                # One that died in this batch is not there any more. Its descriptor stays taken until the burial, so
                # that an event of it cannot be another's.
                transport = self._transports[self._events.descriptor(i)]
                if transport is not None:
                    transport.ready(self._events.mask(i))
                elif self._events.descriptor(i) == self._probe:
                    self._probed()
            if count == 0:
                break
            self.flushes.flush(self._loop)
            now = native.now_us()
            if now - since > longest:
                longest = now - since
            since = now
        self.flushes.holding = False
        self._turned = now
        if self._probe_sent == 0 and now >= self._probe_next:
            self._send_probe(now, longest)

    def _send_probe(self, now, batch):
        """Behind all that is ready now, and behind whatever else the loop has to do before the next turn. `batch`: how
        long one took of late, for who comes while a batch is served waits for all of it."""
        self._probe_sent = now
        self._probe_next = now + _PROBE_US
        self._batch = batch
        os.eventfd_write(self._probe, 1)

    def _probed(self):
        now: cython.longlong = native.now_us()
        os.eventfd_read(self._probe)
        waited: cython.longlong = now - self._probe_sent
        self.overload.measured(now, waited if waited > self._batch else self._batch)
        self._probe_sent = 0

    def register(self, transport, mask):
        while len(self._transports) <= transport.descriptor:
            self._transports.append(None)
        self._epoll.register(transport.descriptor, mask)
        self._transports[transport.descriptor] = transport

    def change(self, descriptor, mask):
        self._epoll.modify(descriptor, mask)

    def unregister(self, transport):
        self._transports[transport.descriptor] = None
        self._epoll.unregister(transport.descriptor)

    def died(self, transport):
        if not self._dead:
            self._loop.call_soon(self._bury)
        self._dead.append(transport)

    def failed(self, transport, error):
        """An exception from a connection: our bug, and its end."""
        self._loop.call_exception_handler(
            {"message": "a connection failed on what it received", "exception": error, "protocol": transport.connection}
        )

    def _bury(self):
        dead: list = self._dead
        transport: SocketTransport
        self._dead = []
        for transport in dead:
            transport.bury()

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        self._loop.remove_reader(self._descriptor)
        self._epoll.close()
        os.close(self._probe)


class SocketTransport(Transport):
    def __init__(self, reactor: Reactor, sock, connection: Connection) -> None:
        self.reactor = reactor
        self.connection = connection
        self._socket = sock
        self.descriptor = sock.fileno()
        self._mask = _IN
        self._watched = True
        self._closing = False
        self._ending = False
        self._ended = False
        self._dead = False
        self._paused = False
        self._error = None
        self._backlog = deque()
        self._sent = 0
        self._unsent = 0
        sock.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)

    # -- from the reactor ----------------------------------------------------------------------------------------------

    def ready(self, mask):
        if mask & _OUT:
            self._flush()
        if mask & ~_OUT and not self._dead:
            if self._mask & _IN:
                self._read()
            elif mask & _ERR or self._closing:
                number: cython.int = self._socket.getsockopt(sockets.SOL_SOCKET, sockets.SO_ERROR)
                self._die(OSError(number, os.strerror(number)) if number else None)
            elif mask & _HUP:
                # Both directions have ended, and what came last is not wanted yet. epoll would say so again and again.
                self._watched = False
                self.reactor.unregister(self)

    def _read(self):
        count: cython.Py_ssize_t = self.receive()
        data: bytes
        if count > 0:
            if cython.compiled:
                data = self.reactor.buffer[:count]
            else:
                data = bytes(self.reactor.buffer[:count])
            try:
                self.connection.received(data)
            except Exception as error:
                self.reactor.failed(self, error)
                self.abort()
        elif count == 0:
            self._ended = True
            self._watch()
            self.connection.eof_received()
        elif count != _EAGAIN:
            self._die(self.failure(-count))

    def receive(self):
        """Into the reactor's buffer: how many bytes; 0 at the peer's end; -errno."""
        return native.receive(self.descriptor, self.reactor.buffer, _READ)

    def send(self, data, start, size):
        """data[start : start+size]: how many bytes were taken, fewer where it would block; -errno."""
        return native.send(self.descriptor, data, start, size)

    def send_pieces(self, pieces):
        """As `send`, of all of these."""
        return native.send_pieces(self.descriptor, pieces)

    def failure(self, number):
        """The error behind a negative result."""
        return OSError(number, os.strerror(number))

    def farewell(self):
        """What is still said before the socket is closed in order."""

    def _flush(self):
        data: bytes
        count: cython.Py_ssize_t
        left: cython.Py_ssize_t
        while self._unsent:
            data = self._backlog[0]
            left = len(data) - self._sent
            count = self.send(data, self._sent, left)
            if count < 0:
                if count != _EAGAIN:
                    self._die(self.failure(-count))
                    return
                break
            self._unsent -= count
            if count < left:
                self._sent += count
                break
            self._backlog.popleft()
            self._sent = 0
        if self._unsent == 0:
            self._watch()
            if self._ending:
                self._shut()
            if self._closing:
                self.farewell()
                self._die(None)
        if self._unsent <= LOW_WATER and not self._dead and self.connection.write_paused:
            self.connection.resume_writing()

    def bury(self) -> None:
        """The end of it, told by the reactor."""
        connection: Connection = self.connection
        self.connection = None
        self._backlog.clear()
        self._socket.close()
        connection.connection_lost(self._error)

    # -- from the connection -------------------------------------------------------------------------------------------

    def write(self, data):
        count: cython.Py_ssize_t = 0
        size: cython.Py_ssize_t = len(data)
        if self._closing or self._ending or self._dead:
            return
        if self._unsent == 0:
            count = self.send(data, 0, size)
            if count == size:
                return
            if count < 0:
                if count != _EAGAIN:
                    self._die(self.failure(-count))
                    return
                count = 0
            self._sent = count
        self._backlog.append(data)
        self._unsent += size - count
        if self._unsent == size - count:
            self._watch()
        if self._unsent > HIGH_WATER and not self.connection.write_paused:
            self.connection.pause_writing()

    def write_pieces(self, pieces):
        count: cython.Py_ssize_t = 0
        size: cython.Py_ssize_t
        piece: bytes
        if self._closing or self._ending or self._dead:
            return
        if self._unsent == 0:
            count = self.send_pieces(pieces)
            if count < 0:
                if count != _EAGAIN:
                    self._die(self.failure(-count))
                    return
                count = 0
            self._sent = 0
        waits: cython.bint = self._unsent > 0
        for piece in pieces:
            size = len(piece)
            if count >= size:
                count -= size
                continue
            if count:
                self._sent = count
            self._backlog.append(piece)
            self._unsent += size - count
            count = 0
        if self._unsent == 0:
            return
        if not waits:
            self._watch()
        if self._unsent > HIGH_WATER and not self.connection.write_paused:
            self.connection.pause_writing()

    def write_eof(self):
        self._ending = True
        if self._unsent == 0 and not self._dead:
            self._shut()

    def _shut(self):
        try:
            self._socket.shutdown(sockets.SHUT_WR)
        except OSError as error:
            self._die(error)

    def pause_reading(self):
        self._paused = True
        self._watch()

    def resume_reading(self):
        self._paused = False
        self._watch()

    def _watch(self):
        """Tells epoll what is waited for now."""
        mask: cython.uint = 0
        if self._dead:
            return
        if not (self._paused or self._ended or self._closing):
            mask |= _IN
        if self._unsent:
            mask |= _OUT
        if not self._watched:
            if mask:
                self._watched = True
                self._mask = mask
                self.reactor.register(self, mask)
        elif mask != self._mask:
            self._mask = mask
            self.reactor.change(self.descriptor, mask)

    def close(self):
        if not self._closing:
            self._closing = True
            if self._unsent == 0:
                self.farewell()
                self._die(None)
            else:
                self._watch()

    def abort(self):
        self._closing = True
        self._die(None)

    def reset(self):
        if not self._dead:
            self._socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, NO_LINGER)
        self.abort()

    def unsent(self):
        return self._unsent

    def hand_over(self, connection):
        self.connection = connection

    def peer(self):
        try:
            return self._socket.getpeername()
        except OSError:
            return None  # it has gone already

    def local(self):
        try:
            return self._socket.getsockname()
        except OSError:
            return None

    def _die(self, error):
        if self._dead:
            return
        self._dead = True
        self._error = error
        if self._watched:
            self._watched = False
            self.reactor.unregister(self)
        self.reactor.died(self)
