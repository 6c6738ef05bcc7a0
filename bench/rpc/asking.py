"""The RPC rows' load generator: connections with at most `depth` requests under way on each, the two services in turn.
All frames of one read are looked at together, and the requests that take their places go out in one send.

A request's id is its place on the connection (low seven bits) and a number that goes on; its token is connection and id
once more, in the payload. An answer is right when its place waits for that very id and every byte but the id is that of
a cluster's answer with this request's token. A request fails when its answer is wrong, comes later than `TIMEOUT` after
it was due or not at all, or when its connection ends; it counts once and is never sent again, and a connection that
ended is replaced.

Compiled by `bench.build` (Cython's pure Python mode, types in the .pxd); what runs while requests are under way is
declared `nogil`, so the compiler has proved that it calls C only. Python takes in its place a connection that ended. It
does not run uncompiled.
"""

import array
import select
import socket

import cython

from bench.rpc.wires import CLUSTERS, TOKEN

if cython.compiled:
    from cython.cimports.bench.system import MSG_NOSIGNAL, POLLIN, epoll_wait, pollfd, ppoll, recv, send
    from cython.cimports.libc.errno import EAGAIN, EINTR, errno
    from cython.cimports.libc.string import memcmp, memcpy
    from cython.cimports.posix.time import CLOCK_MONOTONIC, clock_gettime, timespec

TIMEOUT = 5.0
"""Seconds that an answer may take from when its request was due; later is a failure."""
CONNECTIONS = 64
DEPTH = 128
"""The most that a generator has."""

_TIMEOUT = cython.declare(cython.double, TIMEOUT)
_DESCRIPTORS = cython.declare(cython.int, 1024)
_READ = cython.declare(cython.int, 65536)
_PLACE = cython.declare(cython.uint, DEPTH - 1)
"""The id's low bits."""
_TOKEN = cython.declare(cython.int, len(TOKEN))

REASONS = (
    "an answer with an id that nobody waits for",
    "another answer",
    "an answer of another service",
    f"no answer within {TIMEOUT:g} s",
    "connection closed",
    "connection lost",
    "cannot send",
    "no frame of this protocol",
)
_STRANGE = cython.declare(cython.int, 0)
_OTHER = cython.declare(cython.int, 1)
_MISROUTED = cython.declare(cython.int, 2)
_LATE = cython.declare(cython.int, 3)
_CLOSED = cython.declare(cython.int, 4)
_LOST = cython.declare(cython.int, 5)
_UNSENT = cython.declare(cython.int, 6)
_MALFORMED = cython.declare(cython.int, 7)


