"""The floor of TCP proxying: a relay on epoll that looks at nothing it carries. One thread, one buffer of 16 KiB,
non-blocking sockets, recv(2) and send(2): what any proxy must at least do.

Compiled by `bench.build` (Cython's pure Python mode, types in the .pxd); what runs while bytes are carried is declared
`nogil`, so the compiler has proved that it calls C only. Python takes new connections and nothing else. It does not run
uncompiled: that would be no floor.

It is no proxy to use: a connection ends as soon as either side does, and a receiver that is slow holds up all others.
"""

import select
import socket
import sys
from pathlib import Path

import cython

if cython.compiled:
    from cython.cimports.bench.system import MSG_NOSIGNAL, POLLOUT, close, epoll_wait, poll, pollfd, recv, send
    from cython.cimports.libc.errno import EAGAIN, EINTR, errno

_MOST = cython.declare(cython.int, 65536)
"""Descriptors."""
_SLOW_MS = cython.declare(cython.int, 5000)
"""How long a receiver may take nothing before its connection is given up."""


class Relay:
    def __init__(self, port: int, backend_port: int) -> None:
        self._backend = ("127.0.0.1", backend_port)
        self._socket = socket.create_server(("127.0.0.1", port), backlog=4096)
        self._socket.setblocking(False)
        self._poller = select.epoll()
        self._listener = self._socket.fileno()
        self._epoll = self._poller.fileno()
        self._poller.register(self._listener, select.EPOLLIN)
        for descriptor in range(_MOST):
            self._peers[descriptor] = -1

    def run(self) -> None:
        while True:
            self._carry()
            self._accept()

    def _accept(self) -> None:
        try:
            client, _ = self._socket.accept()
        except BlockingIOError:
            return
        try:
            backend = socket.create_connection(self._backend, timeout=5)
        except OSError as error:
            print(f"relay: cannot connect to {self._backend}: {error}", file=sys.stderr, flush=True)
            client.close()
            return
        if max(client.fileno(), backend.fileno()) >= _MOST:
            print("relay: too many connections", file=sys.stderr, flush=True)
            client.close()
            backend.close()
            return
        for side, other in ((client, backend), (backend, client)):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            side.setblocking(False)
            self._peers[side.fileno()] = other.fileno()
            self._poller.register(side, select.EPOLLIN)
        client.detach()
        backend.detach()

    # -- C only --------------------------------------------------------------------------------------------------------

    def _carry(self):
        """Until someone wants to connect."""
        i: cython.int
        count: cython.int
        asked: cython.bint = False
        while not asked:
            count = epoll_wait(self._epoll, self._events, 256, -1)
            for i in range(count):
                if self._events[i].data.fd == self._listener:
                    asked = True
                else:
                    self._forward(self._events[i].data.fd)

    def _forward(self, descriptor):
        peer: cython.int = self._peers[descriptor]
        got: cython.Py_ssize_t
        if peer < 0:
            return  # ended in this batch
        got = recv(descriptor, self._buffer, 16384, 0)
        if got > 0:
            if not self._pass_on(peer, got):
                self._end(descriptor)
        elif got == 0 or (errno != EAGAIN and errno != EINTR):
            self._end(descriptor)

    def _pass_on(self, peer, size):
        sent: cython.Py_ssize_t = 0
        count: cython.Py_ssize_t
        slow = cython.declare(pollfd)
        while sent < size:
            count = send(peer, self._buffer + sent, size - sent, MSG_NOSIGNAL)
            if count >= 0:
                sent += count
            elif errno == EAGAIN:
                slow.fd = peer
                slow.events = POLLOUT
                if poll(cython.address(slow), 1, _SLOW_MS) <= 0:
                    return False
            elif errno != EINTR:
                return False
        return True

    def _end(self, descriptor):
        peer: cython.int = self._peers[descriptor]
        self._peers[descriptor] = -1
        self._peers[peer] = -1
        close(descriptor)
        close(peer)


def main() -> None:
    """`relay FILE`: the file has the port to listen on and the backend's."""
    port, backend_port = (int(word) for word in Path(sys.argv[1]).read_text().split())
    Relay(port, backend_port).run()
