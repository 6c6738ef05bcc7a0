"""c-ares against a DNS server on loopback."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator

import pytest

from tage.sidecar import cares
from tage.sidecar.cares import Answer, Cares, LookupFailed
from tage.sidecar.translate.draft import DnsServers
from tests.e2e.ports import until
from tests.nameserver import LOOPBACK, Nameserver

WAIT = 20.0


@pytest.fixture
def server() -> Iterator[Nameserver]:
    with Nameserver() as made:
        yield made


def play(servers: DnsServers, script: Callable[[Cares], Awaitable[None]]) -> None:
    async def run() -> None:
        asked = Cares(servers)
        try:
            async with asyncio.timeout(WAIT):
                await script(asked)
        finally:
            asked.close()

    asyncio.run(run())


def at(*servers: Nameserver, **options: bool) -> DnsServers:
    return DnsServers(tuple(f"{server.address}:{server.port}" for server in servers), **options)


def test_both_families_with_ttl(server: Nameserver) -> None:
    server.addresses["a.test"] = ["127.0.0.3", "127.0.0.2", "::2"]
    server.ttl = 300

    async def script(asked: Cares) -> None:
        assert await asked.ask("a.test", "v4") == Answer(("127.0.0.3", "127.0.0.2"), 300)
        assert await asked.ask("A.test.", "v6") == Answer(("::2",), 300)

    play(at(server), script)


def test_an_alias_may_be_what_is_over_first(server: Nameserver) -> None:
    server.addresses["b.test"] = ["127.0.0.2"]
    server.aliases["a.test"] = ("b.test", 7)

    async def script(asked: Cares) -> None:
        assert await asked.ask("a.test", "v4") == Answer(("127.0.0.2",), 7)

    play(at(server), script)


def test_no_such_name_and_no_address_are_answers(server: Nameserver) -> None:
    server.addresses["six.test"] = ["::2"]

    async def script(asked: Cares) -> None:
        assert await asked.ask("none.test", "v4") == Answer()
        assert await asked.ask("six.test", "v4") == Answer()

    play(at(server), script)


def test_addresses_are_bounded(server: Nameserver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cares, "MAX_ADDRESSES", 2)
    server.addresses["a.test"] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]

    async def script(asked: Cares) -> None:
        assert (await asked.ask("a.test", "v4")).addresses == ("127.0.0.1", "127.0.0.2")

    play(at(server), script)


@pytest.mark.parametrize("failure", ["SERVFAIL", "REFUSED", "NOTIMP"])
def test_failures(server: Nameserver, failure: str) -> None:
    server.failure = failure

    async def script(asked: Cares) -> None:
        with pytest.raises(LookupFailed):
            await asked.ask("a.test", "v4")
        server.failure = ""
        server.addresses["a.test"] = ["127.0.0.2"]
        assert (await asked.ask("a.test", "v4")).addresses == ("127.0.0.2",)

    play(at(server), script)


def test_no_answer(server: Nameserver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cares, "TRY_TIMEOUT", 0.1)
    server.failure = "silent"

    async def script(asked: Cares) -> None:
        with pytest.raises(LookupFailed, match="Timeout"):
            await asked.ask("a.test", "v4")

    play(at(server), script)
    assert server.count() == cares.TRIES


def test_nobody_there() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((LOOPBACK, 0))
        port = probe.getsockname()[1]

    async def script(asked: Cares) -> None:
        with pytest.raises(LookupFailed, match="contact"):
            await asked.ask("a.test", "v4")

    play(DnsServers((f"{LOOPBACK}:{port}",)), script)


def test_the_next_server_answers_for_one_that_is_silent(server: Nameserver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cares, "TRY_TIMEOUT", 0.1)
    server.addresses["a.test"] = ["127.0.0.2"]
    with Nameserver() as silent:
        silent.failure = "silent"

        async def script(asked: Cares) -> None:
            assert (await asked.ask("a.test", "v4")).addresses == ("127.0.0.2",)

        play(at(silent, server), script)
        assert silent.count() == 1


def test_what_is_truncated_is_asked_again_over_tcp(server: Nameserver) -> None:
    server.addresses["many.test"] = [f"127.0.{i // 250}.{i % 250 + 1}" for i in range(1_000)]
    server.truncate = True

    async def script(asked: Cares) -> None:
        assert len((await asked.ask("many.test", "v4")).addresses) == 1_000

    play(at(server), script)
    assert [transport for _, _, transport in server.asked] == ["udp", "tcp"]


def test_tcp_alone(server: Nameserver) -> None:
    server.addresses["a.test"] = ["127.0.0.2"]

    async def script(asked: Cares) -> None:
        assert (await asked.ask("a.test", "v4")).addresses == ("127.0.0.2",)

    play(at(server, tcp=True), script)
    assert [transport for _, _, transport in server.asked] == ["tcp"]


def test_search_domains(server: Nameserver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALDOMAIN", "ns.test")  # read by c-ares in the place of `search` in resolv.conf
    server.addresses["a.ns.test"] = ["127.0.0.2"]

    async def found(asked: Cares) -> None:
        assert (await asked.ask("a", "v4")).addresses == ("127.0.0.2",)

    play(at(server), found)
    assert [name for name, _, _ in server.asked] == ["a.ns.test"]
    server.asked.clear()

    async def not_found(asked: Cares) -> None:
        assert await asked.ask("a", "v4") == Answer()

    play(at(server, no_search=True), not_found)
    assert [name for name, _, _ in server.asked] == ["a"]


def test_names_of_the_host_need_no_server(server: Nameserver) -> None:
    async def script(asked: Cares) -> None:
        assert (await asked.ask("localhost", "v4")).addresses == ("127.0.0.1",)
        assert (await asked.ask("localhost", "v6")).addresses == ("::1",)

    play(at(server), script)
    assert server.asked == []


@pytest.mark.parametrize("name", [f"{'a' * 64}.test", "a..test", "ä" * 64 + ".test", "." + "a" * 300])
def test_names_that_cannot_be(server: Nameserver, name: str) -> None:
    async def script(asked: Cares) -> None:
        with pytest.raises(LookupFailed):
            await asked.ask(name, "v4")
        assert (await asked.ask("localhost", "v4")).addresses == ("127.0.0.1",)

    play(at(server), script)


def test_servers_as_a_fallback(server: Nameserver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's servers come first; what these are, RES_OPTIONS and resolv.conf say, which a test cannot change."""
    import pycares

    server.addresses["a.test"] = ["127.0.0.2"]
    made: list[dict[str, object]] = []
    channel = pycares.Channel

    def without_system(**options: object) -> object:
        made.append(options)
        return channel(**{**options, "resolvconf_path": os.devnull})

    async def script(asked: Cares) -> None:
        assert (await asked.ask("a.test", "v4")).addresses == ("127.0.0.2",)

    monkeypatch.setattr(pycares, "Channel", without_system)
    play(at(server, fallback=True), script)
    assert "servers" not in made[0]
    assert made[1]["servers"] == at(server).addresses


