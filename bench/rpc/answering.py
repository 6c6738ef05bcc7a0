"""The RPC rows' backend: epoll, non-blocking sockets; all frames of one read are answered by one send.

Which of `WIRES` a connection speaks is seen from its first byte; what is no frame of it ends the connection. A port is
a cluster, and the answer says which. Heartbeats are answered; nobody sends it one-way calls.

Compiled by `bench.build` (Cython's pure Python mode, types in the .pxd); what runs while frames are answered is
declared `nogil`, so the compiler has proved that it calls C only. Python takes new connections and nothing else. It
does not run uncompiled.
"""

import select
import socket

import cython

from bench.rpc.wires import CLUSTERS, TOKEN, WIRES

if cython.compiled:
    from cython.cimports.bench.system import MSG_NOSIGNAL, POLLOUT, close, epoll_wait, poll, pollfd, recv, send
    from cython.cimports.libc.errno import EAGAIN, EINTR, errno
    from cython.cimports.libc.string import memcpy

_DESCRIPTORS = cython.declare(cython.int, 1024)
_READ = cython.declare(cython.int, 65536)
_ROOM = cython.declare(cython.int, 131072 - 512)
"""Of the answers' buffer; one more fits behind it."""
_TOKEN = cython.declare(cython.int, len(TOKEN))
_SLOW_MS = cython.declare(cython.int, 5000)
"""How long a receiver may take nothing before its connection is given up."""


class Backend:
    def __init__(self, ports) -> None:
        """A port to each of `CLUSTERS`."""
        self._poller = select.epoll()
        self._epoll = self._poller.fileno()
        self._sockets = []
        if len(ports) != len(CLUSTERS):
            raise ValueError(f"{len(ports)} ports for {len(CLUSTERS)} clusters")
        for number, port in enumerate(ports):
            listener = socket.create_server(("127.0.0.1", port), backlog=1024)
            listener.setblocking(False)
            self._poller.register(listener, select.EPOLLIN)
            self._sockets.append(listener)
            self._listeners[number] = listener.fileno()
        self._speeches = 0
        for wire in WIRES.values():
            self._learn(wire)

    def _learn(self, wire):
        i: cython.int
        speech: cython.pointer(Speech) = cython.address(self._speech[self._speeches])
        speech.first = wire.requests[0][0]
        lay_out(cython.address(speech.request), wire.request)
        speech.id_at, speech.id_bytes = wire.id_at, wire.id_bytes
        speech.beat_at, speech.beat_mask, speech.beat_value = wire.heartbeat
        fill(speech.beat, wire.heartbeats[1], 64)
        speech.beat_size = len(wire.heartbeats[1])
        for i in range(len(CLUSTERS)):
            fill(speech.answers[i], wire.answers[i], 512)
        speech.answer_size = len(wire.answers[0])
        speech.token_at = wire.answers[0].index(TOKEN)
        # Counted from the end: a proxy may change what stands before.
        speech.asked_token = len(wire.requests[0]) - wire.requests[0].index(TOKEN)
        self._speeches += 1

    def run(self) -> None:
        while True:
            self._serve()
            for cluster, listener in enumerate(self._sockets):
                self._accept(cluster, listener)

    def _accept(self, cluster, listener) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except BlockingIOError:
                return
            descriptor: cython.int = client.fileno()
            if descriptor >= _DESCRIPTORS:
                raise SystemExit("the RPC backend has too many connections")
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._peers[descriptor].cluster = cluster
            self._peers[descriptor].speech = -1
            self._peers[descriptor].kept = 0
            self._poller.register(client, select.EPOLLIN)
            client.detach()

    # -- C only --------------------------------------------------------------------------------------------------------

    def _serve(self):
        """Until someone wants to connect."""
        i: cython.int
        count: cython.int
        asked: cython.bint = False
        while not asked:
            count = epoll_wait(self._epoll, self._events, 128, -1)
            for i in range(count):
                if self._listens(self._events[i].data.fd):
                    asked = True
                else:
                    self._read(self._events[i].data.fd)

    def _listens(self, descriptor):
        i: cython.int
        for i in range(4):
            if self._listeners[i] == descriptor:
                return True
        return False

    def _read(self, descriptor):
        peer: cython.pointer(Peer) = cython.address(self._peers[descriptor])
        there: cython.Py_ssize_t
        done: cython.Py_ssize_t
        memcpy(self._in, peer.rest, peer.kept)
        there = recv(descriptor, self._in + peer.kept, _READ, 0)
        if there <= 0:
            if there == 0 or (errno != EAGAIN and errno != EINTR):
                close(descriptor)
            return
        if peer.speech < 0:
            peer.speech = self._speech_of(self._in[0])
        there += peer.kept
        done = self._answer_all(peer, descriptor, there) if peer.speech >= 0 else -1
        if done < 0:
            close(descriptor)
            return
        peer.kept = there - done  # less than a frame of MOST bytes
        memcpy(peer.rest, self._in + done, peer.kept)

    def _speech_of(self, first):
        i: cython.int
        for i in range(self._speeches):
            if self._speech[i].first == first:
                return i
        return -1

    def _answer_all(self, peer, descriptor, there):
        """The bytes of the whole frames in what was read, which are answered; -1: the connection is to be closed."""
        at: cython.Py_ssize_t = 0
        filled: cython.Py_ssize_t = 0
        size: cython.Py_ssize_t
        answer: cython.Py_ssize_t
        while True:
            size = frame_size(cython.address(self._speech[peer.speech].request), self._in + at, there - at)
            if size == 0:
                break
            answer = self._answer(peer, self._in + at, size, self._out + filled) if size > 0 else -1
            if answer < 0:
                return -1
            at += size
            filled += answer
            if filled > _ROOM:
                if not send_all(descriptor, self._out, filled):
                    return -1
                filled = 0
        return at if send_all(descriptor, self._out, filled) else -1

    def _answer(self, peer, frame, size, out):
        """Writes the answer to `out`; its bytes, or -1 when the frame is too short for a token."""
        speech: cython.pointer(Speech) = cython.address(self._speech[peer.speech])
        if frame[speech.beat_at] & speech.beat_mask == speech.beat_value:
            memcpy(out, speech.beat, speech.beat_size)
            memcpy(out + speech.id_at, frame + speech.id_at, speech.id_bytes)
            return speech.beat_size
        if size < speech.request.header + speech.asked_token:
            return -1
        memcpy(out, speech.answers[peer.cluster], speech.answer_size)
        memcpy(out + speech.id_at, frame + speech.id_at, speech.id_bytes)
        memcpy(out + speech.token_at, frame + size - speech.asked_token, _TOKEN)
        return speech.answer_size


def send_all(descriptor, data, size):
    """Waits for a slow receiver, but not for ever."""
    sent: cython.Py_ssize_t = 0
    count: cython.Py_ssize_t
    slow = cython.declare(pollfd)
    while sent < size:
        count = send(descriptor, data + sent, size - sent, MSG_NOSIGNAL)
        if count >= 0:
            sent += count
        elif errno == EAGAIN:
            slow.fd = descriptor
            slow.events = POLLOUT
            if poll(cython.address(slow), 1, _SLOW_MS) <= 0:
                return False
        elif errno != EINTR:
            return False
    return True
