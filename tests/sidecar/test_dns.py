from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

from tage.sidecar import dns
from tage.sidecar.cares import Answer, Family, LookupFailed
from tage.sidecar.dns import MAX_TTL, MIN_DELAY, Known, Refresh, Resolver, Watch
from tage.sidecar.plan import Endpoint, Endpoints, encode
from tage.sidecar.translate.draft import Dns, DnsPolicy, DnsServers

WAIT = 10.0
SERVERS = DnsServers(("127.0.0.1:53",))


class Names:
    """In the place of c-ares: addresses by name; none: there is no such name. `failing` says what fails, and how."""

    def __init__(self, **addresses: list[str]) -> None:
        self.addresses = addresses
        self.failing: dict[tuple[str, Family] | str, str] = {}
        self.ttl = 0
        self.asked: list[tuple[str, Family]] = []
        self.hanging = asyncio.Event()
        """Somebody waits for an answer that does not come."""
        self.closed = 0

    async def ask(self, host: str, family: Family) -> Answer:
        self.asked.append((host, family))
        failure = self.failing.get((host, family)) or self.failing.get(host)
        if failure == "silent":
            self.hanging.set()
            await asyncio.Event().wait()
        if failure:
            raise LookupFailed(failure)
        found = [address for address in self.addresses.get(host, ()) if (":" in address) == (family == "v6")]
        return Answer(tuple(found), self.ttl if found else 0)

    def close(self) -> None:
        self.closed += 1


class Clock:
    """Sleeps end when a test says so."""

    def __init__(self) -> None:
        self.sleeping: asyncio.Queue[tuple[float, asyncio.Future[None]]] = asyncio.Queue()
        self.asleep = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sleeping.put_nowait((seconds, future))
        self.asleep.set()
        await future

    async def wake(self) -> float:
        """The next that sleeps; how many seconds it wanted to."""
        while True:
            seconds, future = await self.sleeping.get()
            if not future.cancelled():
                future.set_result(None)
                self.asleep.clear()
                return seconds


class Game:
    def __init__(self, names: Names) -> None:
        self.names = names
        self.clock = Clock()
        self.told: asyncio.Queue[tuple[str, list[Endpoint]]] = asyncio.Queue()
        self.made: list[DnsServers] = []
        self.resolver = Resolver(
            lambda cluster, endpoints: self.told.put_nowait((cluster, endpoints)),
            make=self._make,
            sleep=self.clock.sleep,
            draw=lambda: 0.5,
        )

    def _make(self, servers: DnsServers) -> Names:
        self.made.append(servers)
        return self.names

    def set(self, **clusters: Dns) -> None:
        self.resolver.set(clusters)

    async def next(self) -> list[Endpoint]:
        return (await self.told.get())[1]

    async def again(self) -> float:
        """One more lookup, done; seconds slept before it."""
        slept = await self.clock.wake()
        await self.clock.asleep.wait()
        return slept


def play(names: Names, script: Callable[[Game], Awaitable[None]]) -> None:
    async def run() -> None:
        game = Game(names)
        async with asyncio.timeout(WAIT):
            await script(game)
        game.resolver.close()
        await asyncio.sleep(0)
        assert names.closed == len(game.made)

    asyncio.run(run())


def simple(*hosts: str, port: int = 80, **policy: Any) -> Dns:
    return Dns([Endpoint(host, port) for host in hosts], DnsPolicy(**policy))


def hosts(endpoints: Iterable[Endpoint]) -> list[str]:
    return [endpoint.address for endpoint in endpoints]


# -- one lookup --------------------------------------------------------------------------------------------------------


def look_up(names: Names, watch: Watch) -> bool:
    watch._asks = names
    return asyncio.run(watch.look_up(lambda: 1_000.0))


def watch(host: str = "a", **policy: Any) -> Watch:
    return Watch(host, DnsPolicy(**policy), Names(), Known())


@pytest.mark.parametrize(
    ("family", "expected", "asked"),
    [
        ("auto", ["::1"], ["v6"]),
        ("v4_preferred", ["127.0.0.1", "127.0.0.2"], ["v4"]),
        ("v4_only", ["127.0.0.1", "127.0.0.2"], ["v4"]),
        ("v6_only", ["::1"], ["v6"]),
        ("all", ["127.0.0.1", "127.0.0.2", "::1"], ["v4", "v6"]),
    ],
)
def test_families(family: str, expected: list[str], asked: list[str]) -> None:
    names, tried = Names(a=["127.0.0.2", "127.0.0.1", "::1"]), watch(family=family)
    assert look_up(names, tried)
    assert tried.addresses() == expected
    assert [family for _, family in names.asked] == asked