def test_the_same_question_goes_out_once(server: Nameserver) -> None:
    server.addresses["a.test"] = ["127.0.0.2"]

    async def script(asked: Cares) -> None:
        answers = await asyncio.gather(*(asked.ask("a.test", "v4") for _ in range(5)))
        assert answers == [answers[0]] * 5
        assert server.count() == 1
        # What is asked later goes out again, whatever the TTL: no answer is kept.
        server.addresses["a.test"] = ["127.0.0.3"]
        assert (await asked.ask("a.test", "v4")).addresses == ("127.0.0.3",)

    play(at(server), script)


def test_whoever_stops_waiting_takes_nothing_from_others(server: Nameserver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cares, "TRY_TIMEOUT", 0.2)
    server.failure = "silent"
    server.addresses["a.test"] = ["127.0.0.2"]

    async def script(asked: Cares) -> None:
        first, second = (asyncio.ensure_future(asked.ask("a.test", "v4")) for _ in range(2))
        await asyncio.to_thread(until, server.count, "the question")
        first.cancel()
        server.failure = ""
        assert (await second).addresses == ("127.0.0.2",)
        assert first.cancelled()

    play(at(server), script)


def test_closing_with_questions_under_way_leaves_no_thread(server: Nameserver) -> None:
    server.failure = "silent"

    play(at(server), warm_up)
    before = _threads()

    async def script(asked: Cares) -> None:
        tasks = [asyncio.ensure_future(asked.ask(f"{i}.test", "v4")) for i in range(20)]
        await asyncio.to_thread(until, lambda: server.count() >= 20, "all questions")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    play(at(server), script)
    until(lambda: _threads() <= before, "the threads end")


def test_nothing_is_held_while_nothing_is_asked(server: Nameserver) -> None:
    server.addresses["a.test"] = ["127.0.0.2"]

    async def script(asked: Cares) -> None:
        before = _descriptors(), _threads()
        for _ in range(50):
            await asked.ask("a.test", "v4")
        until(lambda: _descriptors() <= before[0] and _threads() <= before[1], "threads and descriptors go")

    play(at(server), warm_up)
    play(at(server), script)


async def warm_up(asked: Cares) -> None:
    """pycares has one thread for all that is closed."""
    await asked.ask("localhost", "v4")


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
