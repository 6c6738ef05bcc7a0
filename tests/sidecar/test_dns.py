from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tage.sidecar import dns
from tage.sidecar.dns import Resolver, look_up
from tage.sidecar.plan import Endpoint
from tage.sidecar.translate.draft import Dns, DnsName

WAIT = 10.0


class Names:
    """In the place of the loop's getaddrinfo: addresses by (name, family); none is an error."""

    def __init__(self, **addresses: list[str]) -> None:
        self.addresses = addresses
        self.asked = asyncio.Semaphore(0)

    async def getaddrinfo(self, host: str, port: Any, *, family: int, type: int) -> list[Any]:
        self.asked.release()
        v6 = family == socket.AF_INET6
        found = [address for address in self.addresses.get(host, ()) if (":" in address) == v6]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(family, type, 6, "", (address, 0)) for address in found]


def play(names: Names, script: Callable[[Resolver, asyncio.Queue[Any]], Awaitable[None]]) -> None:
    async def run() -> None:
        asyncio.get_running_loop().getaddrinfo = names.getaddrinfo  # type: ignore[method-assign]
        told: asyncio.Queue[Any] = asyncio.Queue()
        resolver = Resolver(lambda cluster, endpoints: told.put_nowait((cluster, endpoints)))
        async with asyncio.timeout(WAIT):
            await script(resolver, told)
        resolver.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("auto", ["::1"]),
        ("v4_preferred", ["127.0.0.1", "127.0.0.2"]),
        ("v4_only", ["127.0.0.1", "127.0.0.2"]),
        ("v6_only", ["::1"]),
        ("all", ["127.0.0.1", "127.0.0.2", "::1"]),
    ],
)
def test_families(family: str, expected: list[str]) -> None:
    async def script(resolver: Resolver, told: asyncio.Queue[Any]) -> None:
        assert await look_up("both", family) == expected

    play(Names(both=["127.0.0.2", "127.0.0.1", "::1"]), script)


def test_fallback_and_failure() -> None:
    async def script(resolver: Resolver, told: asyncio.Queue[Any]) -> None:
        assert await look_up("four", "auto") == ["127.0.0.1"]
        with pytest.raises(OSError, match="not known"):
            await look_up("four", "v6_only")
        assert await look_up("::7", "v4_only") == ["::7"]  # an address is what it is

    play(Names(four=["127.0.0.1"]), script)


def test_changes_are_told_and_the_last_good_answer_stays() -> None:
    names = Names(a=["127.0.0.1"])

    async def script(resolver: Resolver, told: asyncio.Queue[Any]) -> None:
        resolver.set({"c": Dns([DnsName("a", 80, 2), DnsName("127.0.0.9", 81)], refresh=10)})
        assert await told.get() == ("c", [Endpoint("127.0.0.1", 80, 2), Endpoint("127.0.0.9", 81)])
        names.addresses["a"] = []
        for _ in range(8):
            await names.asked.acquire()
        assert told.empty()
        names.addresses["a"] = ["127.0.0.3"]
        assert (await told.get())[1][0] == Endpoint("127.0.0.3", 80, 2)

    play(names, script)


def test_a_name_that_does_not_exist_is_told_once_as_nothing(caplog: pytest.LogCaptureFixture) -> None:
    names = Names()

    async def script(resolver: Resolver, told: asyncio.Queue[Any]) -> None:
        resolver.set({"c": Dns([DnsName("none", 80)], refresh=1)})
        assert await told.get() == ("c", [])
        for _ in range(8):
            await names.asked.acquire()
        assert told.empty()

    play(names, script)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "DNS: none: Name or service not known; it has no address"
    ]


def test_a_slow_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns, "LOOKUP_TIMEOUT", 0.01)
    names = Names()

    async def never(*arguments: Any, **options: Any) -> None:
        await asyncio.Event().wait()

    names.getaddrinfo = never  # type: ignore[method-assign, assignment]

    async def script(resolver: Resolver, told: asyncio.Queue[Any]) -> None:
        resolver.set({"c": Dns([DnsName("slow", 80)])})
        assert await told.get() == ("c", [])

    play(names, script)


def test_what_is_no_longer_wanted_is_not_resolved() -> None:
    names = Names(a=["127.0.0.1"])

    async def script(resolver: Resolver, told: asyncio.Queue[Any]) -> None:
        first = Dns([DnsName("a", 80)], refresh=1)
        resolver.set({"c": first})
        await told.get()
        resolver.set({"c": Dns([DnsName("a", 81)], refresh=1)})
        assert (await told.get())[1] == [Endpoint("127.0.0.1", 81)]
        [(_, task)] = resolver._tasks.values()
        resolver.set({})
        with pytest.raises(asyncio.CancelledError):
            await task

    play(names, script)


def test_an_error_of_ours_does_not_vanish() -> None:
    async def script(resolver: Resolver, told: asyncio.Queue[Any]) -> None:
        def broken(cluster: str, endpoints: list[Endpoint]) -> None:
            raise RuntimeError("broken")

        resolver._found = broken
        resolver.set({"c": Dns([DnsName("127.0.0.1", 80)])})
        with pytest.raises(RuntimeError, match="broken"):
            await resolver.failed

    play(Names(), script)
