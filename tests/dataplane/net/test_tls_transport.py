"""TLS on the reactor: a `Connection` on one side, Python's own blocking or non-blocking TLS socket on the other."""

import asyncio
import contextlib
import select
import socket
import ssl
import threading
import time

import pytest

from tage.dataplane.net.tls import Parameters, ServerTls, Trust
from tage.dataplane.net.tls_transport import attach_tls
from tests.authority import Authority
from tests.dataplane.net.test_reactor import Bench, Recorder, run  # noqa: F401

AUTHORITY = Authority()
PAIR = AUTHORITY.issue("a.test")
PATIENCE = 10.0


def client_context(**fields):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=AUTHORITY.pem.decode())
    for name, value in fields.items():
        setattr(context, name, value)
    return context


class Greeted:
    """A `greet` that writes down what it was told."""

    def __init__(self, answer=True):
        self.answer = answer
        self.errors = []

    def __call__(self, transport, error):
        self.errors.append(type(error).__name__ if error else None)
        return self.answer and error is None


class Peer:
    """What the other side does, on a thread of its own: `steps(sock)`, blocking."""

    def __init__(self, address, steps, wrap=True, context=None):
        self.result = None
        self.error = None
        self._thread = threading.Thread(target=self._run, args=(address, steps, wrap, context), daemon=True)
        self._thread.start()

    def _run(self, address, steps, wrap, context):
        try:
            with socket.create_connection(address, PATIENCE) as plain:
                if wrap:
                    with (context or client_context()).wrap_socket(plain, suppress_ragged_eofs=False) as sock:
                        self.result = steps(sock)
                else:
                    self.result = steps(plain)
        except Exception as error:
            self.error = error

    @property
    def done(self):
        return not self._thread.is_alive()