@pytest.mark.parametrize(("family", "address"), [("auto", "127.0.0.1"), ("v4_preferred", "::1")])
def test_the_other_family_where_there_is_none(family: str, address: str) -> None:
    tried = watch(family=family)
    assert look_up(Names(a=[address]), tried)
    assert tried.addresses() == [address]


@pytest.mark.parametrize("family", ["v4_only", "auto", "all"])
def test_a_failure_keeps_the_last_addresses(family: str) -> None:
    names, tried = Names(a=["127.0.0.1"]), watch(family=family)
    assert look_up(names, tried)
    names.failing["a"] = "SERVFAIL"
    assert not look_up(names, tried)
    assert tried.addresses() == ["127.0.0.1"]
    assert tried.status() == {
        "name": "a",
        "addresses": ["127.0.0.1"],
        "ttl": 0,
        "last_resolved": "1970-01-01T00:16:40Z",
        "last_tried": "1970-01-01T00:16:40Z",
        "error": "SERVFAIL",
    }


@pytest.mark.parametrize("family", ["v4_only", "auto", "all"])
def test_no_such_name_takes_them_away(family: str) -> None:
    names, tried = Names(a=["127.0.0.1"]), watch(family=family)
    look_up(names, tried)
    names.addresses.clear()
    assert look_up(names, tried)
    assert tried.addresses() == []
    assert tried.known.error == ""


@pytest.mark.parametrize("family", ["auto", "v4_preferred", "all"])
def test_none_is_not_believed_while_another_question_fails(family: str) -> None:
    names, tried = Names(a=["127.0.0.1"]), watch(family=family)
    look_up(names, tried)
    names.addresses["a"] = []
    names.failing["a", "v6"] = "SERVFAIL"
    assert not look_up(names, tried)
    assert tried.addresses() == ["127.0.0.1"]
    assert tried.known.error == "SERVFAIL"


def test_of_both_families_the_one_that_fails_stays() -> None:
    names, tried = Names(a=["127.0.0.1", "::1"]), watch(family="all")
    look_up(names, tried)
    names.failing["a", "v6"] = "SERVFAIL"
    names.addresses["a"] = ["127.0.0.2", "::2"]
    assert look_up(names, tried)
    assert tried.addresses() == ["127.0.0.2", "::1"]
    del names.failing["a", "v6"]
    assert look_up(names, tried)
    assert tried.addresses() == ["127.0.0.2", "::2"]
    assert tried.known.error == ""


def test_one_family_is_enough_where_one_is_asked_for() -> None:
    names, tried = Names(a=["::1"]), watch(family="auto")
    look_up(names, tried)
    names.failing["a", "v6"] = "SERVFAIL"
    names.addresses["a"] = ["127.0.0.1"]
    assert look_up(names, tried)
    assert tried.addresses() == ["127.0.0.1"]


def test_the_first_address_of_a_logical_one_and_no_empty_answers() -> None:
    names, tried = Names(a=["127.0.0.3", "127.0.0.2"]), watch(logical=True)
    assert look_up(names, tried)
    assert tried.addresses() == ["127.0.0.3"]
    names.addresses["a"] = []
    assert not look_up(names, tried)
    assert tried.addresses() == ["127.0.0.3"]
    assert tried.known.error == "it has no address"


def test_a_slow_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns, "LOOKUP_TIMEOUT", 0.01)
    names, tried = Names(), watch(family="v4_only")
    names.failing["a"] = "silent"
    assert not look_up(names, tried)
    assert tried.known.error == "no answer within 0.01 s"


# -- when --------------------------------------------------------------------------------------------------------------


def test_refresh() -> None:
    assert Refresh(DnsPolicy(refresh=1_000)).after_answer(7) == 1_000
    assert Refresh(DnsPolicy(refresh=1_000)).after_failure() == 1_000


def test_ttl() -> None:
    refresh = Refresh(DnsPolicy(respect_ttl=True))
    assert refresh.after_answer(7) == 7_000
    assert refresh.after_answer(1) == 1_000
    assert refresh.after_answer(0) == 5_000
    assert refresh.after_answer(1 << 31) == MAX_TTL * 1000


def test_jitter_only_adds() -> None:
    draws = [0.0, 0.25, 0.999]
    refresh = Refresh(DnsPolicy(refresh=1_000, jitter=400), iter(draws).__next__)
    assert [refresh.after_answer(0) for _ in draws] == pytest.approx([1_000, 1_100, 1_399.6])
    real = Refresh(DnsPolicy(refresh=1_000, jitter=400))
    delays = [real.after_answer(0) for _ in range(200)] + [real.after_failure() for _ in range(200)]
    assert 1_000 <= min(delays) < max(delays) < 1_400


