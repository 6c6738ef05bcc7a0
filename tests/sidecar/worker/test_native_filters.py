"""Faults, CORS and rate limits of a plan, in a worker's tables; and which buckets stay when a plan changes."""

import asyncio

import pytest

from tage.dataplane.filters.cors import CorsPolicy
from tage.dataplane.filters.fault import Faults
from tage.dataplane.filters.local_rate_limit import RateLimits
from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.streams.context import Context
from tage.dataplane.telemetry.store import StatStore
from tage.dataplane.upstream import shared_layout
from tage.dataplane.upstream.shared import SharedFile
from tage.sidecar import plan
from tage.sidecar.worker.tables import PlanRefused, Tables

FAULT, CORS, LIMIT = "envoy.filters.http.fault", "envoy.filters.http.cors", "envoy.filters.http.local_ratelimit"
ALL = plan.Fraction(100)


class Worker:
    def __init__(self, path, column=0):
        loop = asyncio.get_running_loop()
        self.context = Context(TimerWheel(loop.call_later))
        self.stats = StatStore(path.parent / f"stats-{column}")
        self.shared = SharedFile(str(path), column)
        self.tables = Tables(self.context, self.stats, loop, None, self.shared)

    async def prepare(self, *sections):
        kinds = {cls: kind for kind, cls in plan.KINDS.items()}
        upserts = [(kinds[type(each)], each.name, plan.encode(each)) for each in sections]
        return await self.tables.prepare(plan.Prepare(self.tables.version + 1, True, upserts))

    async def apply(self, *sections):
        await self.tables.commit(await self.prepare(*sections))

    @property
    def state(self):
        (state,) = self.tables.listeners["l"].states.values()
        return state

    @property
    def filters(self):
        return {each.name: each for each in self.state.filters}

    @property
    def settings(self):
        return self.state.routes.virtual_hosts[0].routes[0].filters

    def now(self):
        return self.context.wheel.now_us()


def listener(*filters):
    return plan.Listener(
        "l", "127.0.0.1", 80, chains=[plan.FilterChain(http=plan.Http("r", "web", filters=list(filters)))]
    )


def routes(*settings, name=""):
    rule = plan.Route(
        plan.RouteMatch(plan.StringMatch("prefix", "/")),
        name,
        direct=plan.DirectResponse(200),
        filters={each.name: each for each in settings},
    )
    return plan.Routes("r", [plan.VirtualHost("v", ["*"], [rule])])


def limit(maximum=2, **fields):
    fields = {"bucket": plan.TokenBucket(maximum, 1, 3_600_000), "enabled": ALL, "enforced": ALL, **fields}
    return plan.LocalRateLimit(LIMIT, "the listener", "web_limit", **fields)


@pytest.fixture
def run(tmp_path):
    path = tmp_path / "shared.bin"
    shared_layout.create(str(path), 2)

    def run(test, workers=1):
        async def main():
            made = [Worker(path, column) for column in range(workers)]
            try:
                await test(*made)
            finally:
                for worker in made:
                    worker.tables.logs.close()

        asyncio.run(main())

    return run


def test_everything_said_of_faults_and_cors_arrives(run):
    fault = plan.Fault(
        FAULT,
        plan.Fraction(1, 10_000),
        250,
        ALL,
        418,
        [plan.HeaderMatch("x-a", plan.StringMatch("exact", "1"))],
        ["n"],
        7,
    )
    policy = plan.CorsPolicy(
        CORS, [plan.StringMatch("exact", "https://a")], "GET", "x-a", "x-b", "10", True, True, False, ALL, ALL
    )

    async def test(worker):
        await worker.apply(listener(plan.Fault(FAULT), plan.Cors(CORS)), routes(fault, policy))
        faults, cors = worker.settings[FAULT], worker.settings[CORS]
        assert isinstance(faults, Faults)
        assert (faults.delay_ms, faults.delay.denominator, faults.abort_status) == (250, 10_000, 418)
        assert (len(faults.headers), faults.nodes, faults.max_active) == (1, frozenset({b"n"}), 7)
        assert isinstance(cors, CorsPolicy)
        assert cors.allows(b"https://a")
        assert (cors.methods, cors.headers, cors.expose, cors.max_age) == (b"GET", b"x-a", b"x-b", b"10")
        assert (cors.credentials, cors.private_network, cors.forward) == (True, True, False)
        assert worker.filters[FAULT].stats.owner == "web"

    run(test)


