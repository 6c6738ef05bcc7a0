"""The reactor's transports over loopback, seen from a `Connection` and from a plain socket on the other side."""

import asyncio
import contextlib
import gc
import os
import resource
import socket
import struct
import time
import weakref

import pytest
import uvloop

from tage.dataplane.net.chains import EVERYTHING, Chain
from tage.dataplane.net.connection import Connection
from tage.dataplane.net.entrance import Entrance
from tage.dataplane.net.listener import AcceptingSocket
from tage.dataplane.net.reactor import Reactor


class Recorder(Connection):
    """Writes down what it hears; `keep` is what it answers to the peer's end."""

    def __init__(self, keep=False):
        super().__init__()
        self.events = []
        self.data = bytearray()
        self.keep = keep
        self.inside = False
        self.on_data = None

    def opened(self):
        self.events.append("opened")

    def received(self, data):
        self.inside = True
        try:
            self.data += data
            if self.on_data:
                self.on_data(self, data)
        finally:
            self.inside = False

    def ended(self):
        self.events.append("ended")
        return self.keep

    def lost(self, error):
        assert not self.inside, "the end was told from within a call"
        self.events.append(("lost", type(error).__name__ if error else None))

    def congested(self):
        self.events.append("congested")

    def drained(self):
        self.events.append("drained")

    @property
    def gone(self):
        return bool(self.events) and self.events[-1][0] == "lost"


class Bench:
    """A reactor on the running loop, and connected pairs of (connection, plain socket)."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.reactor = Reactor(self.loop)
        self.failures = []
        self.loop.set_exception_handler(lambda _, context: self.failures.append(context))

    def pair(self, connection=None):
        with socket.create_server(("127.0.0.1", 0)) as server:
            peer = socket.create_connection(server.getsockname())
            sock, _ = server.accept()
        sock.setblocking(False)
        peer.setblocking(False)
        connection = connection or Recorder()
        self.reactor.attach(sock, connection)
        return connection, peer

    async def until(self, condition):
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    async def read(self, peer, size):
        data = bytearray()
        async with asyncio.timeout(5):
            while len(data) < size:
                more = await self.loop.sock_recv(peer, 1 << 20)
                if not more:
                    break
                data += more
        return bytes(data)


@pytest.fixture(params=["uvloop", "asyncio"])
def run(request):
    """Runs `scenario(bench)` on a new loop; nothing of the reactor's may be left open after it."""

    def runner(scenario):
        async def main():
            before = set(os.listdir("/proc/self/fd"))
            bench = Bench()
            await scenario(bench)
            await asyncio.sleep(0.01)
            bench.reactor.close()
            assert bench.failures == []
            assert len(set(os.listdir("/proc/self/fd")) - before) <= 1  # the listing's own

        if request.param == "uvloop":
            uvloop.run(main())
        else:
            asyncio.run(main())

    return runner


def test_bytes_go_both_ways_and_the_end_is_told_once(run):
    async def scenario(bench):
        connection, peer = bench.pair()
        peer.sendall(b"question")
        await bench.until(lambda: connection.data == b"question")
        connection.write(b"ans")
        connection.write(b"wer")
        assert await bench.read(peer, 6) == b"answer"
        assert connection.peer_host() == "127.0.0.1"
        peer.close()
        await bench.until(lambda: connection.gone)
        assert connection.events == ["opened", "ended", ("lost", None)]

    run(scenario)


def test_a_slow_reader_is_waited_for(run):
    async def scenario(bench):
        connection, peer = bench.pair()
        chunks = [os.urandom(100_000) for _ in range(100)]
        for chunk in chunks:
            connection.write(chunk)
        assert "congested" in connection.events
        assert connection.write_paused
        assert await bench.read(peer, 10_000_000) == b"".join(chunks)
        await bench.until(lambda: not connection.write_paused)
        assert connection.events == ["opened", "congested", "drained"]
        connection.abort()
        await bench.until(lambda: connection.gone)
        peer.close()

    run(scenario)


def test_pieces_go_out_in_order_whatever_the_kernel_takes_of_them(run):
    async def scenario(bench):
        connection, peer = bench.pair()
        writes = [[os.urandom(size) for size in (9, 16_384, 1, 70_000, *[100] * 100)] for _ in range(60)]
        for pieces in writes:
            connection.write_pieces(pieces)
        connection.write(b"and the last")
        assert connection.write_paused
        expected = b"".join(piece for pieces in writes for piece in pieces) + b"and the last"
        assert await bench.read(peer, len(expected)) == expected
        await bench.until(lambda: not connection.write_paused)
        connection.write_pieces([b"a", b"b"])
        assert await bench.read(peer, 2) == b"ab"
        connection.abort()
        connection.write_pieces([b"c"])
        await bench.until(lambda: connection.gone)
        peer.close()

    run(scenario)


def test_close_sends_what_was_written_and_abort_does_not_wait(run):
    async def scenario(bench):
        connection, peer = bench.pair()
        connection.write(bytes(5_000_000))
        connection.close()
        connection.write(b"too late")
        assert not connection.gone
        assert len(await bench.read(peer, 6_000_000)) == 5_000_000
        await bench.until(lambda: connection.gone)
        peer.close()
        connection, peer = bench.pair()
        connection.write(bytes(5_000_000))
        connection.abort()
        await bench.until(lambda: connection.gone)
        assert len(await bench.read(peer, 6_000_000)) < 5_000_000
        peer.close()

    run(scenario)