def test_back_off() -> None:
    refresh = Refresh(DnsPolicy(failure_base=1_000, failure_max=5_000), lambda: 0.5)
    assert [refresh.after_failure() for _ in range(5)] == [500, 1_000, 2_000, 2_500, 2_500]
    assert refresh.after_answer(0) == 5_000
    assert refresh.after_failure() == 500
    assert Refresh(DnsPolicy(failure_base=1_000, failure_max=1_000), lambda: 0.0).after_failure() == MIN_DELAY


# -- clusters ----------------------------------------------------------------------------------------------------------


def test_changes_are_told_and_the_last_good_answer_stays() -> None:
    names = Names(a=["127.0.0.1"])

    async def script(game: Game) -> None:
        game.set(c=Dns([Endpoint("a", 80, 2), Endpoint("127.0.0.9", 81, healthy=False, hostname="nine")]))
        literal = Endpoint("127.0.0.9", 81, healthy=False, hostname="nine")
        assert await game.next() == [Endpoint("127.0.0.1", 80, 2, hostname="a"), literal]
        names.failing["a"] = "SERVFAIL"
        for _ in range(3):
            assert await game.again() == 5.0
        assert game.told.empty()
        names.failing.clear()
        names.addresses["a"] = ["127.0.0.3"]
        await game.again()
        assert await game.next() == [Endpoint("127.0.0.3", 80, 2, hostname="a"), literal]
        names.addresses["a"] = []
        await game.again()
        assert await game.next() == [literal]

    play(names, script)


def test_another_order_is_no_change() -> None:
    names = Names(a=["127.0.0.1", "127.0.0.2"])

    async def script(game: Game) -> None:
        game.set(c=simple("a"), one=simple("a", logical=True))
        told = dict([await game.told.get(), await game.told.get()])
        assert {name: hosts(endpoints) for name, endpoints in told.items()} == {
            "c": ["127.0.0.1", "127.0.0.2"],
            "one": ["127.0.0.1"],
        }
        names.addresses["a"].reverse()
        await game.again()
        await game.again()
        assert await game.told.get() == ("one", [Endpoint("127.0.0.2", 80, hostname="a")])
        assert game.told.empty()

    play(names, script)


def test_a_cluster_is_told_when_all_of_its_names_were_tried() -> None:
    names = Names(a=["127.0.0.1"], b=["127.0.0.2"])
    names.failing["b"] = "SERVFAIL"
    waiting: list[asyncio.Future[None]] = []
    ask = names.ask

    async def slow(host: str, family: Family) -> Answer:
        if host == "b" and not waiting:
            waiting.append(asyncio.get_running_loop().create_future())
            await waiting[0]
        return await ask(host, family)

    names.ask = slow  # type: ignore[method-assign]

    async def script(game: Game) -> None:
        game.set(both=simple("a", "b"), one=simple("a"))
        assert (await game.told.get())[0] == "one"
        assert game.told.empty()
        waiting[0].set_result(None)
        assert await game.told.get() == ("both", [Endpoint("127.0.0.1", 80, hostname="a")])

    play(names, script)


def test_a_name_that_stands_twice_is_asked_once_and_an_address_counts_once() -> None:
    names = Names(a=["127.0.0.1"], b=["127.0.0.1", "127.0.0.2"])

    async def script(game: Game) -> None:
        entries = [Endpoint("a", 80, 5), Endpoint("b", 80), Endpoint("a", 81), Endpoint("a", 80, 7)]
        game.set(c=Dns(entries, DnsPolicy("v4_only")))
        assert await game.next() == [
            Endpoint("127.0.0.1", 80, 5, hostname="a"),
            Endpoint("127.0.0.2", 80, hostname="b"),
            Endpoint("127.0.0.1", 81, hostname="a"),
        ]
        assert sorted(names.asked) == [("a", "v4"), ("b", "v4")]

    play(names, script)


def test_clusters_share_what_they_ask_the_same_way() -> None:
    names = Names(a=["127.0.0.1"])

    async def script(game: Game) -> None:
        clusters = {str(port): simple("a", port=port, family="v4_only") for port in range(1, 20)}
        game.set(**clusters, other=simple("a", family="v4_only", servers=SERVERS))
        for _ in range(20):
            await game.told.get()
        assert len(names.asked) == 2
        assert game.made == [DnsServers(), SERVERS]
        game.set(**clusters, late=simple("a", port=99, family="v4_only"))  # told at once
        assert await game.told.get() == ("late", [Endpoint("127.0.0.1", 99, hostname="a")])
        assert len(names.asked) == 2
        assert names.closed == 1  # nobody asks the other servers any more

    play(names, script)


