"""Faults, seen from a client: who waits, who is answered, in which order, and what is counted."""

import pytest

from tage.dataplane.filters.fault import FaultFilter, Faults
from tage.dataplane.filters.filter import DISABLED, HttpFilter, Verdict
from tage.dataplane.native import Random
from tage.dataplane.routing.matcher import HeaderMatcher, StringMatcher
from tage.dataplane.routing.route import Fraction
from tage.dataplane.telemetry import layout
from tests.dataplane.streams.test_failures import flags, status
from tests.dataplane.streams.world import GET, OK, POST

NAME = "envoy.filters.http.fault"
ALL = Fraction(100)


def install(world, **faults):
    """On the listener; its statistics."""
    stats = world.store.group(layout.FAULT, "s")
    world.listener.filters = [FaultFilter(NAME, Faults(**faults) if faults else None, stats)]
    return stats


def asks(*headers):
    return GET.replace(b"\r\n\r\n", b"".join(b"\r\n" + header for header in headers) + b"\r\n\r\n")


def test_an_abort_is_answered_here(world):
    stats = install(world, abort=ALL, abort_status=418)
    client = world.client(GET)
    got = client.takes()
    assert (status(got), flags(got)) == (418, "FI")
    assert got.endswith(b"\r\n\r\nfault filter abort\n")
    assert not world.opening
    assert stats.value("fault.aborts_injected") == 1
    assert stats.value("fault.active_faults") == 0


def test_a_status_of_grpc_means_success_to_other_clients(world):
    """As Envoy has it: their answer's status is 200."""
    stats = install(world, abort=ALL, grpc_status=14)
    got = world.client(GET).takes()
    assert (status(got), flags(got)) == (200, "FI")
    assert stats.value("fault.aborts_injected") == 1


def test_a_delayed_request_waits_and_goes_on(world):
    stats = install(world, delay=ALL, delay_ms=500)
    client = world.client(POST)
    world.pass_time(450)
    assert not world.opening
    assert stats.value("fault.active_faults") == 1
    world.pass_time(100)
    server = world.accept()
    assert server.takes().endswith(b"hello")
    assert stats.value("fault.active_faults") == 0
    server.send(OK)
    assert client.takes() == OK
    assert stats.value("fault.delays_injected") == 1


def test_a_delay_comes_before_the_abort(world):
    stats = install(world, delay=ALL, delay_ms=500, abort=ALL, abort_status=503)
    client = world.client(GET)
    world.pass_time(450)
    assert client.takes() == b""
    world.pass_time(100)
    assert status(client.takes()) == 503
    assert (stats.value("fault.delays_injected"), stats.value("fault.aborts_injected")) == (1, 1)
    assert stats.value("fault.active_faults") == 0


def test_a_client_that_goes_takes_its_delay_along(world):
    stats = install(world, delay=ALL, delay_ms=500, abort=ALL, abort_status=503)
    world.client(GET).reset()
    assert stats.value("fault.active_faults") == 0
    world.pass_time(1000)
    assert stats.value("fault.aborts_injected") == 0
    assert not world.opening


def test_what_stands_behind_it_is_asked_after_the_delay(world):
    class Behind(HttpFilter):
        asked = False

        def request(self, exchange, settings):
            Behind.asked = True
            return Verdict.CONTINUE

    install(world, delay=ALL, delay_ms=500)
    world.listener.filters.append(Behind("behind"))
    client = world.client(GET)
    assert not Behind.asked
    world.pass_time(550)
    assert Behind.asked
    world.accept().send(OK)
    assert client.takes() == OK


def test_no_more_than_so_many_at_a_time(world):
    stats = install(world, delay=ALL, delay_ms=500, max_active=1)
    first, second = world.client(GET), world.client(GET)
    server = world.accept()  # the second one's
    server.send(OK)
    assert second.takes() == OK
    assert stats.value("fault.faults_overflow") == 1
    world.pass_time(550)
    server.send(OK)
    assert first.takes() == OK


def test_with_none_allowed_nothing_is_injected(world):
    stats = install(world, abort=ALL, abort_status=503, max_active=0)
    client = world.client(GET)
    world.accept().send(OK)
    assert client.takes() == OK
    assert stats.value("fault.faults_overflow") == 1