class Generator:
    def __init__(self, port, wire, connections, depth, routed=True) -> None:
        """Connects. `routed`: an answer must come from a cluster of the service that was asked. Raises OSError."""
        i: cython.int
        if not (0 < connections <= CONNECTIONS and 0 < depth <= DEPTH):
            raise ValueError(f"{connections} connections of depth {depth}; {CONNECTIONS} of {DEPTH} are the most")
        self._port, self._lines, self._depth, self._routed = port, connections, depth, routed
        lay_out(cython.address(self._response), wire.response)
        self._number_at = wire.id_at + wire.id_bytes - 4
        for i in range(2):
            fill(self._requests[i], wire.requests[i], 1024)
            self._request_size[i] = len(wire.requests[i])
            self._request_token[i] = wire.requests[i].index(TOKEN)
        for i in range(4):
            fill(self._answers[i], wire.answers[i], 512)
        self._answer_size = len(wire.answers[0])
        self._answer_token = wire.answers[0].index(TOKEN)
        self._marker = wire.answers[0].index(b"A" + CLUSTERS[0].encode())
        self._latencies, self._lateness, self._dues = array.array("d"), array.array("d"), array.array("d")
        self._lost = -1
        self._poller = select.epoll()
        self._epoll = self._poller.fileno()
        self._sockets = {}
        for i in range(connections):
            self._open(i)

    def saturate(self, seconds) -> float:
        """Each answer calls for another request, for so long; then the last answers are awaited. Returns the seconds
        from the first request to the last answer. Raises SystemExit when a connection cannot be replaced."""
        i: cython.int
        begin: cython.double = clock()
        self._refilling = True
        self._end = begin + seconds
        for i in range(self._lines):
            self._fill(i, begin)
        while True:
            if self._lost < 0:
                self._saturate()
            if self._lost < 0:
                break
            i = self._reopen()
            if self._refilling:
                self._fill(i, clock())
        self._give_up()
        return self._last - begin

    def pace(self, dues, count_from) -> None:
        """Requests at the times `dues` (an array of doubles, ascending; seconds of CLOCK_MONOTONIC), whatever the
        answers do; where no place is free they wait. Latencies are kept of what is due from `count_from` on. Raises
        SystemExit when a connection cannot be replaced."""
        self._dues, self._count, self._next = dues, len(dues), 0
        self._latencies, self._lateness = array.array("d", dues), array.array("d", dues)
        self._due, self._latency, self._late = (
            self._dues.data.as_doubles,
            self._latencies.data.as_doubles,
            self._lateness.data.as_doubles,
        )
        self._measured = self._punctual = 0
        self._count_from = count_from
        self._end = (dues[self._count - 1] if self._count else clock()) + _TIMEOUT
        self._refilling = self._blocked = False
        while True:
            self._pace()
            if self._lost < 0:
                break
            self._reopen()
        self._failed[_LATE] += self._count - self._next  # no place became free
        self._give_up()
        del self._latencies[self._measured :]
        del self._lateness[self._punctual :]

    @property
    def latencies(self):
        """Seconds, from when a request was due to its answer."""
        return self._latencies

    @property
    def lateness(self):
        """Seconds by which the generator itself was late where a place was free: part of the latencies."""
        return self._lateness

    @property
    def answered(self) -> int:
        """Requests that were answered rightly and in time."""
        return self._answered

    @property
    def by_cluster(self) -> dict:
        return {name: self._by_cluster[i] for i, name in enumerate(CLUSTERS)}

    @property
    def failures(self) -> dict:
        """Why -> how many."""
        return {reason: self._failed[i] for i, reason in enumerate(REASONS) if self._failed[i]}

    @property
    def wrong(self) -> bytes:
        """The first frame that was no right answer, as far as it was kept."""
        return bytes(self._wrong[: self._wrong_size])

    def close(self) -> None:
        for sock in self._sockets.values():
            sock.close()
        self._poller.close()

    # -- connections ---------------------------------------------------------------------------------------------------

    def _open(self, index):
        i: cython.int
        line: cython.pointer(Line) = cython.address(self._line[index])
        sock = socket.create_connection(("127.0.0.1", self._port), timeout=TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        if sock.fileno() >= _DESCRIPTORS:
            raise SystemExit("the RPC generator has too many descriptors")
        line.descriptor = sock.fileno()
        line.under_way = 0
        line.kept = 0
        line.free = self._depth
        for i in range(self._depth):
            line.unused[i] = i
            line.slots[i].number = 0
        self._line_of[line.descriptor] = index
        self._sockets[index] = sock
        self._poller.register(sock, select.EPOLLIN)

    def _reopen(self):
        """In place of the lost one. Its numbers go on, so that no id comes again."""
        index: cython.int = self._lost
        self._lost = -1
        self._sockets[index].close()
        try:
            self._open(index)
        except OSError as error:
            raise SystemExit(f"cannot connect again: {error.strerror or error}") from error
        return index

    def _give_up(self):
        i: cython.int
        for i in range(self._lines):
            self._failed[_LATE] += self._line[i].under_way
            self._line[i].under_way = 0

    # -- C only: the loops ---------------------------------------------------------------------------------------------

    def _saturate(self):
        """Until the last answer is there, or a connection is lost."""
        now: cython.double
        while self._lost < 0:
            now = clock()
            if now >= self._end:
                self._refilling = False
                if not self._under_way() or now >= self._end + _TIMEOUT:
                    return
            self._receive(100)

    def _pace(self):
        """The same; requests go out at their times."""
        while True:
            self._send_due()
            if self._lost >= 0 or clock() >= self._end or (self._next == self._count and not self._under_way()):
                return
            self._wait()
            if self._lost >= 0:
                return

    def _send_due(self):
        index: cython.int
        due: cython.double
        now: cython.double = clock()
        while self._next < self._count and self._lost < 0:
            due = self._due[self._next]
            if due > now:
                self._blocked = False
                return
            index = self._free_line()
            if index < 0:
                self._blocked = True
                return
            if not self._blocked and due >= self._count_from:
                self._late[self._punctual] = now - due
                self._punctual += 1
            self._next += 1
            self._put(index, due)
            self._flush(index)
            now = clock()

    def _wait(self):
        """For answers; where a place is free, until the next request is due."""
        left: cython.double = 0.05
        until = cython.declare(timespec)
        ready = cython.declare(pollfd)
        if self._next < self._count and not self._blocked:
            left = min(left, self._due[self._next] - clock())
        if left > 0:
            until.tv_sec = 0
            until.tv_nsec = cython.cast(cython.long, left * 1e9)
            ready.fd = self._epoll
            ready.events = POLLIN
            # epoll_wait() has milliseconds, which would send requests in bursts.
            if ppoll(cython.address(ready), 1, cython.address(until), cython.NULL) <= 0:
                return
        self._receive(0)

    def _free_line(self):
        """The next connection in turn that has a free place; -1: none has."""
        _: cython.int
        for _ in range(self._lines):
            self._at = self._at + 1 if self._at + 1 < self._lines else 0
            if self._line[self._at].free:
                return self._at
        return -1

    def _under_way(self):
        i: cython.int
        for i in range(self._lines):
            if self._line[i].under_way:
                return True
        return False

    # -- C only: answers -----------------------------------------------------------------------------------------------

    def _receive(self, timeout):
        i: cython.int
        count: cython.int = epoll_wait(self._epoll, self._events, 64, timeout)
        for i in range(count):
            self._read(self._line_of[self._events[i].data.fd])
            if self._lost >= 0:
                return  # the others are still ready when this one is replaced

    def _read(self, index):
        line: cython.pointer(Line) = cython.address(self._line[index])
        there: cython.Py_ssize_t
        at: cython.Py_ssize_t = 0
        size: cython.Py_ssize_t
        now: cython.double
        memcpy(self._in, line.rest, line.kept)
        there = recv(line.descriptor, self._in + line.kept, _READ, 0)
        if there <= 0:
            if there == 0:
                self._lose(index, _CLOSED)
            elif errno != EAGAIN and errno != EINTR:
                self._lose(index, _LOST)
            return
        there += line.kept
        now = clock()
        while True:
            size = frame_size(cython.address(self._response), self._in + at, there - at)
            if size <= 0:
                break
            self._look_at(index, self._in + at, size, now)
            at += size
        if size < 0:
            self._fail(_MALFORMED, self._in + at, there - at)
            self._lose(index, _MALFORMED)
            return
        line.kept = there - at  # less than a frame of MOST bytes
        memcpy(line.rest, self._in + at, line.kept)
        if self._refilling:
            self._fill(index, now)

    def _look_at(self, index, frame, size, now):
        line: cython.pointer(Line) = cython.address(self._line[index])
        number: cython.uint = number_at(frame + self._number_at)
        place: cython.int = number & _PLACE
        slot: cython.pointer(Slot) = cython.address(line.slots[place])
        cluster: cython.int
        if number == 0 or place >= self._depth or slot.number != number:
            self._fail(_STRANGE, frame, size)
            return
        slot.number = 0
        line.unused[line.free] = place
        line.free += 1
        line.under_way -= 1
        self._last = now
        cluster = self._cluster_of(frame, size, index, number)
        if cluster < 0:
            self._fail(_OTHER, frame, size)
        elif self._routed and cluster >> 1 != slot.service:
            self._fail(_MISROUTED, frame, size)
        elif now - slot.due > _TIMEOUT:
            self._fail(_LATE, frame, size)
        else:
            self._answered += 1
            self._by_cluster[cluster] += 1
            if self._count and slot.due >= self._count_from:
                self._latency[self._measured] = now - slot.due
                self._measured += 1

    def _cluster_of(self, frame, size, index, number):
        """Whose answer this is; -1 when a byte beside the id is another, the token's included."""
        token: cython.uchar[8]
        cluster: cython.int
        answer: cython.p_uchar
        body: cython.int = self._number_at + 4
        after: cython.int = self._answer_token + _TOKEN
        if size != self._answer_size:
            return -1
        cluster = cython.cast(cython.int, frame[self._marker]) - 0x41
        if cluster < 0 or cluster > 3:
            return -1
        answer = self._answers[cluster]
        put_token(token, index, number)
        if (
            memcmp(frame, answer, self._number_at)
            or memcmp(frame + body, answer + body, self._answer_token - body)
            or memcmp(frame + self._answer_token, token, _TOKEN)
            or memcmp(frame + after, answer + after, size - after)
        ):
            return -1
        return cluster

    # -- C only: requests ----------------------------------------------------------------------------------------------

    def _fill(self, index, due):
        """Puts a request on each free place of a connection, and sends them together."""
        while self._line[index].free:
            self._put(index, due)
        self._flush(index)

    def _put(self, index, due):
        """A request that `_flush` will send; there is a free place for it."""
        line: cython.pointer(Line) = cython.address(self._line[index])
        service: cython.int = self._turn & 1
        place: cython.int
        number: cython.uint
        to: cython.p_uchar = self._out + self._filled
        self._turn += 1
        line.free -= 1
        line.under_way += 1
        place = line.unused[line.free]
        line.sequence = line.sequence + 1 if line.sequence < 0x1FFFFFF else 1
        number = line.sequence * (_PLACE + 1) + place
        line.slots[place].number = number
        line.slots[place].service = service
        line.slots[place].due = due
        memcpy(to, self._requests[service], self._request_size[service])
        put_number(to + self._number_at, number)
        put_token(to + self._request_token[service], index, number)
        self._filled += self._request_size[service]

    def _flush(self, index):
        size: cython.Py_ssize_t = self._filled
        self._filled = 0
        # What may be under way fits into an empty socket buffer: one that is full is a proxy that reads nothing.
        if size and send(self._line[index].descriptor, self._out, size, MSG_NOSIGNAL) != size:
            self._lose(index, _UNSENT)

    # -- C only: failures ----------------------------------------------------------------------------------------------

    def _fail(self, kind, frame, size):
        self._failed[kind] += 1
        if self._wrong_size == 0:
            self._wrong_size = min(size, 512)
            memcpy(self._wrong, frame, self._wrong_size)

    def _lose(self, index, kind):
        """The connection ends with all that is under way on it: as many failures, but one at least."""
        line: cython.pointer(Line) = cython.address(self._line[index])
        self._failed[kind] += max(line.under_way, 1)
        line.under_way = 0
        self._lost = index


# -- C only ------------------------------------------------------------------------------------------------------------


def clock():
    now = cython.declare(timespec)
    clock_gettime(CLOCK_MONOTONIC, cython.address(now))
    return now.tv_sec + now.tv_nsec * 1e-9


def put_number(to, number):
    to[0] = number >> 24
    to[1] = number >> 16 & 0xFF
    to[2] = number >> 8 & 0xFF
    to[3] = number & 0xFF


def number_at(frame):
    i: cython.int
    number: cython.uint = 0
    for i in range(4):
        number = number << 8 | frame[i]
    return number


def put_token(to, line, number):
    """48 bits as eight printable characters."""
    i: cython.int
    value: cython.ulonglong = cython.cast(cython.ulonglong, line) << 32 | number
    for i in range(8):
        to[i] = cython.cast(cython.uchar, 0x30 + (value >> (6 * i) & 0x3F))