class World:
    def __init__(self, bench):
        self.bench = bench
        self.connection = Recorder()
        self.greeted = Greeted()
        self.transport = None

    async def serve(self, steps, *, wrap=True, context=None, tls=None):
        """The reactor's side is the server; waits until a connection is there."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            peer = Peer(listening.getsockname(), steps, wrap, context)
            sock, _ = await self.bench.loop.sock_accept(listening)
        tls = tls or ServerTls([PAIR], Parameters())
        self.transport = attach_tls(
            self.bench.reactor, sock, self.connection, tls.context(""), self.greeted, server=True
        )
        return peer

    async def until(self, condition):
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.002)


def test_both_ways_and_the_end(run):  # noqa: F811
    async def scenario(bench):
        world = World(bench)
        world.connection.on_data = lambda connection, data: connection.write(data.upper())

        def steps(sock):
            sock.sendall(b"hello")
            return sock.recv(100)

        peer = await world.serve(steps)
        await world.until(lambda: peer.done and world.connection.gone)
        assert (peer.result, peer.error) == (b"HELLO", None)
        assert world.greeted.errors == [None]
        # Python's client closes its socket without saying so in TLS: a cut, for all that one can tell.
        assert world.connection.events == ["opened", ("lost", "SSLEOFError")]

    run(scenario)


def test_an_orderly_end_of_theirs(run):  # noqa: F811
    async def scenario(bench):
        world = World(bench)
        world.connection.keep = True

        def steps(sock):
            sock.sendall(b"all of it")
            # close_notify; what is answered after it still comes (RFC 8446, 6.1).
            with contextlib.suppress(ssl.SSLError):
                sock.settimeout(0.2)
                sock.unwrap()
            return

        peer = await world.serve(steps)
        await world.until(lambda: "ended" in world.connection.events)
        assert bytes(world.connection.data) == b"all of it"
        world.connection.close()
        await world.until(lambda: world.connection.gone and peer.done)
        assert world.connection.events == ["opened", "ended", ("lost", None)]

    run(scenario)


def test_an_orderly_end_of_ours(run):  # noqa: F811
    async def scenario(bench):
        world = World(bench)
        peer = await world.serve(lambda sock: (sock.recv(100), sock.recv(100)))
        await world.until(lambda: world.connection.events == ["opened"])
        world.connection.write(b"bye")
        world.connection.close()
        await world.until(lambda: peer.done)
        assert (peer.result, peer.error) == ((b"bye", b""), None), "no ragged end"
        await world.until(lambda: world.connection.gone)

    run(scenario)


def test_our_half_close_lets_them_go_on(run):  # noqa: F811
    async def scenario(bench):
        world = World(bench)

        def steps(sock):
            end = sock.recv(100)
            time.sleep(0.05)  # what crosses the close_notify on its way is a cut: see the module's docstring
            sock.sendall(b"still here")
            return end

        peer = await world.serve(steps)
        await world.until(lambda: world.connection.events == ["opened"])
        world.connection.write_eof()
        await world.until(lambda: peer.done)
        assert (peer.result, peer.error) == (b"", None)
        await world.until(lambda: bytes(world.connection.data) == b"still here")
        await world.until(lambda: world.connection.gone)

    run(scenario)


@pytest.mark.parametrize("size", [1, 16_384, 16_385, 3_000_000])
def test_large_bodies_and_back_pressure(run, size):  # noqa: F811
    """Echoed through a peer that reads late: what waits is bounded by who pauses, nothing is lost or mixed up."""

    async def scenario(bench):
        world = World(bench)
        payload = bytes(i * 7 % 251 for i in range(4096)) * (size // 4096 + 1)
        payload = payload[:size]

        def steps(sock):
            received, sent = bytearray(), 0
            sock.setblocking(False)
            deadline = time.monotonic() + PATIENCE
            while len(received) < size and time.monotonic() < deadline:
                with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    if sent < size:
                        sent += sock.send(payload[sent : sent + 100_000])
                with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    received += sock.recv(100_000)
                    continue
                select.select([sock], [sock] if sent < size else [], [], 0.05)
            return bytes(received)

        world.connection.on_data = lambda connection, data: connection.write(data)
        world.connection.congested = lambda: world.connection.pause_reading()
        peer = await world.serve(steps)
        async with asyncio.timeout(PATIENCE):
            while not peer.done:
                await asyncio.sleep(0.002)
                if world.connection.open and not world.connection.write_paused:
                    world.connection.resume_reading()
        assert peer.error is None
        assert peer.result == payload
        await world.until(lambda: world.connection.gone)

    run(scenario)


def test_reading_waits_while_it_is_paused(run):  # noqa: F811
    async def scenario(bench):
        world = World(bench)
        peer = await world.serve(lambda sock: (sock.sendall(b"x" * 40_000), sock.recv(1)))
        await world.until(lambda: world.connection.events == ["opened"])
        world.connection.pause_reading()
        before = len(world.connection.data)
        await asyncio.sleep(0.1)
        assert len(world.connection.data) == before
        world.connection.resume_reading()
        await world.until(lambda: len(world.connection.data) == 40_000)
        world.connection.abort()
        await world.until(lambda: world.connection.gone and peer.done)

    run(scenario)


@pytest.mark.parametrize(
    ("steps", "wrap", "context"),
    [
        (lambda sock: sock.sendall(b"GET / HTTP/1.1\r\n\r\n"), False, None),
        (lambda sock: None, False, None),
        (lambda sock: None, True, client_context(maximum_version=ssl.TLSVersion.TLSv1_2)),
    ],
    ids=["no TLS", "gone at once", "no version in common"],
)
def test_a_handshake_that_fails(run, steps, wrap, context):  # noqa: F811
    """The connection never hears of it."""

    async def scenario(bench):
        world = World(bench)
        peer = await world.serve(steps, wrap=wrap, context=context, tls=ServerTls([PAIR], Parameters(minimum="1.3")))
        await world.until(lambda: len(world.greeted.errors) == 1 and peer.done)
        assert world.greeted.errors[0] is not None
        await asyncio.sleep(0.02)
        assert world.connection.events == []
        assert len(world.greeted.errors) == 1, "told once"

    run(scenario)


def test_a_peer_that_is_not_let_in(run):  # noqa: F811
    async def scenario(bench):
        world = World(bench)
        world.greeted.answer = False
        peer = await world.serve(lambda sock: sock.recv(100))
        await world.until(lambda: peer.done)
        assert peer.result in (None, b"")
        assert world.greeted.errors == [None]
        assert world.connection.events == []

    run(scenario)


def test_a_handshake_that_is_given_up(run):  # noqa: F811
    async def scenario(bench):
        world = World(bench)
        peer = await world.serve(lambda sock: sock.recv(100), wrap=False)
        assert world.greeted.errors == []
        world.transport.abort()
        await world.until(lambda: world.greeted.errors == ["ConnectionAbortedError"] and peer.done)
        assert world.connection.events == []

    run(scenario)


def test_as_a_client(run):  # noqa: F811
    """The other way round: the reactor's side asks, with a certificate of its own and a server name."""

    async def scenario(bench):
        from tage.dataplane.net.tls import ClientTls

        names = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server = ServerTls([PAIR], Parameters(), Trust(AUTHORITY.pem), required=True)
        context = server.context("")
        context.sni_callback = lambda sock, name, _: names.append(name)
        tls = ClientTls(AUTHORITY.issue(uris=["spiffe://t/caller"]), Parameters(), "a.test", Trust(AUTHORITY.pem))
        found = []

        def serve(listening):
            plain, _ = listening.accept()
            with context.wrap_socket(plain, server_side=True) as sock:
                found.append(sock.getpeercert()["subjectAltName"])
                sock.sendall(sock.recv(100)[::-1])
                sock.recv(1)

        with socket.create_server(("127.0.0.1", 0)) as listening:
            thread = threading.Thread(target=serve, args=(listening,), daemon=True)
            thread.start()
            sock = socket.create_connection(listening.getsockname())
            sock.setblocking(False)
            connection, greeted = Recorder(), Greeted()
            attach_tls(bench.reactor, sock, connection, tls.context, greeted, server=False, server_name=tls.sni)
            world = World(bench)
            await world.until(lambda: connection.events == ["opened"])
            connection.write(b"abc")
            await world.until(lambda: bytes(connection.data) == b"cba")
            connection.close()
            await world.until(lambda: connection.gone and not thread.is_alive())
        assert found == [(("URI", "spiffe://t/caller"),)]
        assert names == ["a.test"]

    run(scenario)
