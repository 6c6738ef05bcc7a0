"""What becomes of a request and its answer by what a filter's methods answer, or fail to."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import tage
from tage.dataplane.filters.filter import Verdict
from tage.dataplane.filters.python.filter import PythonFilter
from tests.dataplane.filters.python.world import World


class Asking(tage.Filter):
    """Calls a function in place of each method."""

    def __init__(self, on_request: Any = None, on_response: Any = None) -> None:
        self.request_function = on_request or (lambda request: None)
        self.response_function = on_response

    def on_request(self, request: tage.Request) -> Any:
        return self.request_function(request)


class Both(Asking):
    def on_response(self, response: tage.Response, request: tage.Request) -> Any:
        return self.response_function(response, request)


class OnlyAnswers(tage.Filter):
    def __init__(self, function: Any) -> None:
        self.function = function

    def on_response(self, response: tage.Response, request: tage.Request) -> Any:
        return self.function(response, request)


# -- requests ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [None, tage.CONTINUE, tage.Action.CONTINUE])
def test_it_goes_on_as_the_filter_has_changed_it(world: World, answer):
    def ask(request: tage.Request) -> Any:
        assert request.headers["x-key"] == "k"
        request.headers["x-user"] = "ann"
        return answer

    exchange = world.exchange(world.filter(Asking(ask)), headers={"x-key": "k"})
    assert exchange.ask() == Verdict.CONTINUE
    assert exchange.edits.extra == b"x-user: ann\r\n"
    assert (world.count("requests"), world.count("errors"), world.count("replies")) == (1, 0, 0)
    exchange.end()


def test_what_a_request_shows(world: World):
    seen: dict[str, Any] = {}

    def ask(request: tage.Request) -> None:
        names = ("method", "path", "authority", "scheme", "client", "route", "cluster")
        seen.update({name: getattr(request, name) for name in names})
        assert repr(request) == "Request(POST shop/a?b=c)"

    exchange = world.exchange(
        world.filter(Asking(ask)), method=b"POST", path=b"/a?b=c", authority=b"shop", peer=b"10.0.0.9"
    )
    exchange.ask()
    assert seen == {
        "method": "POST", "path": "/a?b=c", "authority": "shop", "scheme": "http", "client": "10.0.0.9",
        "route": "", "cluster": "",
    }  # fmt: skip


def test_path_and_authority_can_be_changed(world: World):
    def ask(request: tage.Request) -> None:
        request.path = "/v2" + request.path
        request.authority = "other"
        assert (request.path, request.authority) == ("/v2/a", "other")

    exchange = world.exchange(world.filter(Asking(ask)), path=b"/a")
    exchange.ask()
    assert (exchange.edits.path, exchange.edits.authority) == (b"/v2/a", b"other")


@pytest.mark.parametrize("path", ["", "a", "/a b", "/a\r\nx: y", "/a#b", "/\u20ac"])
def test_paths_that_cannot_be(world: World, path):
    def ask(request: tage.Request) -> None:
        with pytest.raises(ValueError):
            request.path = path

    exchange = world.exchange(world.filter(Asking(ask)))
    assert exchange.ask() == Verdict.CONTINUE
    assert exchange.edits.path is None
    assert world.count("errors") == 0


def test_it_answers(world: World):
    def ask(request: tage.Request) -> tage.Action:
        return request.reply(401, "who are you?", headers={"WWW-Authenticate": "ApiKey"})

    exchange = world.exchange(world.filter(Asking(ask)))
    assert exchange.ask() == Verdict.REPLIED
    error, status, body, headers = exchange.replied
    assert (status, body, headers) == (401, b"who are you?", ((b"www-authenticate", b"ApiKey"),))
    assert (error.flag, error.details) == ("-", "python_filter_reply")
    assert world.count("replies") == 1


def test_an_answer_whose_result_is_forgotten_counts(world: World):
    """Else a missing `return` would let through whom the filter has turned away."""
    exchange = world.exchange(world.filter(Asking(lambda request: request.reply(403) and None)))
    assert exchange.ask() == Verdict.REPLIED
    assert exchange.replied[1] == 403


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (100, "", {}), (199, "", {}), (600, "", {}), (204, "x", {}), (304, b"x", {}),
        (200, "", {"content-length": "5"}), (200, "", {"transfer-encoding": "chunked"}),
        (200, "", {"a b": "c"}), (200, "", {"a": "b\r\nc"}),
    ],
)  # fmt: skip
def test_answers_that_cannot_be(world: World, status, body, headers):
    def ask(request: tage.Request) -> None:
        with pytest.raises(ValueError):
            request.reply(status, body, headers=headers)

    exchange = world.exchange(world.filter(Asking(ask)))
    assert exchange.ask() == Verdict.CONTINUE


def test_it_is_routed_again(world: World):
    def ask(request: tage.Request) -> tage.Action:
        request.headers["x-variant"] = "b"
        return tage.REROUTE

    exchange = world.exchange(world.filter(Asking(ask)))
    routed = []
    exchange.find_route = lambda head: routed.append(head.header(b"x-variant"))
    assert exchange.ask() == Verdict.CONTINUE
    assert routed == [b"b"]


def test_the_next_filter_sees_what_the_one_before_has_done(world: World):
    seen = []
    first = world.filter(Asking(lambda request: request.headers.__setitem__("x-user", "ann")), "first")
    second = world.filter(Asking(lambda request: seen.append(request.headers["x-user"])), "second")
    assert world.exchange(first, second).ask() == Verdict.CONTINUE
    assert seen == ["ann"]


# -- failures ----------------------------------------------------------------------------------------------------------


def wrong(request: tage.Request) -> Any:
    raise KeyError("users")


FAILURES = [
    (wrong, "KeyError: 'users'"),
    (lambda request: "yes", "an answer of type str"),
    (lambda request: True, "an answer of type bool"),
    (lambda request: tage.Action.REPLY, "return request.reply"),
    (lambda request: exit(1), "SystemExit"),
]


@pytest.mark.parametrize(("ask", "said"), FAILURES)
def test_a_failure_closes(world: World, ask, said):
    exchange = world.exchange(world.filter(Asking(ask)))
    assert exchange.ask() == Verdict.REPLIED
    error, status, body, _ = exchange.replied
    assert (status, body) == (500, b"filter auth failed")
    assert (error.flag, error.details) == ("-", "python_filter_error")
    assert world.count("errors") == 1
    (text,) = world.reports.texts
    assert text.startswith("python filter 'auth' (test.py:Asking): on_request failed")
    assert said in text


@pytest.mark.parametrize(("ask", "said"), FAILURES)
def test_a_failure_opens(world: World, ask, said):
    exchange = world.exchange(world.filter(Asking(ask), fails_open=True))
    assert exchange.ask() == Verdict.CONTINUE
    assert exchange.replied is None
    assert world.count("errors") == 1
    assert said in world.reports.texts[0]


def test_a_failure_is_told_with_the_filters_own_lines(world: World):
    world.exchange(world.filter(Asking(wrong))).ask()
    (text,) = world.reports.texts
    assert 'raise KeyError("users")' in text
    assert "dataplane/filters/python/filter.py" not in text.split("Traceback")[1].split("test_filter.py")[0]


def test_of_many_failures_one_a_second_is_told(world: World):
    filter = world.filter(Asking(wrong))
    for _ in range(50):
        world.exchange(filter).ask()
    assert world.count("errors") == 50
    assert len(world.reports.texts) == 1


# -- answers -----------------------------------------------------------------------------------------------------------


def test_an_answer_is_changed(world: World):
    def answer(response: tage.Response, request: tage.Request) -> None:
        assert (response.status, response.headers["server"], request.path) == (201, "app", "/a")
        assert request.state == {"since": 7}
        response.headers["x-served-by"] = "tage"

    filter = world.filter(Both(lambda request: request.state.update(since=7), answer))
    exchange = world.exchange(filter, path=b"/a")
    assert exchange.ask() == Verdict.CONTINUE
    assert exchange.tell(201, [(b"server", b"app")]) == Verdict.CONTINUE
    assert exchange.answer_edits.extra == b"x-served-by: tage\r\n"
    assert world.count("errors") == 0, world.reports.texts
    exchange.end()


def test_an_answer_to_a_request_that_never_came_here(world: World):
    """A filter before it has answered."""
    seen = []
    filter = world.filter(OnlyAnswers(lambda response, request: seen.append((response.status, request.path))))
    exchange = world.exchange(filter, path=b"/a")
    exchange.tell(403)
    assert seen == [(403, "/a")]


def test_after_a_reroute_the_request_is_the_new_one(world: World):
    seen = []
    asking = Both(
        lambda request: request.headers.__setitem__("x-variant", "a"),
        lambda response, request: seen.append(request.headers["x-variant"]),
    )

    def reroute(request: tage.Request) -> tage.Action:
        request.headers["x-variant"] = "b"
        return tage.REROUTE

    exchange = world.exchange(world.filter(asking), world.filter(Asking(reroute), "second"))
    exchange.ask()
    exchange.tell()
    assert seen == ["b"]


@pytest.mark.parametrize("fails_open", [True, False])
@pytest.mark.parametrize("result", [tage.REROUTE, 7])
def test_a_wrong_result_of_on_response(world: World, fails_open, result):
    filter = world.filter(OnlyAnswers(lambda response, request: result), fails_open=fails_open)
    exchange = world.exchange(filter)
    assert exchange.tell() == (Verdict.CONTINUE if fails_open else Verdict.REPLIED)
    assert world.count("errors") == 1


def test_an_answer_in_place_of_the_upstreams(world: World):
    exchange = world.exchange(world.filter(OnlyAnswers(lambda response, request: request.reply(502, "hidden"))))
    assert exchange.tell() == Verdict.REPLIED
    assert exchange.replied[1:3] == (502, b"hidden")


def test_what_was_kept_beyond_the_request_is_over(world: World):
    kept: list[Any] = []
    filter = world.filter(Asking(lambda request: kept.append(request)))
    world.exchange(filter).ask()
    with pytest.raises(RuntimeError, match="the request is over"):
        _ = kept[0].path
    both = world.filter(Both(lambda request: kept.append(request), lambda response, request: kept.append(response)))
    exchange = world.exchange(both)
    exchange.ask()
    assert kept[1].path == "/"
    exchange.tell()
    exchange.end()
    with pytest.raises(RuntimeError, match="the request is over"):
        _ = kept[1].path
    with pytest.raises(RuntimeError, match="the answer has gone on"):
        _ = kept[2].status


def test_a_request_whose_answer_never_comes_is_over_too(world: World):
    kept: list[Any] = []
    exchange = world.exchange(world.filter(Both(kept.append, lambda response, request: None)))
    exchange.ask()
    exchange.end()
    with pytest.raises(RuntimeError, match="the request is over"):
        _ = kept[0].path


# -- what is awaited ---------------------------------------------------------------------------------------------------


def run(awaitable: Any) -> Any:
    return asyncio.run(asyncio.wait_for(awaitable, 30))


def test_a_request_waits_for_what_is_awaited(world: World):
    async def ask(request: tage.Request) -> None:
        await asyncio.sleep(0)
        request.headers["x-user"] = "ann"

    async def test() -> None:
        exchange = world.exchange(world.filter(Asking(ask)))
        assert exchange.ask() == Verdict.STOPPED
        assert not exchange.went_on
        await turns()
        assert exchange.went_on
        assert exchange.edits.extra == b"x-user: ann\r\n"
        assert world.wheel.count == 0
        exchange.end()

    run(test())


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_a_future_is_awaited_too(world: World):
    async def test() -> None:
        future = asyncio.get_running_loop().create_future()
        exchange = world.exchange(world.filter(Asking(lambda request: future)))
        assert exchange.ask() == Verdict.STOPPED
        await turns()
        assert not exchange.went_on
        future.set_result(None)
        await turns()
        assert exchange.went_on

    run(test())


def test_what_is_awaited_answers(world: World):
    async def ask(request: tage.Request) -> tage.Action:
        await asyncio.sleep(0)
        return request.reply(403, "no")

    async def test() -> None:
        exchange = world.exchange(world.filter(Asking(ask)))
        exchange.ask()
        await turns()
        assert not exchange.went_on
        assert exchange.replied[1:3] == (403, b"no")

    run(test())


def test_what_is_awaited_reroutes(world: World):
    async def ask(request: tage.Request) -> tage.Action:
        await asyncio.sleep(0)
        request.headers["x-variant"] = "b"
        return tage.REROUTE

    async def test() -> None:
        exchange = world.exchange(world.filter(Asking(ask)))
        exchange.ask()
        await turns()
        assert exchange.head.header(b"x-variant") == b"b"
        assert exchange.went_on

    run(test())


@pytest.mark.parametrize("fails_open", [True, False])
def test_what_is_awaited_takes_too_long(world: World, fails_open):
    ended = []

    async def ask(request: tage.Request) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(asyncio.current_task().cancelling())

    async def test() -> None:
        exchange = world.exchange(world.filter(Asking(ask), timeout=100, fails_open=fails_open))
        exchange.ask()
        await turns()
        world.loop.run(90)
        assert not exchange.went_on
        assert exchange.replied is None
        world.loop.run(50)
        await turns()
        assert exchange.went_on == fails_open
        assert (exchange.replied is None) == fails_open
        assert ended == [1]
        assert (world.count("timeouts"), world.count("errors")) == (1, 0)
        assert "took longer than 100 ms" in world.reports.texts[0]
        exchange.end()

    run(test())


@pytest.mark.parametrize("fails_open", [True, False])
def test_what_is_awaited_fails(world: World, fails_open):
    async def ask(request: tage.Request) -> None:
        await asyncio.sleep(0)
        raise ValueError("no such user")

    async def test() -> None:
        exchange = world.exchange(world.filter(Asking(ask), fails_open=fails_open))
        exchange.ask()
        await turns()
        assert exchange.went_on == fails_open
        assert (exchange.replied is None) == fails_open
        assert world.count("errors") == 1
        assert "ValueError: no such user" in world.reports.texts[0]
        assert 'raise ValueError("no such user")' in world.reports.texts[0]

    run(test())


def test_the_client_goes_while_it_is_awaited(world: World):
    ended = []

    async def ask(request: tage.Request) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def test() -> None:
        exchange = world.exchange(world.filter(Asking(ask)))
        exchange.ask()
        await turns()
        exchange.end()
        await turns()
        assert ended == ["cancelled"]
        assert world.wheel.count == 0
        assert exchange.replied is None
        assert not exchange.went_on
        assert (world.count("errors"), world.count("timeouts")) == (0, 0)

    run(test())


def test_who_does_not_let_himself_be_cancelled_holds_nothing(world: World):
    goes_on = asyncio.Event()

    async def ask(request: tage.Request) -> tage.Action:
        while not goes_on.is_set():
            try:
                await goes_on.wait()
            except asyncio.CancelledError:
                continue
        return tage.CONTINUE

    async def test() -> None:
        exchange = world.exchange(world.filter(Asking(ask), timeout=100))
        exchange.ask()
        await turns()
        world.loop.run(200)
        assert exchange.replied[1] == 500
        exchange.end()
        goes_on.set()
        await turns()
        assert not exchange.went_on

    run(test())


def test_an_answer_waits_for_what_is_awaited(world: World):
    async def answer(response: tage.Response, request: tage.Request) -> None:
        await asyncio.sleep(0)
        response.headers["x-user"] = request.state["user"]

    async def test() -> None:
        exchange = world.exchange(world.filter(Both(lambda request: request.state.update(user="ann"), answer)))
        exchange.ask()
        assert exchange.tell() == Verdict.STOPPED
        assert not exchange.answer_went_on
        await turns()
        assert exchange.answer_went_on
        assert exchange.answer_edits.extra == b"x-user: ann\r\n"
        exchange.end()

    run(test())


def test_an_awaitable_that_gives_an_awaitable(world: World):
    async def ask(request: tage.Request) -> Any:
        return asyncio.sleep(0)

    async def test() -> None:
        exchange = world.exchange(world.filter(Asking(ask)))
        exchange.ask()
        with pytest.warns(RuntimeWarning, match="never awaited"):
            await turns()
        assert exchange.replied[1] == 500

    run(test())


# -- routes and plans --------------------------------------------------------------------------------------------------


def test_a_route_has_an_instance_of_its_own(world: World):
    seen = []
    own = world.instance(Asking(lambda request: seen.append("route")))
    listener = world.instance(Asking(lambda request: seen.append("listener")))
    filter = PythonFilter(listener, world.watch, {b"own": own})
    exchange = world.exchange(filter)
    for settings in (None, b"own", b"of a later plan"):
        assert filter.request(exchange, settings) == Verdict.CONTINUE
    assert seen == ["listener", "route", "listener"]
