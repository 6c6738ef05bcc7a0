"""Filters without a mesh; and the three examples of the guide, tested as their authors would."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

import tage
from tage.filter_testing import answer, ask, ask_async

EXAMPLES = Path(__file__).parent.parent / "examples" / "filters"


def example(name: str) -> Any:
    spec = spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Plain(tage.Filter):
    def __init__(self, result: Any = None) -> None:
        self.result = result

    def on_request(self, request: tage.Request) -> Any:
        request.path = "/new"
        return self.result


def test_what_goes_on():
    outcome = ask(Plain(), "POST", "/old", headers={"a": "1"}, authority="shop", client="10.0.0.1")
    assert outcome.action is tage.CONTINUE
    assert (outcome.path, outcome.authority, outcome.headers["a"], outcome.request.client) == (
        "/new", "shop", "1", "10.0.0.1",
    )  # fmt: skip


@pytest.mark.parametrize(("result", "error"), [(7, TypeError), (tage.Action.REPLY, ValueError)])
def test_what_means_nothing(result, error):
    with pytest.raises(error):
        ask(Plain(result))


# -- the API-key check -------------------------------------------------------------------------------------------------


def test_a_stranger_is_turned_away():
    filter = example("api_key").ApiKey({"keys": {"k1": "ann"}})
    for headers in ({}, {"x-api-key": "k2"}):
        outcome = ask(filter, headers=headers)
        assert (outcome.action, outcome.status, outcome.body) == (tage.Action.REPLY, 401, b"who are you?\n")
        assert outcome.headers["www-authenticate"] == "ApiKey"


def test_a_friend_goes_on_by_name():
    outcome = ask(example("api_key").ApiKey({"keys": {"k1": "ann"}}), headers={"X-API-Key": "k1"})
    assert outcome.action is tage.CONTINUE
    assert outcome.headers["x-user"] == "ann"
    assert "x-api-key" not in outcome.headers


def test_without_keys_it_is_refused():
    with pytest.raises(ValueError, match="nobody would be let in"):
        example("api_key").ApiKey({})


# -- the A/B test ------------------------------------------------------------------------------------------------------


def test_a_user_always_gets_the_same_variant_and_the_share_is_right():
    filter = example("ab_test").AbTest({"percent": 20})
    variants = {}
    for number in range(2000):
        outcome = ask(filter, headers={"x-user": f"user-{number}"})
        assert outcome.action is tage.REROUTE
        variants[number] = outcome.headers["x-variant"]
    share = sum(variant == "b" for variant in variants.values()) / len(variants)
    assert 0.15 < share < 0.25
    assert ask(filter, headers={"x-user": "user-7"}).headers["x-variant"] == variants[7]


def test_who_has_a_variant_keeps_it():
    filter = example("ab_test").AbTest({"percent": 0})
    asked = ask(filter, headers={"x-variant": "b"})
    assert asked.action is tage.CONTINUE
    answered = answer(filter, asked)
    assert answered.action is tage.CONTINUE
    assert (answered.status, answered.headers["x-variant"]) == (200, "b")


@pytest.mark.parametrize("percent", [-1, 101])
def test_a_share_that_cannot_be(percent):
    with pytest.raises(ValueError, match="from 0 to 100"):
        example("ab_test").AbTest({"percent": percent})


# -- the look-up -------------------------------------------------------------------------------------------------------


class Tenants:
    """The service that is asked."""

    def __init__(self) -> None:
        self.questions: list[str] = []
        self.status = 200
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.asked = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.questions.append(head.split()[1].decode())
        self.asked.set()
        await self.goes_on.wait()
        known = self.questions[-1].endswith("shop.example")
        status = self.status if known or self.status != 200 else 404
        writer.write(b"HTTP/1.0 %d x\r\n\r\n%s" % (status, b"acme\n" if known else b""))
        writer.close()


def with_tenants(test: Any) -> None:
    async def run() -> None:
        tenants = Tenants()
        async with await asyncio.start_server(tenants.serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            await asyncio.wait_for(test(example("lookup").Lookup({"address": f"127.0.0.1:{port}"}), tenants), 30)

    asyncio.run(run())


def test_it_asks_once_and_remembers():
    async def test(filter: Any, tenants: Tenants) -> None:
        for _ in range(3):
            outcome = await ask_async(filter, authority="shop.example")
            assert (outcome.action, outcome.headers["x-tenant"]) == (tage.CONTINUE, "acme")
        for _ in range(2):
            outcome = await ask_async(filter, authority="a/b")
            assert (outcome.action, outcome.status) == (tage.Action.REPLY, 404)
        assert tenants.questions == ["/tenants/shop.example", "/tenants/a%2Fb"]

    with_tenants(test)


def test_those_that_come_meanwhile_share_a_question_and_one_that_goes_takes_nothing_along():
    async def test(filter: Any, tenants: Tenants) -> None:
        tenants.goes_on.clear()
        waiting = [asyncio.create_task(ask_async(filter, authority="shop.example")) for _ in range(5)]
        await tenants.asked.wait()
        waiting[0].cancel()
        tenants.goes_on.set()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(outcomes[0], asyncio.CancelledError)
        assert [outcome.headers["x-tenant"] for outcome in outcomes[1:]] == ["acme"] * 4
        assert len(tenants.questions) == 1

    with_tenants(test)


def test_a_service_that_fails_is_the_filters_failure_and_is_asked_again():
    async def test(filter: Any, tenants: Tenants) -> None:
        tenants.status = 500
        with pytest.raises(RuntimeError, match="answered 500"):
            await ask_async(filter, authority="shop.example")
        tenants.status = 200
        assert (await ask_async(filter, authority="shop.example")).headers["x-tenant"] == "acme"

    with_tenants(test)


@pytest.mark.parametrize("address", ["", "127.0.0.1", "127.0.0.1:x"])
def test_an_address_that_cannot_be(address):
    with pytest.raises(ValueError, match="give HOST:PORT"):
        example("lookup").Lookup({"address": address})


@pytest.fixture(autouse=True)
def _no_task_is_left(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [record.message for record in caplog.records if "never retrieved" in record.message] == []
