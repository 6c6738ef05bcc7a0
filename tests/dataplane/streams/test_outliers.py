"""Each try's end reaches the outlier detection of its host, once."""

import pytest

from tage.dataplane.native import Random
from tage.dataplane.telemetry import layout
from tage.dataplane.upstream import cells
from tage.dataplane.upstream.connection import Failure
from tage.dataplane.upstream.health.state import HostCell
from tage.dataplane.upstream.outlier import HostMonitor, Outliers
from tage.sidecar import plan
from tests.dataplane.streams.test_tcp_downstream import make_world as make_tcp_world  # noqa: F401
from tests.dataplane.streams.world import GET, OK, POST, UNAVAILABLE

RETRY = plan.RetryPolicy(["5xx", "connect-failure", "reset"], attempts=1)


def watch(world, **fields):
    """Cells of the cluster's hosts: what they got is counted and has no consequences."""
    outliers = Outliers("c", cells.alone(16), world.store.group(layout.HEALTH, "c"), world.wheel, Random(1), print)
    fields = {"consecutive_5xx": 0, "consecutive_gateway_failure": 0, "success_rate_minimum_hosts": 0, **fields}
    outliers.configure(plan.OutlierDetection(**fields))
    watched = []
    for host in world.cluster.hosts:
        host.monitor = HostMonitor(outliers, cells.alone(16), host.address)
        watched.append(host.monitor.cells)
    return watched


def seen(memory):
    """(answers and failures, good ones among them, gateway failures in a row)"""
    return tuple(memory.load(cell) for cell in (HostCell.TOTAL, HostCell.SUCCESSES, HostCell.CONSECUTIVE_GATEWAY))


def test_answers(world):
    (host,) = watch(world)
    client = world.client(GET)
    server = world.accept()
    server.send(OK)
    assert seen(host) == (1, 1, 0)
    client.send(GET)
    server.send(UNAVAILABLE)
    client.send(GET)
    server.send(UNAVAILABLE)
    assert seen(host) == (3, 1, 2)
    client.send(GET)
    server.send(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
    assert seen(host) == (4, 2, 0)


def test_no_connection(world):
    (host,) = watch(world)
    world.client(GET)
    world.refuse(Failure.CONNECT_TIMEOUT)
    assert seen(host) == (1, 0, 1)


def test_what_the_limits_refuse_says_nothing(world):
    (host,) = watch(world)
    world.cluster.max_pending = 0
    world.client(GET)
    assert seen(host) == (0, 0, 0)


def test_a_connection_that_breaks(world):
    (host,) = watch(world)
    world.client(POST)
    world.accept().reset()
    assert seen(host) == (1, 0, 1)


def test_one_that_breaks_within_the_answer(world):
    """As in Envoy: an answer, and then a failure."""
    (host,) = watch(world)
    world.client(GET)
    server = world.accept()
    server.send(OK[:-1])
    server.reset()
    assert seen(host) == (2, 1, 1)


def test_one_that_was_closing_when_the_request_met_it_says_nothing(world):
    (host,) = watch(world)
    server = world.warm()
    client = world.client(GET)
    server.end()
    world.accept().send(OK)
    assert client.takes() == OK
    assert seen(host) == (2, 2, 0)


def test_the_route_s_time(world):
    (host,) = watch(world)
    world.rule(timeout=1_000)
    world.client(GET)
    world.pass_time(1_000)
    assert seen(host) == (0, 0, 0)  # there was no connection yet
    world.client(GET)
    world.accept()
    world.pass_time(1_000)
    assert seen(host) == (1, 0, 1)


def test_the_try_s_time_and_a_retry(make_world):
    world = make_world(hosts=2)
    hosts = watch(world)
    world.rule(retry=plan.RetryPolicy(["5xx"], attempts=1, per_try_timeout=500), timeout=10_000)
    client = world.client(GET)
    first = world.opening[0]
    world.accept()
    world.pass_time(500)
    world.pass_time(50)
    world.accept().send(OK)
    assert client.takes() == OK
    index = world.cluster.hosts.index(first)
    assert [seen(hosts[index]), seen(hosts[1 - index])] == [(1, 0, 1), (1, 1, 0)]


def test_an_answer_that_is_tried_again(make_world):
    world = make_world(hosts=2)
    hosts = watch(world)
    world.rule(retry=RETRY)
    client = world.client(GET)
    world.accept().send(UNAVAILABLE)
    world.pass_time(50)
    world.accept().send(OK)
    assert client.takes() == OK
    assert sorted(seen(host) for host in hosts) == [(1, 0, 1), (1, 1, 0)]


def test_a_client_that_goes_says_nothing_of_the_host(world):
    (host,) = watch(world)
    client = world.client(GET)
    world.accept()
    client.reset()
    assert seen(host) == (0, 0, 0)


def test_a_tunnel(world):
    (host,) = watch(world)
    world.rule(upgrades={"websocket": True})
    world.client(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
    world.accept().send(b"HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
    assert seen(host) == (1, 1, 0)


# -- TCP proxies -------------------------------------------------------------------------------------------------------


@pytest.fixture
def tcp(make_tcp_world):  # noqa: F811
    return make_tcp_world()


def test_a_connection_that_is_made(tcp):
    (host,) = watch(tcp)
    client, server = tcp.pair()
    client.send(b"hello")
    server.reset()
    assert seen(host) == (1, 1, 0)


def test_one_that_is_not(tcp):
    (host,) = watch(tcp)
    tcp.client()
    tcp.dialled().refuse()
    assert seen(host) == (1, 0, 1)
