"""From `accept` to the filter chain, over loopback: what is looked at, what is waited for, and who is turned away."""

import asyncio
import contextlib
import itertools
import socket
import ssl
import struct
import time

import pytest

from tage.dataplane.net.chains import EVERYTHING, Chain, Match
from tage.dataplane.net.entrance import Entrance
from tage.dataplane.net.listener import AcceptingSocket
from tage.dataplane.net.proxy_protocol import encode_v1, encode_v2
from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.net.tls import Parameters, ServerTls
from tage.dataplane.streams.context import Context, ListenerState
from tage.dataplane.streams.downstream import DownstreamConnection
from tage.dataplane.telemetry import layout
from tage.dataplane.telemetry.store import StatStore
from tests.authority import Authority
from tests.dataplane.net.hellos import alpn, hello, server_name
from tests.dataplane.net.test_reactor import run  # noqa: F401

AUTHORITY = Authority()
TLS = ServerTls([AUTHORITY.issue("a.test")], Parameters())
PROXIED = encode_v2(("192.0.2.1", 1234), ("198.51.100.1", 443))


NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One for all, for its file stays open; each listener counts under a name of its own."""
    return StatStore(tmp_path_factory.mktemp("stats") / "stats")


class Arrived(DownstreamConnection):
    """A connection that found its chain."""

    def __init__(self, state, chain, arrivals):
        super().__init__(state)
        self.chain = chain
        self.arrivals = arrivals
        self.data = b""
        self.over = False

    def opened(self):
        self.arrivals.append(self)

    def received(self, data):
        self.data += data

    def lost(self, error):
        self.over = True


class World:
    """An entrance on a listening socket; chains are named by their place."""

    def __init__(self, bench, store, matches=(EVERYTHING,), tls=(), **fields):
        self.bench = bench
        self.arrivals = []
        self.refused = []
        self.stats = store.group(layout.LISTENER, f"l{next(NUMBERS)}")
        self.wheel = TimerWheel(bench.loop.call_later)
        state = ListenerState(Context(self.wheel), "l", self.stats)
        chains = [
            Chain(match, lambda at=at: Arrived(state, at, self.arrivals), TLS if at in tls else None, 400)
            for at, match in enumerate(matches)
        ]
        self.entrance = Entrance(
            chains, self.stats, refused=lambda facts, violation: self.refused.append(violation.code), **fields
        )
        self.server = socket.create_server(("127.0.0.1", 0))
        self.accepting = AcceptingSocket(bench.reactor, self.wheel, self.server, self.entrance)
        self.accepting.start()
        self.address = self.server.getsockname()
        self.peers = []

    def connect(self, data=b""):
        peer = socket.create_connection(self.address)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if data:
            peer.sendall(data)
        peer.setblocking(False)
        self.peers.append(peer)
        return peer

    async def until(self, condition):
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.002)

    async def arrival(self):
        await self.until(lambda: self.arrivals)
        return self.arrivals.pop()

    async def ended(self, peer):
        """The sidecar closed it, and said nothing."""
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionResetError):
                assert await self.bench.loop.sock_recv(peer, 100) == b""

    async def close(self):
        self.accepting.close()
        for peer in self.peers:
            peer.close()
        await asyncio.sleep(0.05)
        for connection in self.arrivals:
            connection.abort()
        await asyncio.sleep(0.01)
        assert self.accepting._arriving == 0
        self.wheel.close()


def test_a_plain_listener_looks_at_nothing(run, store):  # noqa: F811
    async def scenario(bench):
        world = World(bench, store)
        assert world.entrance.direct is not None
        world.connect()
        connection = await world.arrival()
        world.arrivals.append(connection)
        await world.close()

    run(scenario)


HELLO = hello(server_name(b"b.test"), alpn(b"h2", b"http/1.1"))
BY_NAME = (Match(server_names=("a.test",)), Match(server_names=("*.test",)), Match(transport_protocol="raw_buffer"))


@pytest.mark.parametrize("cut", [1, 5, 9, 40, len(HELLO) - 1, None])
def test_a_hello_in_pieces_chooses_the_chain_and_stays_unread(run, store, cut):  # noqa: F811
    """A chain without TLS of its own passes the hello on: all of it arrives."""

    async def scenario(bench):
        world = World(bench, store, BY_NAME, inspect_tls=True)
        peer = world.connect(HELLO[:cut])
        if cut is not None:
            await asyncio.sleep(0.03)
            assert not world.arrivals
            peer.setblocking(True)
            peer.sendall(HELLO[cut:] + b"more")
        connection = await world.arrival()
        assert (connection.chain, connection.server_name) == (1, "b.test")
        await world.until(lambda: connection.data.startswith(HELLO))
        world.arrivals.append(connection)
        await world.close()

    run(scenario)


@pytest.mark.parametrize(
    ("data", "chain"), [(b"GET / HTTP/1.1\r\n\r\n", 2), (b"SSH-2.0-x\r\n", 2), (hello(server_name(b"a.test")), 0)]
)
def test_other_first_bytes(run, store, data, chain):  # noqa: F811
    async def scenario(bench):
        world = World(bench, store, BY_NAME, inspect_tls=True)
        world.connect(data)
        connection = await world.arrival()
        assert connection.chain == chain
        await world.until(lambda: connection.data == data)
        world.arrivals.append(connection)
        await world.close()

    run(scenario)


@pytest.mark.parametrize(
    ("data", "chain"), [(b"GET / HTTP/1.1\r\n", 0), (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 1), (b"\0" * 24, 2)]
)
def test_http_is_told_from_other_plain_bytes(run, store, data, chain):  # noqa: F811
    async def scenario(bench):
        matches = (Match(application_protocols=("http/1.1",)), Match(application_protocols=("h2c",)), EVERYTHING)
        world = World(bench, store, matches, inspect_http=True)
        world.connect(data)
        connection = await world.arrival()
        assert connection.chain == chain
        world.arrivals.append(connection)
        await world.close()

    run(scenario)


@pytest.mark.parametrize("header", [PROXIED, encode_v1(("192.0.2.1", 1234), ("198.51.100.1", 443))])
@pytest.mark.parametrize("cut", [1, 10, None])
def test_a_proxy_header_is_taken_off_and_its_addresses_stand(run, store, header, cut):  # noqa: F811
    async def scenario(bench):
        world = World(bench, store, proxy_protocol=True)
        peer = world.connect(header[:cut])
        if cut is not None:
            await asyncio.sleep(0.03)
            peer.setblocking(True)
            peer.sendall(header[cut:])
        peer.setblocking(True)
        peer.sendall(b"payload")
        connection = await world.arrival()
        assert connection.peer_address() == ("192.0.2.1", 1234)
        assert connection.local_address() == ("198.51.100.1", 443)
        await world.until(lambda: connection.data == b"payload")
        world.arrivals.append(connection)
        await world.close()

    run(scenario)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "proxy.none"),
        (b"PROXY TCP4 nonsense\r\n", "proxy.bad_line"),
        (PROXIED[:12] + b"\x31" + PROXIED[13:], "proxy.bad_version"),
    ],
)
def test_without_a_good_proxy_header_there_is_no_connection(run, store, data, code):  # noqa: F811
    async def scenario(bench):
        world = World(bench, store, proxy_protocol=True)
        peer = world.connect(data)
        await world.ended(peer)
        assert (world.refused, world.arrivals) == ([code], [])
        assert world.stats.value("downstream_cx_refused") == 1
        await world.close()

    run(scenario)


def test_connections_without_a_proxy_header_may_be_allowed(run, store):  # noqa: F811
    async def scenario(bench):
        world = World(bench, store, proxy_protocol=True, allow_without_proxy=True)
        world.connect(b"GET / HTTP/1.1\r\n")
        connection = await world.arrival()
        assert connection.peer_address()[0] == "127.0.0.1"
        world.arrivals.append(connection)
        await world.close()

    run(scenario)


def test_a_chain_for_addresses_that_a_proxy_header_names(run, store):  # noqa: F811
    async def scenario(bench):
        import ipaddress

        there = (ipaddress.ip_network("192.0.2.0/24"),)
        matches = (Match(source_prefixes=there), Match(direct_source_prefixes=there), EVERYTHING)
        world = World(bench, store, matches[:1], proxy_protocol=True)
        world.connect(PROXIED)
        world.arrivals.append(await world.arrival())
        await world.close()
        world = World(bench, store, matches[1:2], proxy_protocol=True)
        peer = world.connect(PROXIED)
        await world.ended(peer)
        assert world.refused == ["no_filter_chain_match"]
        assert world.stats.value("no_filter_chain_match") == 1
        await world.close()

    run(scenario)


def test_a_malformed_hello(run, store):  # noqa: F811
    async def scenario(bench):
        world = World(bench, store, BY_NAME, inspect_tls=True)
        peer = world.connect(b"\x16\x03\x01\xff\xff\x01")
        await world.ended(peer)
        assert world.refused == ["tls.bad_record"]
        await world.close()

    run(scenario)


@pytest.mark.parametrize("goes_on", [False, True])
def test_the_first_bytes_are_not_awaited_for_ever(run, store, goes_on):  # noqa: F811
    async def scenario(bench):
        world = World(bench, store, BY_NAME, inspect_tls=True, timeout=60, continue_on_timeout=goes_on)
        peer = world.connect(HELLO[:20])
        if goes_on:
            connection = await world.arrival()
            assert connection.chain == 2
            await world.until(lambda: connection.data == HELLO[:20])
            world.arrivals.append(connection)
        else:
            await world.ended(peer)
            assert world.arrivals == []
        assert world.stats.value("downstream_pre_cx_timeout") == 1
        await world.close()

    run(scenario)


@pytest.mark.parametrize("end", ["half", "reset"])
def test_a_client_that_leaves_within_its_first_bytes(run, store, end):  # noqa: F811
    async def scenario(bench):
        world = World(bench, store, (Match(server_names=("x",)),), inspect_tls=True)
        peer = world.connect(HELLO[:20])
        await asyncio.sleep(0.02)
        if end == "half":
            peer.shutdown(socket.SHUT_WR)
        else:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()
        await world.until(lambda: world.accepting._arriving == 0)
        assert world.arrivals == []
        await world.close()

    run(scenario)


def test_waiting_costs_no_turns_of_the_loop(run, store):  # noqa: F811
    """Bytes that are peeked at stay readable: without SO_RCVLOWAT the loop would turn for nothing all the while."""

    async def scenario(bench):
        world = World(bench, store, BY_NAME, inspect_tls=True)
        world.connect(HELLO[:20])
        await asyncio.sleep(0.05)
        before = time.process_time()
        await asyncio.sleep(0.5)
        assert time.process_time() - before < 0.1
        await world.close()

    run(scenario)


def test_tls_is_spoken_where_the_chain_has_it(run, store):  # noqa: F811
    async def scenario(bench):
        world = World(bench, store, tls=(0,))
        context = ssl.create_default_context(cadata=AUTHORITY.pem.decode())
        reader, writer = await asyncio.open_connection(*world.address, ssl=context, server_hostname="a.test")
        writer.write(b"secret")
        connection = await world.arrival()
        await world.until(lambda: connection.data == b"secret")
        assert connection.server_name == "a.test"
        assert connection.tls().version() == "TLSv1.3"
        connection.close()
        assert await reader.read() == b""
        writer.close()
        assert world.stats.value("ssl.handshake") == 1
        await world.close()

    run(scenario)


def test_a_handshake_that_does_not_go_on(run, store):  # noqa: F811
    async def scenario(bench):
        world = World(bench, store, tls=(0,))
        context = ssl.create_default_context(cadata=AUTHORITY.pem.decode())
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        half = context.wrap_bio(incoming, outgoing, server_hostname="a.test")
        with pytest.raises(ssl.SSLWantReadError):
            half.do_handshake()
        peer = world.connect(outgoing.read())
        async with asyncio.timeout(10):
            while await bench.loop.sock_recv(peer, 10_000):
                pass
        assert world.stats.value("ssl.connection_error") == 1
        assert world.arrivals == []
        await world.close()

    run(scenario)


def bolt(prefix):
    return 2 if prefix.startswith(b"\x01\x01") else 1 if b"\x01\x01".startswith(prefix) else 0


@pytest.mark.parametrize(
    ("data", "chain"), [(b"\x01\x01\x00", 1), (b"GET / HTTP/1.1\r\n\r\n", 0), (b"\x01\x02", 2), (b"SSH-2.0\r\n", 2)]
)
@pytest.mark.parametrize("cut", [1, None])
def test_protocols_are_told_apart_beside_http(run, store, data, chain, cut):  # noqa: F811
    async def scenario(bench):
        matches = (Match(application_protocols=("http/1.1",)), Match(application_protocols=("x-bolt",)), EVERYTHING)
        world = World(bench, store, matches, inspect_http=True, inspect_protocols=[("x-bolt", bolt)])
        peer = world.connect(data[:cut])
        if cut is not None:
            await asyncio.sleep(0.02)
            assert world.arrivals == []
            await bench.loop.sock_sendall(peer, data[cut:])
        connection = await world.arrival()
        assert connection.chain == chain
        await world.until(lambda: connection.data == data)
        world.arrivals.append(connection)
        await world.close()

    run(scenario)


def test_within_tls_no_protocol_is_looked_for(run, store):  # noqa: F811
    def never(prefix):
        raise AssertionError("it was asked")

    async def scenario(bench):
        matches = (Match(transport_protocol="tls"), Match(application_protocols=("x-bolt",)))
        world = World(bench, store, matches, inspect_tls=True, inspect_protocols=[("x-bolt", never)])
        world.connect(hello())
        connection = await world.arrival()
        assert connection.chain == 0
        world.arrivals.append(connection)
        await world.close()

    run(scenario)


def test_a_protocol_whose_server_speaks_first_is_waited_for_no_longer_than_the_timeout(run, store):  # noqa: F811
    async def scenario(bench):
        matches = (Match(application_protocols=("x-bolt",)), EVERYTHING)
        options = {"timeout": 50, "continue_on_timeout": True, "inspect_protocols": [("x-bolt", bolt)]}
        world = World(bench, store, matches, **options)
        world.connect(b"\x01")
        connection = await world.arrival()
        assert connection.chain == 1
        world.arrivals.append(connection)
        await world.close()

    run(scenario)
