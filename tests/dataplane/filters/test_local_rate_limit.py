"""Local rate limits, seen from a client; time passes when the test says so."""

import pytest

from tage.dataplane.filters.local_rate_limit import LocalRateLimitFilter, RateLimits
from tage.dataplane.filters.rate_limit_rules import Action, Rule
from tage.dataplane.filters.token_bucket import TokenBucket
from tage.dataplane.filters.wildcards import Wildcard
from tage.dataplane.native import Random
from tage.dataplane.routing.matcher import HeaderMatcher, QueryMatcher, StringMatcher
from tage.dataplane.routing.mutations import HeaderMutation, HeaderMutations, MutationSet
from tage.dataplane.routing.route import Fraction
from tage.dataplane.telemetry import layout
from tage.dataplane.upstream.cells import alone
from tests.dataplane.streams.test_failures import flags, status
from tests.dataplane.streams.world import OK

NAME = "envoy.filters.http.local_ratelimit"
ALL = Fraction(100)


def bucket(maximum, per_fill=1, interval=3_600_000):
    return TokenBucket(alone(8), 0, maximum, per_fill, interval)


def limits(world, **settings):
    settings.setdefault("enabled", ALL)
    settings.setdefault("enforced", ALL)
    return RateLimits(world.store.group(layout.LOCAL_RATE_LIMIT, "s"), **settings)


def install(world, **settings):
    found = limits(world, **settings)
    world.listener.filters = [LocalRateLimitFilter(NAME, found)]
    return found.stats


def counts(stats):
    names = ("enabled", "ok", "rate_limited", "enforced")
    return {name: stats.value(f"http_local_rate_limit.{name}") for name in names}


def ask(world, *headers, path=b"/", answer=OK, peer=("10.1.2.3", 40_000)):
    client = world.client(
        b"GET %s HTTP/1.1\r\nhost: a\r\n%s\r\n" % (path, b"".join(h + b"\r\n" for h in headers)), peer=peer
    )
    if world.opening:
        server = world.accept()
        ask.sent = server.takes()
        server.send(answer)
        server.reset()
    return client.takes()


def asked(world, *headers, **where):
    return status(ask(world, *headers, **where))


def test_a_bucket_for_all(world):
    stats = install(world, default_bucket=bucket(2, 1, 1000))
    assert [asked(world) for _ in range(3)] == [200, 200, 429]
    world.pass_time(1000)
    assert [asked(world) for _ in range(2)] == [200, 429]
    assert counts(stats) == {"enabled": 5, "ok": 3, "rate_limited": 2, "enforced": 2}


def test_the_answer(world):
    install(
        world,
        default_bucket=bucket(1),
        status=503,
        answer_edits=HeaderMutations([MutationSet([HeaderMutation(b"x-local-rate-limit", "true")], [])]),
    )
    ask(world)
    got = ask(world)
    assert (status(got), flags(got)) == (503, "RL")
    assert b"\r\nx-local-rate-limit: true\r\n" in got
    assert got.endswith(b"\r\n\r\nlocal_rate_limited\n")


def test_what_is_not_enforced_goes_on_marked(world):
    stats = install(
        world,
        default_bucket=bucket(1),
        enforced=Fraction(0),
        request_edits=HeaderMutations([MutationSet([HeaderMutation(b"x-over", "yes")], [])]),
    )
    assert asked(world) == 200
    assert b"x-over" not in ask.sent
    assert asked(world) == 200
    assert b"\r\nx-over: yes\r\n" in ask.sent
    assert counts(stats) == {"enabled": 2, "ok": 1, "rate_limited": 1, "enforced": 0}


def test_what_is_not_enabled_is_not_even_counted(world):
    stats = install(world, default_bucket=bucket(1), enabled=Fraction(0))
    assert [asked(world) for _ in range(3)] == [200] * 3
    assert not any(counts(stats).values())


def test_a_share_may_be_enabled(world):
    world.context.random = Random(3)
    stats = install(world, default_bucket=bucket(1), enabled=Fraction(50))
    n = 300
    limited = sum(asked(world) == 429 for _ in range(n))
    assert limited == counts(stats)["enabled"] - 1
    assert abs(limited - n / 2) < 5 * (n / 4) ** 0.5


def test_without_a_bucket_nothing_is_limited(world):
    stats = install(world)
    assert asked(world) == 200
    assert counts(stats)["ok"] == 1


def test_a_route_has_limits_of_its_own(world):
    install(world, default_bucket=bucket(1))
    world.listener.routes.virtual_hosts[0].routes[0].filters = {NAME: limits(world, default_bucket=bucket(2))}
    assert [asked(world) for _ in range(3)] == [200, 200, 429]


def test_answers_tell_what_is_left(world):
    install(world, default_bucket=bucket(2, 1, 10_000), tell=True)
    for remaining, reset in ((b"1", b"0"), (b"0", b"9"), (b"0", b"9")):
        got = ask(world)
        assert b"\r\nx-ratelimit-limit: 2\r\n" in got
        assert b"\r\nx-ratelimit-remaining: %s\r\n" % remaining in got
        assert b"\r\nx-ratelimit-reset: %s\r\n" % reset in got or reset == b"9"
    assert status(got) == 429


# -- descriptors -------------------------------------------------------------------------------------------------------


def header(name, **more):
    return Action("request_header", name, name=b"x-" + name, **more)


def test_a_descriptor_has_a_bucket_of_its_own(world):
    install(
        world,
        default_bucket=bucket(4),
        descriptors={(b"user", b"ann"): bucket(1)},
        rules=[Rule([header(b"user")])],
    )
    assert [asked(world, b"x-user: ann") for _ in range(2)] == [200, 429]
    assert [asked(world, b"x-user: bob") for _ in range(2)] == [200, 200]
    assert [asked(world) for _ in range(2)] == [200, 429]