def test_another_policy_starts_with_what_is_known() -> None:
    names = Names(a=["127.0.0.1"])

    async def script(game: Game) -> None:
        game.set(c=simple("a", refresh=1_000))
        await game.next()
        names.failing["a"] = "SERVFAIL"
        game.set(c=simple("a", refresh=2_000))
        assert hosts(await game.next()) == ["127.0.0.1"]
        # By another question they might not have been found.
        game.set(c=simple("a", family="v6_only"))
        assert await game.next() == []

    play(names, script)


def test_what_a_former_agent_found_stays_until_there_is_an_answer() -> None:
    names = Names(a=["127.0.0.7"])
    names.failing["a"] = names.failing["b"] = names.failing["c"] = "SERVFAIL"
    former = [
        Endpoint("127.0.0.1", 80, hostname="a"),
        Endpoint("::1", 80, hostname="a"),
        Endpoint("127.0.0.2", 80, hostname="shown"),
        Endpoint("127.0.0.3", 81, hostname="a"),  # of an entry that is gone
        Endpoint("127.0.0.4", 80),
    ]

    async def script(game: Game) -> None:
        game.resolver.remember([encode(Endpoints("one", former)), encode(Endpoints("two", [Endpoint("127.0.0.5", 1)]))])
        entries = [Endpoint("a", 80), Endpoint("b", 80, hostname="shown"), Endpoint("c", 80)]
        shared = simple("a", port=9, family="all")  # new, and the first to ask for it
        game.set(new=shared, one=Dns(entries, DnsPolicy("all")), two=simple("c", port=1))
        told = dict([await game.told.get() for _ in range(3)])
        assert hosts(told.pop("new")) == ["127.0.0.1", "::1"]
        assert told == {"one": former[:3], "two": []}
        game.set(one=Dns(entries, DnsPolicy("all")), two=simple("c", port=1))
        names.failing.clear()
        for _ in range(4):
            await game.again()
        assert (await game.told.get()) == ("one", [Endpoint("127.0.0.7", 80, hostname="a"), former[2]])
        assert (await game.told.get()) == ("one", [Endpoint("127.0.0.7", 80, hostname="a")])

    play(names, script)


def test_each_policy_has_its_own_time() -> None:
    names = Names(a=["127.0.0.1"])
    names.ttl = 30

    async def script(game: Game) -> None:
        game.set(c=simple("a", respect_ttl=True, jitter=1_000, failure_base=2_000, failure_max=20_000))
        await game.next()
        assert await game.again() == 30.5
        names.failing["a"] = "SERVFAIL"
        assert await game.again() == 30.5
        assert [await game.again() for _ in range(3)] == [1.0, 2.0, 4.0]
        names.failing.clear()
        assert await game.again() == 8.0
        assert await game.again() == 30.5

    play(names, script)


def test_a_failure_is_told_to_the_operator_once(caplog: pytest.LogCaptureFixture) -> None:
    names = Names()
    names.failing["none"] = "SERVFAIL"

    async def script(game: Game) -> None:
        game.set(c=simple("none"))
        assert await game.next() == []
        for _ in range(8):
            await game.again()
        assert game.told.empty()

    play(names, script)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "DNS: none: SERVFAIL; it has no address"
    ]


def test_what_is_no_longer_wanted_is_not_resolved() -> None:
    names = Names(a=["127.0.0.1"])
    names.failing["b"] = "silent"

    async def script(game: Game) -> None:
        game.set(c=simple("a"))
        await game.told.get()
        game.set(c=simple("a", port=81))
        assert await game.next() == [Endpoint("127.0.0.1", 81, hostname="a")]
        assert len(names.asked) == 2  # AAAA and A: it was known
        game.set(c=simple("a", port=81), d=simple("b"))
        await names.hanging.wait()
        tasks = [watch.task for watch in game.resolver._watches.values() if watch.task is not None]
        assert len(tasks) == 2
        game.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() for task in tasks)
        assert not game.resolver.failed.done()
        assert game.resolver.status() == {}

    play(names, script)


def test_status() -> None:
    names = Names(a=["127.0.0.1"])

    async def script(game: Game) -> None:
        game.set(c=simple("a", "127.0.0.2"))
        await game.next()
        [entry] = game.resolver.status()["c"]
        assert (entry["name"], entry["addresses"], entry["error"]) == ("a", ["127.0.0.1"], "")
        assert entry["last_resolved"].startswith("20")

    play(names, script)


@pytest.mark.parametrize("host", ["127.0.0.1", "a"])
def test_an_error_of_ours_does_not_vanish(host: str) -> None:
    async def script(game: Game) -> None:
        def broken(cluster: str, endpoints: list[Endpoint]) -> None:
            raise RuntimeError("broken")

        game.resolver._found = broken
        game.set(c=simple(host))
        with pytest.raises(RuntimeError, match="broken"):
            await game.resolver.failed

    play(Names(), script)
