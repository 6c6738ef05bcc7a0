"""One check, over loopback: what the host answers, and what is made of it."""

import asyncio
import ssl

import pytest
import uvloop

from tage.dataplane.net.reactor import Reactor
from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.net.tls import ClientTls, Parameters, Trust, load_pair
from tage.dataplane.telemetry import layout
from tage.dataplane.telemetry.store import StatStore
from tage.dataplane.upstream.cluster import Cluster
from tage.dataplane.upstream.connect import Connector
from tage.dataplane.upstream.health.probes import HttpProbe, Target, TcpProbe, Verdict
from tage.sidecar.plan import HttpCheck, TcpCheck
from tests.authority import Authority

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Answers each read with the next of these; None: closes. `closes`: behind each."""

    def __init__(self, *answers, ssl=None, closes=False):
        self.answers = list(answers)
        self.closes = closes
        self.connections = 0
        self.received = []
        self.ssl = ssl

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.ssl)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error):
        self._server.close()

    async def _serve(self, reader, writer):
        self.connections += 1
        try:
            while data := await reader.read(65_536):
                self.received.append(data)
                answer = self.answers.pop(0)
                if answer is None:
                    break
                for piece in [answer] if isinstance(answer, bytes) else answer:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.002)
                if self.closes:
                    break
        except ConnectionError:
            pass  # the probe has seen enough
        finally:
            writer.close()


@pytest.fixture
def store(tmp_path):
    return StatStore(tmp_path / "stats")


def ask(store, check, *answers, times=1, reuse=True, port=None, tls=None, server_tls=None, proxy=0, closes=False):
    """The findings, and the server."""

    async def run():
        loop = asyncio.get_running_loop()
        connector = Connector(loop, Reactor(loop), None)
        cluster = Cluster("c", store.group(layout.CLUSTER, "c"), TimerWheel(loop.call_later), connector)
        cluster.tls = tls
        cluster.proxy_protocol = proxy
        async with Server(*answers, ssl=server_tls, closes=closes) as server:
            target = Target(cluster, "127.0.0.1", port or server.port, "health")
            kind = HttpProbe if isinstance(check, HttpCheck) else TcpProbe
            probe = kind(connector, target, reuse, check)
            findings = []
            for _ in range(times):
                async with asyncio.timeout(5):
                    findings.append(await probe.ask())
                await asyncio.sleep(0.02)
            probe.close()
        return findings, server

    return uvloop.run(run())


def verdict(store, check, *answers, **options):
    (finding,), _ = ask(store, check, *answers, **options)
    return finding.verdict, finding.reason


HTTP = HttpCheck("/healthz?deep=1")


def test_the_request(store):
    check = HttpCheck("/healthz?deep=1", method="POST", headers=[("x-a", "1"), ("User-Agent", "me")])
    _, server = ask(store, check, OK)
    assert server.received == [b"POST /healthz?deep=1 HTTP/1.1\r\nHost: health\r\nx-a: 1\r\nUser-Agent: me\r\n\r\n"]
    _, server = ask(store, HTTP, OK, reuse=False)
    assert server.received[0].endswith(b"\r\nHost: health\r\nUser-Agent: Tage/HC\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        [
            b"HTTP/1.1 103 Early\r\n\r\nHTT",
            b"P/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r",
            b"\nabc\r\n0\r\n\r\n",
        ],
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_healthy(store, answer):
    assert verdict(store, HTTP, answer) == (Verdict.HEALTHY, "")


def test_head(store):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
    assert verdict(store, HttpCheck("/", method="HEAD"), answer) == (Verdict.HEALTHY, "")


def test_a_body_that_lasts_until_the_end(store):
    assert verdict(store, HTTP, b"HTTP/1.0 200 OK\r\n\r\nabc", closes=True) == (Verdict.HEALTHY, "")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, Verdict.UNHEALTHY),
        (204, Verdict.HEALTHY),
        (299, Verdict.HEALTHY),
        (300, Verdict.UNHEALTHY),
        (429, Verdict.RETRIABLE),
        (503, Verdict.UNHEALTHY),
    ],
)
def test_statuses(store, status, expected):
    check = HttpCheck("/", expected=[(201, 300)], retriable=[(250, 260), (429, 430)])
    body = b"" if status == 204 else b"Content-Length: 0\r\n"
    found, reason = verdict(store, check, b"HTTP/1.1 %d X\r\n%s\r\n" % (status, body))
    assert found is expected
    assert reason == ("" if expected is Verdict.HEALTHY else f"status {status}")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "the connection was closed"),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", "the answer is not HTTP/1.1"),
        (b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "the answer is not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "the answer's body is not HTTP/1.1"),
    ],
)
def test_no_answer(store, answer, reason):
    assert verdict(store, HTTP, answer) == (Verdict.NETWORK, reason)


def test_nobody_listens(store):
    for check in (HTTP, TcpCheck()):
        assert verdict(store, check, port=1) == (Verdict.NETWORK, "Connection refused")


@pytest.mark.parametrize(("reuse", "connections"), [(True, 1), (False, 3)])
def test_one_connection_for_all_or_each_its_own(store, reuse, connections):
    findings, server = ask(store, HTTP, OK, OK, OK, times=3, reuse=reuse)
    assert [finding.verdict for finding in findings] == [Verdict.HEALTHY] * 3
    assert server.connections == connections


def test_one_that_was_closed_meanwhile_says_nothing_of_the_host(store):
    closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    findings, server = ask(store, HTTP, closing, OK, None, OK, times=3)
    assert [finding.verdict for finding in findings] == [Verdict.HEALTHY] * 3
    assert server.connections == 3


def test_cancelled_it_leaves_nothing_open(store):
    async def run():
        loop = asyncio.get_running_loop()
        connector = Connector(loop, Reactor(loop), None)
        cluster = Cluster("c", store.group(layout.CLUSTER, "c"), TimerWheel(loop.call_later), connector)
        gone = asyncio.Event()

        async def serve(reader, writer):
            while await reader.read(1000):
                pass
            gone.set()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            probe = HttpProbe(connector, Target(cluster, "127.0.0.1", port, "h"), True, HTTP)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await probe.ask()
            async with asyncio.timeout(5):
                await gone.wait()

    uvloop.run(run())


def test_a_proxy_header_goes_before(store):
    _, server = ask(store, HTTP, OK, OK, proxy=1)
    assert b"".join(server.received).startswith(b"PROXY UNKNOWN\r\nGET /healthz")


# -- TCP ---------------------------------------------------------------------------------------------------------------


def test_connecting_is_enough(store):
    assert verdict(store, TcpCheck()) == (Verdict.HEALTHY, "")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"PONG", Verdict.HEALTHY),
        ([b"xxPO", b"NG yy"], Verdict.HEALTHY),
        (b"P ONG", Verdict.HEALTHY),
        (b"NG PO", Verdict.NETWORK),
    ],
)
def test_what_has_to_come(store, answer, expected):
    check = TcpCheck(b"PING", [b"P", b"O", b"NG"])
    if expected is Verdict.NETWORK:
        answer = [answer, *[b"x" * 10_000] * 7]
    (finding,), server = ask(store, check, answer)
    assert finding.verdict is expected
    assert server.received[0] == b"PING"


def test_the_end_before_all_has_come(store):
    assert verdict(store, TcpCheck(b"PING", [b"PONG"]), None) == (Verdict.NETWORK, "the connection was closed")


def test_tcp_connections_are_used_again(store):
    findings, server = ask(store, TcpCheck(b"PING", [b"PONG"]), b"PONG", b"PONG", times=2)
    assert [finding.verdict for finding in findings] == [Verdict.HEALTHY] * 2
    assert server.connections == 1


# -- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.mark.parametrize("trusted", [True, False])
def test_over_the_clusters_tls(store, authority, trusted):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_pair(server, authority.issue("a.test"))
    trust = Trust((authority if trusted else Authority("others")).pem)
    findings, _ = ask(
        store, HTTP, OK, OK, times=2, tls=ClientTls(None, Parameters(), "a.test", trust), server_tls=server
    )
    assert {finding.verdict for finding in findings} == {Verdict.HEALTHY if trusted else Verdict.NETWORK}
    if not trusted:
        assert findings[0].reason.startswith("TLS error: ")