def test_only_requests_that_match(world):
    install(
        world,
        abort=ALL,
        abort_status=503,
        headers=[HeaderMatcher(b"x-user", StringMatcher("exact", b"jason"))],
        nodes=frozenset({b"n1", b"n2"}),
    )
    for headers in ((b"x-user: jason",), (b"x-user: joe", b"x-envoy-downstream-service-node: n1")):
        client = world.client(asks(*headers))
        server = world.accept()
        server.send(OK)
        assert client.takes() == OK
        server.reset()
    client = world.client(asks(b"x-user: jason", b"x-envoy-downstream-service-node: n2"))
    assert status(client.takes()) == 503


def test_a_route_has_faults_of_its_own_or_none(world):
    install(world, abort=ALL, abort_status=503)
    route = world.listener.routes.virtual_hosts[0].routes[0]
    route.filters = {NAME: Faults(abort=ALL, abort_status=404)}
    assert status(world.client(GET).takes()) == 404
    route.filters = {NAME: DISABLED}
    client = world.client(GET)
    world.accept().send(OK)
    assert client.takes() == OK


def test_a_listener_without_faults_leaves_them_to_routes(world):
    install(world)
    client = world.client(GET)
    world.accept().send(OK)
    assert client.takes() == OK


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((), 200),
        ((b"x-envoy-fault-abort-request: 503",), 503),
        ((b"x-envoy-fault-abort-request: 200",), 200),
        ((b"x-envoy-fault-abort-request: 100",), 200),
        ((b"x-envoy-fault-abort-request: 600",), 200),
        ((b"x-envoy-fault-abort-request: no",), 200),
        ((b"x-envoy-fault-abort-request: 99999999999999999999",), 200),
        ((b"x-envoy-fault-abort-grpc-request: 17",), 200),
        ((b"x-envoy-fault-abort-request: 503", b"x-envoy-fault-abort-grpc-request: 5"), 503),
        ((b"x-envoy-fault-abort-request: 503", b"x-envoy-fault-abort-request-percentage: 0"), 200),
        ((b"x-envoy-fault-abort-request: 503", b"x-envoy-fault-abort-request-percentage: 100"), 503),
        ((b"x-envoy-fault-abort-request: 503", b"x-envoy-fault-abort-request-percentage: x"), 503),
    ],
)
def test_headers_may_say_the_abort(world, headers, expected):
    stats = install(world, abort=ALL)
    client = world.client(asks(*headers))
    if world.opening:
        world.accept().send(OK)
    assert status(client.takes()) == expected
    aborted = headers and (expected != 200 or b": 200" in headers[0])
    assert stats.value("fault.aborts_injected") == bool(aborted)


@pytest.mark.parametrize(
    ("header", "delay"), [(b"300", 300), (b"0", 0), (b"-1", 0), (b"", 0), (b"300ms", 0), (b" 300 ", 300)]
)
def test_headers_may_say_the_delay(world, header, delay):
    install(world, delay=ALL)
    client = world.client(asks(b"x-envoy-fault-delay-request: " + header))
    assert bool(world.opening) == (delay == 0)
    world.pass_time(delay + 40)
    world.accept().send(OK)
    assert client.takes() == OK


def test_a_headers_percentage_is_no_more_than_the_configured_one(world):
    world.context.random = Random(5)
    stats = install(world, abort=Fraction(30))
    n = 1_500
    client = world.client()
    server = None
    for _ in range(n):
        client.send(asks(b"x-envoy-fault-abort-request: 503", b"x-envoy-fault-abort-request-percentage: 90"))
        if not client.takes():
            if world.opening:
                server = world.accept()
            server.send(OK)
            client.takes()
    assert abs(stats.value("fault.aborts_injected") - n * 0.3) < 5 * (n * 0.3 * 0.7) ** 0.5


def test_shares_of_both_kinds(world):
    world.context.random = Random(6)
    stats = install(world, abort=Fraction(2_000, 10_000), abort_status=503)
    n = 1_500
    client = world.client()
    server = None
    for _ in range(n):
        client.send(GET)
        if not client.takes():
            if world.opening:
                server = world.accept()
            server.send(OK)
            client.takes()
    assert abs(stats.value("fault.aborts_injected") - n * 0.2) < 5 * (n * 0.2 * 0.8) ** 0.5