def test_a_reset_is_no_end(run):
    async def scenario(bench):
        connection, peer = bench.pair()
        connection.write(b"half of it")
        connection.reset()
        connection.reset()
        await bench.until(lambda: connection.gone)
        assert connection.events[-1] == ("lost", None)
        with pytest.raises(ConnectionResetError):
            await bench.read(peer, 100)
        peer.close()

    run(scenario)


def test_the_peers_end_with_data_still_to_send(run):
    async def scenario(bench):
        connection, peer = bench.pair(Recorder(keep=True))
        peer.sendall(b"last words")
        peer.shutdown(socket.SHUT_WR)
        await bench.until(lambda: "ended" in connection.events)
        assert connection.data == b"last words"
        connection.write(b"x" * 3_000_000)
        connection.close()
        assert len(await bench.read(peer, 4_000_000)) == 3_000_000
        await bench.until(lambda: connection.gone)
        peer.close()

    run(scenario)


def test_reading_is_paused_and_resumed(run):
    async def scenario(bench):
        connection, peer = bench.pair()
        connection.pause_reading()
        peer.sendall(b"wait")
        await asyncio.sleep(0.02)
        assert connection.data == b""
        connection.resume_reading()
        await bench.until(lambda: connection.data == b"wait")
        connection.on_data = lambda c, _: c.pause_reading()
        peer.sendall(b"1")
        await bench.until(lambda: connection.data == b"wait1")
        peer.sendall(b"2")
        await asyncio.sleep(0.02)
        assert connection.data == b"wait1"
        connection.close()
        await bench.until(lambda: connection.gone)
        peer.close()

    run(scenario)


def test_a_reset_is_noticed_while_nobody_reads(run):
    async def scenario(bench):
        connection, peer = bench.pair()
        connection.pause_reading()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        await bench.until(lambda: connection.gone)
        assert connection.events[-1] == ("lost", "ConnectionResetError")

    run(scenario)


def test_both_ends_over_while_reading_is_paused_keeps_the_data_and_does_not_spin(run):
    async def scenario(bench):
        connection, peer = bench.pair()
        connection.pause_reading()
        peer.sendall(b"unread")
        connection.write_eof()
        peer.shutdown(socket.SHUT_WR)
        await asyncio.sleep(0.05)
        before = time.process_time()
        await asyncio.sleep(0.1)
        assert time.process_time() - before < 0.05
        assert not connection.gone
        assert connection.data == b""
        connection.resume_reading()
        await bench.until(lambda: connection.gone)
        assert connection.data == b"unread"
        peer.close()

    run(scenario)


def test_an_exception_ends_its_connection_alone(run):
    async def scenario(bench):
        def fail(*_):
            raise RuntimeError("our own mistake")

        bad, bad_peer = bench.pair()
        good, good_peer = bench.pair()
        bad.on_data = fail
        bad_peer.sendall(b"x")
        good_peer.sendall(b"y")
        await bench.until(lambda: bad.gone and good.data == b"y")
        assert not good.gone
        assert [type(failure["exception"]) for failure in bench.failures] == [RuntimeError]
        bench.failures.clear()
        good.close()
        await bench.until(lambda: good.gone)
        bad_peer.close()
        good_peer.close()

    run(scenario)


def test_closing_others_from_within_a_call(run):
    async def scenario(bench):
        pairs = [bench.pair() for _ in range(20)]
        for connection, _ in pairs:
            connection.on_data = lambda *_: [other.abort() for other, _ in pairs]
        for _, peer in pairs:
            peer.sendall(b"x")
        await bench.until(lambda: all(connection.gone for connection, _ in pairs))
        assert all(connection.events == ["opened", ("lost", None)] for connection, _ in pairs)
        for _, peer in pairs:
            peer.close()

    run(scenario)


def test_connections_are_freed_without_the_collector(run):
    async def scenario(bench):
        gc.collect()
        gc.disable()
        try:
            connection, peer = bench.pair()
            died = []
            weakref.finalize(connection, died.append, True)
            peer.sendall(b"x")
            await bench.until(lambda: connection.data == b"x")
            peer.close()
            await bench.until(lambda: connection.gone)
            connection = None
            await asyncio.sleep(0.01)
            assert died
        finally:
            gc.enable()

    run(scenario)


def test_accepting_and_running_out_of_descriptors(run, capfd):
    async def scenario(bench):
        server = socket.create_server(("127.0.0.1", 0))
        made = []

        def factory():
            made.append(Recorder())
            return made[-1]

        accepting = AcceptingSocket(bench.reactor, None, server, Entrance([Chain(EVERYTHING, factory)], None))
        accepting.start()
        address = server.getsockname()
        peers = [socket.create_connection(address) for _ in range(5)]
        await bench.until(lambda: len(made) == 5)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        late = socket.socket()
        late.setblocking(False)
        highest = max(int(name) for name in os.listdir("/proc/self/fd"))
        spare = []
        with contextlib.suppress(OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
            while True:
                spare.append(os.dup(0))
        with contextlib.suppress(BlockingIOError):
            late.connect(address)
        await asyncio.sleep(0.05)
        assert len(made) == 5
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in spare:
            os.close(descriptor)
        await bench.until(lambda: len(made) == 6)
        assert "cannot accept" in capfd.readouterr().err
        accepting.close()
        for peer in [*peers, late]:
            peer.close()
        await bench.until(lambda: all(connection.gone for connection in made))

    run(scenario)