def test_the_default_bucket_may_be_for_the_others_only(world):
    install(
        world,
        default_bucket=bucket(1),
        descriptors={(b"user", b"ann"): bucket(3)},
        rules=[Rule([header(b"user")])],
        always_default=False,
    )
    assert [asked(world, b"x-user: ann") for _ in range(4)] == [200, 200, 200, 429]
    assert [asked(world) for _ in range(2)] == [200, 429]


def test_the_slowest_bucket_is_asked_first_and_the_others_keep_their_tokens(world):
    fast, slow = bucket(5, 100, 1000), bucket(1, 1, 3_600_000)
    install(
        world,
        descriptors={(b"user", b"ann"): fast, (b"all", b"yes"): slow},
        rules=[Rule([header(b"user")]), Rule([Action("generic_key", b"all", b"yes")])],
    )
    assert [asked(world, b"x-user: ann") for _ in range(3)] == [200, 429, 429]
    assert fast.remaining(world.wheel.now_us()) == 4


@pytest.mark.parametrize(
    ("actions", "hit", "miss"),
    [
        ([Action("generic_key", b"k", b"v")], {}, None),
        ([header(b"user")], {"headers": [b"x-user: v"]}, {"headers": [b"x-other: v"]}),
        ([header(b"none", optional=True), Action("generic_key", b"k", b"v")], {}, None),
        ([header(b"none"), Action("generic_key", b"k", b"v")], None, {}),
        ([Action("remote_address", b"remote_address")], {"peer": ("10.0.0.9", 1)}, {"peer": ("10.0.0.8", 1)}),
        (
            [Action("query_parameter", b"q", name=b"api_key")],
            {"path": b"/?a=1&api_key=v&api_key=w"},
            {"path": b"/?a=1"},
        ),
        (
            [Action("headers_match", b"header_match", b"v", headers=[HeaderMatcher(b"x-a", StringMatcher("present"))])],
            {"headers": [b"x-a: 1"]},
            {},
        ),
        (
            [
                Action(
                    "headers_match",
                    b"header_match",
                    b"v",
                    headers=[HeaderMatcher(b"x-a", StringMatcher("present"))],
                    expect=False,
                )
            ],
            {},
            {"headers": [b"x-a: 1"]},
        ),
        (
            [Action("query_match", b"query_match", b"v", query=[QueryMatcher(b"a", StringMatcher("exact", b"1"))])],
            {"path": b"/?a=1"},
            {"path": b"/?a=2"},
        ),
    ],
)
def test_actions(world, actions, hit, miss):
    value = b"10.0.0.9" if actions[-1].key == b"remote_address" else b"v"
    install(world, descriptors={(actions[-1].key, value): bucket(1)}, rules=[Rule(actions)])

    def twice(where):
        headers = where.pop("headers", ())
        return [asked(world, *headers, **where) for _ in range(2)]

    if miss is not None:
        assert twice(miss) == [200, 200]
    if hit is not None:
        assert twice(hit) == [200, 429]


def test_a_descriptor_of_several_entries_is_all_of_them(world):
    install(
        world,
        descriptors={(b"user", b"ann", b"plan", b"free"): bucket(1)},
        rules=[Rule([header(b"user"), header(b"plan")])],
    )
    assert [asked(world, b"x-user: ann", b"x-plan: free") for _ in range(2)] == [200, 429]
    assert [asked(world, b"x-user: ann", b"x-plan: paid") for _ in range(2)] == [200, 200]
    assert asked(world, b"x-user: ann") == 200


# -- wildcards ---------------------------------------------------------------------------------------------------------


def wildcard(maximum, sets=1, entries=(b"user", None)):
    return Wildcard(entries, bucket(maximum), [alone(8) for _ in range(sets)])


def test_each_value_of_a_wildcard_has_a_bucket(world):
    install(
        world,
        descriptors={(b"user", b"ann"): bucket(3)},
        wildcards=[wildcard(1, sets=4)],
        rules=[Rule([header(b"user")])],
    )
    assert [asked(world, b"x-user: bob") for _ in range(2)] == [200, 429]
    assert [asked(world, b"x-user: cid") for _ in range(2)] == [200, 429]
    assert [asked(world, b"x-user: ann") for _ in range(4)] == [200, 200, 200, 429]  # its own comes first


def test_what_a_wildcard_matches():
    it = wildcard(1, entries=(b"user", None, b"plan", b"free"))
    assert it.matches((b"user", b"bob", b"plan", b"free"))
    assert not it.matches((b"user", b"bob", b"plan", b"paid"))
    assert not it.matches((b"user", b"bob"))
    assert not it.matches((b"other", b"bob", b"plan", b"free"))


def test_a_full_set_gives_the_fullest_place_away():
    it = wildcard(10)
    now = 5_000_000
    for name, times in ((b"a", 3), (b"b", 1), (b"c", 2), (b"d", 4)):
        for _ in range(times):
            assert it.bucket((b"user", name)).take(now)
    assert it.bucket((b"user", b"e")).take(now)
    remaining = {name: it.bucket((b"user", name)).remaining(now) for name in (b"a", b"c", b"d", b"e")}
    assert remaining == {b"a": 7, b"c": 8, b"d": 6, b"e": 9}


def test_values_do_not_run_out_of_places():
    it = wildcard(1, sets=3)
    for i in range(500):
        assert it.bucket((b"user", b"%d" % i)).take(0)
