"""CORS, seen from a browser: preflights, annotated answers, and what is left alone. tests/e2e/test_filters.py sends the
same to an Envoy."""

import pytest

from tage.dataplane.filters.cors import CorsFilter, CorsPolicy
from tage.dataplane.filters.filter import DISABLED
from tage.dataplane.routing.matcher import StringMatcher
from tage.dataplane.routing.route import Fraction
from tage.dataplane.telemetry import layout
from tests.dataplane.streams.test_failures import status
from tests.dataplane.streams.world import OK

NAME = "envoy.filters.http.cors"
HERE = StringMatcher("exact", b"https://a.test")
ORIGIN = b"origin: https://a.test"
METHOD = b"access-control-request-method: PUT"


def install(world, *origins, **policy):
    stats = world.store.group(layout.CORS, "s")
    world.listener.filters = [CorsFilter(NAME, stats)]
    policy = CorsPolicy(origins or [HERE], **policy)
    world.listener.routes.virtual_hosts[0].routes[0].filters = {NAME: policy}
    return stats


def ask(world, method, *headers, answer=OK):
    """What the client got: status and CORS's headers; and whether the route was asked."""
    client = world.client(b"%s / HTTP/1.1\r\nhost: a\r\n%s\r\n" % (method, b"".join(h + b"\r\n" for h in headers)))
    forwarded = bool(world.opening)
    if forwarded:
        server = world.accept()
        server.send(answer)
        server.reset()
    got = client.takes()
    lines = got.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    found = [tuple(line.split(b": ", 1)) for line in lines if line.lower().startswith(b"access-control-")]
    return status(got), dict(found), forwarded


def test_a_preflight_is_answered_here(world):
    stats = install(world, methods=b"GET, PUT", headers=b"x-a", max_age=b"600", credentials=True, expose=b"x-e")
    assert ask(world, b"OPTIONS", ORIGIN, METHOD) == (
        200,
        {
            b"access-control-allow-origin": b"https://a.test",
            b"access-control-allow-credentials": b"true",
            b"access-control-allow-methods": b"GET, PUT",
            b"access-control-allow-headers": b"x-a",
            b"access-control-max-age": b"600",
            b"access-control-expose-headers": b"x-e",
        },
        False,
    )
    assert (stats.value("cors.origin_valid"), stats.value("cors.origin_invalid")) == (1, 0)


def test_stars_allow_what_is_asked_for(world):
    install(world, methods=b"*", headers=b"*")
    _, found, _ = ask(world, b"OPTIONS", ORIGIN, METHOD, b"access-control-request-headers: x-a, x-b")
    assert found[b"access-control-allow-methods"] == b"PUT"
    assert found[b"access-control-allow-headers"] == b"x-a, x-b"


def test_an_answer_is_annotated(world):
    install(world, credentials=True, expose=b"x-e, x-f", methods=b"GET", max_age=b"1")
    assert ask(world, b"GET", ORIGIN) == (
        200,
        {
            b"access-control-allow-origin": b"https://a.test",
            b"access-control-allow-credentials": b"true",
            b"access-control-expose-headers": b"x-e, x-f",
        },
        True,
    )


def test_what_the_upstream_said_is_replaced(world):
    install(world)
    answer = OK.replace(b"\r\n\r\n", b"\r\nAccess-Control-Allow-Origin: *\r\n\r\n")
    assert ask(world, b"GET", ORIGIN, answer=answer)[1] == {b"access-control-allow-origin": b"https://a.test"}


@pytest.mark.parametrize("headers", [(), (b"origin:",), (b"origin: https://b.test",)])
def test_no_origin_or_another_is_left_alone(world, headers):
    stats = install(world)
    assert ask(world, b"GET", *headers) == (200, {}, True)
    assert stats.value("cors.origin_invalid") == (b"origin: https://b.test" in headers)


def test_options_without_a_method_asked_for_is_no_preflight(world):
    install(world)
    assert ask(world, b"OPTIONS", ORIGIN) == (200, {b"access-control-allow-origin": b"https://a.test"}, True)


def test_a_preflight_of_another_origin_goes_on_unless_the_policy_says_no(world):
    install(world, methods=b"GET", credentials=True)
    assert ask(world, b"OPTIONS", b"origin: https://b.test", METHOD) == (200, {}, True)
    install(world, methods=b"GET", credentials=True, forward=False)
    assert ask(world, b"OPTIONS", b"origin: https://b.test", METHOD) == (
        200,
        {b"access-control-allow-credentials": b"true", b"access-control-allow-methods": b"GET"},
        False,
    )


@pytest.mark.parametrize(("asked", "allowed"), [(b"true", b"true"), (b"false", None), (b"TRUE", None)])
def test_private_networks(world, asked, allowed):
    install(world, private_network=True)
    _, found, _ = ask(world, b"OPTIONS", ORIGIN, METHOD, b"access-control-request-private-network: " + asked)
    assert found.get(b"access-control-allow-private-network") == allowed


@pytest.mark.parametrize(
    "any_origin",
    [StringMatcher("exact", b"*"), StringMatcher("regex", rb".*"), StringMatcher("prefix", b"")],
)
def test_a_matcher_of_the_star_is_one_of_all_origins(world, any_origin):
    install(world, HERE, any_origin)
    found = ask(world, b"GET", b"origin: https://c.test")[1]
    assert found == {b"access-control-allow-origin": b"https://c.test"}


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [(b"https://x.a.test", True), (b"https://xa.test", False), (b"null", False), (b"https://A.TEST", True)],
)
def test_matchers(origin, allowed):
    policy = CorsPolicy([StringMatcher("suffix", b".a.test"), StringMatcher("exact", b"https://a.test", True)])
    assert policy.allows(origin) == allowed


def test_disabled_by_share_or_route(world):
    stats = install(world, enabled=Fraction(0))
    assert ask(world, b"OPTIONS", ORIGIN, METHOD) == (200, {}, True)
    assert stats.value("cors.origin_valid") == 0
    world.listener.routes.virtual_hosts[0].routes[0].filters = {NAME: DISABLED}
    assert ask(world, b"GET", ORIGIN) == (200, {}, True)


def test_shadow_only_counts(world):
    stats = install(world, enabled=Fraction(0), shadow=Fraction(100))
    assert ask(world, b"OPTIONS", ORIGIN, METHOD) == (200, {}, True)
    assert ask(world, b"GET", b"origin: https://b.test") == (200, {}, True)
    assert (stats.value("cors.origin_valid"), stats.value("cors.origin_invalid")) == (1, 1)


def test_a_route_that_answers_by_itself_has_no_cors(world):
    install(world)
    world.listener.routes.virtual_hosts[0].routes[0].direct_status = 200
    assert ask(world, b"OPTIONS", ORIGIN, METHOD) == (200, {}, False)


def test_an_answer_made_here_is_annotated_too(world):
    install(world)
    world.cluster.max_requests = 0
    assert ask(world, b"GET", ORIGIN) == (503, {b"access-control-allow-origin": b"https://a.test"}, False)