def test_a_limits_buckets_are_all_workers(run):
    async def test(first, second):
        plans = listener(limit()), routes()
        await first.apply(*plans)
        await second.apply(*plans)
        one, other = (worker.filters[LIMIT].limits.default_bucket for worker in (first, second))
        now = first.now()
        assert [one.take(now), other.take(now), one.take(now), other.take(now)] == [True, True, False, False]

    run(test, workers=2)


def test_a_bucket_stays_while_its_limit_does(run):
    async def test(worker):
        await worker.apply(listener(limit()), routes())
        now = worker.now()
        assert worker.filters[LIMIT].limits.default_bucket.take(now)
        await worker.apply(listener(plan.Fault(FAULT), limit()), routes(name="other"))
        bucket = worker.filters[LIMIT].limits.default_bucket
        assert [bucket.take(now), bucket.take(now)] == [True, False]
        await worker.apply(listener(limit(3)), routes())
        assert worker.filters[LIMIT].limits.default_bucket.remaining(now) == 3

    run(test)


def test_routes_of_one_virtual_host_share_its_bucket(run):
    async def test(worker):
        of_host = limit(1)
        rules = [
            plan.Route(
                plan.RouteMatch(plan.StringMatch("prefix", f"/{name}")),
                name,
                direct=plan.DirectResponse(200),
                filters={LIMIT: of_host},
            )
            for name in ("a", "b")
        ]
        await worker.apply(listener(limit()), plan.Routes("r", [plan.VirtualHost("v", ["*"], rules)]))
        one, other = (route.filters[LIMIT] for route in worker.state.routes.virtual_hosts[0].routes)
        assert isinstance(one, RateLimits)
        assert one.default_bucket.take(worker.now())
        assert not other.default_bucket.take(worker.now())

    run(test)


def test_descriptors(run):
    descriptors = [
        plan.RateLimitDescriptor([("user", "ann"), ("plan", "free")], plan.TokenBucket(5)),
        plan.RateLimitDescriptor([("user", "")], plan.TokenBucket(6)),
    ]
    rules = [[plan.RateLimitAction("request_header", "user", name="x-user", optional=True)]]

    async def test(first, second):
        plans = listener(limit(descriptors=descriptors, rules=rules, tell=True, always_default=False)), routes()
        await first.apply(*plans)
        await second.apply(*plans)
        limits = first.filters[LIMIT].limits
        assert limits.descriptors[(b"user", b"ann", b"plan", b"free")].maximum == 5
        assert (limits.tell, limits.always_default, len(limits.rules)) == (True, False, 1)
        (wildcard,) = limits.wildcards
        assert wildcard.entries == (b"user", None)
        (other,) = second.filters[LIMIT].limits.wildcards
        now = first.now()
        assert wildcard.bucket((b"user", b"bob")).take(now)
        assert other.bucket((b"user", b"bob")).remaining(now) == 5
        assert other.bucket((b"user", b"cid")).remaining(now) == 6

    run(test, workers=2)


def test_what_a_refused_plan_claimed_is_given_up(run):
    async def test(worker):
        await worker.apply(listener(), routes())
        await worker.prepare(listener(limit()), routes())
        assert list(worker.shared.buckets.names())
        worker.tables.abort()
        assert not list(worker.shared.buckets.names())
        await worker.apply(listener(limit()), routes())
        assert len(list(worker.shared.buckets.names())) == 1

    run(test)


def test_what_makes_no_sense_refuses_the_plan(run):
    async def test(worker):
        with pytest.raises(PlanRefused, match=f"filter '{LIMIT}'.*at least one token"):
            await worker.prepare(listener(limit(0)), routes())
        bad = plan.Fault(FAULT, headers=[plan.HeaderMatch("a", plan.StringMatch("regex", "("))])
        with pytest.raises(PlanRefused, match=f"filter '{FAULT}'.*RE2"):
            await worker.prepare(listener(bad), routes())

    run(test)
