"""The example's remote calls under `tage up`, through two sidecars: SOFARPC, Dubbo, gRPC, a protocol of its own."""

from __future__ import annotations

import contextlib
import json
import re
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from tests.examples.bookshop import BOOKSHOP, Bookshop, running

sys.path.insert(0, str(BOOKSHOP))
try:
    import rpc
    from calls import Shop
finally:
    sys.path.remove(str(BOOKSHOP))

pytestmark = pytest.mark.processes

PATIENCE = 30.0
JASON = {"end-user": "jason"}
CALLS: dict[str, Callable[[Shop, dict[str, str]], Any]] = {
    "bolt": lambda shop, metadata: shop.stock(1, metadata),
    "dubbo": lambda shop, metadata: shop.recommended(1, metadata),
    "x-ledger": lambda shop, metadata: shop.entered(1, metadata),
    "grpc": lambda shop, metadata: shop.price(1, metadata),
}
URLS = {
    "bolt": "bolt://com.tage.bookshop.Stock/check",
    "dubbo": "dubbo://com.tage.bookshop.Recommender/alsoRead",
    "x-ledger": "x-ledger://com.tage.bookshop.Ledger/enter",
    "grpc": "http://prices/com.tage.bookshop.Prices/Of",
}


@pytest.fixture(scope="module")
def bookshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bookshop]:
    with running(tmp_path_factory.mktemp("bookshop")) as mesh:
        yield mesh


@pytest.fixture(scope="module")
def shop(bookshop: Bookshop) -> Shop:
    """By the client entry's named ports."""
    return Shop(json.loads((bookshop.directory / "tage" / "bookshop.json").read_text())["clients"])


@pytest.fixture(scope="module")
def one_port(bookshop: Bookshop) -> Shop:
    """By the client entry's outbound port, which tells protocols by their first bytes."""
    return Shop(dict.fromkeys(CALLS, bookshop.proxy.removeprefix("http://")))


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def spread(call: Callable[[], Any], count: int = 200) -> Counter[str]:
    return Counter(call()["version"] for _ in range(count))


def test_a_page_has_what_everybody_says(bookshop: Bookshop) -> None:
    page = bookshop.get("http://productpage/", JASON)
    assert isinstance(page, dict)
    assert page["stock"] == {"version": "v2", "copies": 7, "place": "Leeds"}
    assert page["recommended"]["books"] == [2]
    assert page["recommended"]["version"] == page["ledger"]["version"] == "v2", "Jason's metadata went along"
    assert page["price"] == {"version": "v2", "price": 12.5, "year": 2025, "currency": "EUR"}
    assert page["ledger"]["line"] >= 2, "the one-way call before it has left a line as well"
    assert "merry feast" in page["quote"] or "fiction" in page["quote"]


@pytest.mark.parametrize("protocol", CALLS)
def test_the_canary_and_the_rule_by_metadata(shop: Shop, one_port: Shop, protocol: str) -> None:
    for way in (shop, one_port):
        everybody = spread(lambda way=way: CALLS[protocol](way, {}))  # type: ignore[misc]
        assert 3 <= everybody["v2"] <= 45, everybody
        assert spread(lambda way=way: CALLS[protocol](way, JASON), 20) == {"v2": 20}  # type: ignore[misc]


def test_http_and_calls_on_one_port(bookshop: Bookshop, one_port: Shop) -> None:
    for _ in range(3):
        assert bookshop.get("http://details/details/1")
        assert [CALLS[protocol](one_port, JASON)["version"] for protocol in CALLS] == ["v2"] * 4


def test_errors_of_applications_come_through(shop: Shop) -> None:
    with pytest.raises(rpc.CallError, match=r"Stock\.check: 9"):
        shop.stock(9, {})
    with pytest.raises(rpc.CallError, match=r"Recommender\.alsoRead: .*9"):
        shop.recommended(9, {})
    for call in (shop.price, shop.price_changes):
        with pytest.raises(rpc.CallError, match=r"Prices\.\w+: NOT_FOUND: no price of 9"):
            call(9, {})


def test_a_call_that_streams(shop: Shop) -> None:
    changes = shop.price_changes(1, JASON)
    assert [(each["year"], each["price"]) for each in changes] == [(2023, 9.5), (2024, 11), (2025, 12.5)]
    assert {each["version"] for each in changes} == {"v2"}


def test_calls_of_grpc_are_counted_by_their_status(bookshop: Bookshop, shop: Shop) -> None:
    def counted() -> Counter[str]:
        admin = bookshop.proxy.rpartition(":")[0] + ":15000"
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{admin}/stats/prometheus") as answer:
            lines = [line for line in answer.read().decode().splitlines() if 'request_protocol="grpc"' in line]
        found: Counter[str] = Counter()
        for line in lines:
            if line.startswith("istio_requests_total{") and 'destination_service_name="prices"' in line:
                assert 'response_code="200"' in line
                found[re.findall(r'grpc_response_status="(\d*)"', line)[0]] += int(line.rpartition(" ")[2])
        return found

    before = counted()
    for book in (1, 1, 9):
        with contextlib.suppress(rpc.CallError):
            shop.price(book, {})
    until(lambda: counted() - before == {"0": 2, "5": 1}, "the calls are not counted")


def test_an_authority_that_nobody_has(bookshop: Bookshop) -> None:
    target = bookshop.proxy.removeprefix("http://")
    options = [("grpc.default_authority", "nobody"), ("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(target, options) as channel, pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary("/com.tage.bookshop.Prices/Of")(b"", timeout=10)
    assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert failed.value.details().startswith("no route")


@pytest.mark.parametrize("protocol", ["bolt", "dubbo", "x-ledger"])
def test_a_service_that_nobody_has_is_refused_in_the_protocols_own_words(shop: Shop, protocol: str) -> None:
    client = shop._client(protocol)
    with pytest.raises(rpc.CallError, match=r"com\.example\.Nobody\.call: .*(no such service|not found|404)"):
        client.call("com.example.Nobody", "call", 1)


def test_explain_says_what_calls_do(bookshop: Bookshop, shop: Shop) -> None:
    for each in URLS.values():

        def explained(*arguments: str, url: str = each) -> dict[str, float]:
            found = json.loads(bookshop.tage("explain", url, *arguments, "-o", "json"))
            return {share["cluster"].split("|")[2]: share["percent"] for share in found["route"]["shares"]}

        assert explained("-H", "end-user: jason") == {"v2": 100.0}
        assert explained("--from", "productpage") == {"v1": 90.0, "v2": 10.0}
        assert explained("-f", str(BOOKSHOP / "rpc-canary-50.yaml")) == {"v1": 50.0, "v2": 50.0}
    admin = bookshop.proxy.rpartition(":")[0] + ":15000"
    live = json.loads(bookshop.tage("explain", URLS["bolt"], "-H", "end-user: jason", "--sidecar", admin, "-o", "json"))
    assert live["listener"]["name"] == "bolt_proxy"
    assert [share["cluster"].split("|")[2] for share in live["route"]["shares"]] == ["v2"]


def test_the_canarys_next_step_without_a_failed_call(bookshop: Bookshop, shop: Shop) -> None:
    """One file moves all four; calls that go on meanwhile do not notice."""
    bookshop.tage("apply", "-f", str(BOOKSHOP / "rpc-canary-50.yaml"))
    for protocol, call in CALLS.items():
        until(lambda call=call: spread(lambda: call(shop, {}), 40)["v2"] >= 10, f"{protocol} did not shift")  # type: ignore[misc]
        half = spread(lambda call=call: call(shop, {}))  # type: ignore[misc]
        assert 60 <= half["v2"] <= 140, half


def test_faults_and_timeouts(bookshop: Bookshop, shop: Shop) -> None:
    bookshop.tage("apply", "-f", str(BOOKSHOP / "rpc-fault.yaml"))

    def outcome(metadata: dict[str, str]) -> str:
        try:
            return str(shop.stock(1, metadata)["version"])
        except rpc.CallError as error:
            return str(error)

    until(lambda: "overloaded" in " ".join(outcome({}) for _ in range(20)), "no call is aborted")
    found = Counter(outcome({}) for _ in range(200))
    (failed,) = found.keys() - {"v1"}
    assert failed == "com.tage.bookshop.Stock.check: overloaded"
    assert 5 <= found[failed] <= 45
    began = time.monotonic()
    assert outcome(JASON) == "v2"
    assert time.monotonic() - began >= 0.1
    bookshop.tage("apply", "-f", str(BOOKSHOP / "mesh.yaml"))
    until(lambda: {outcome({}) for _ in range(40)} <= {"v1", "v2"}, "the faults stay")


def test_traffic_prints_what_came_from_where(bookshop: Bookshop) -> None:
    for options in ((), ("--proxy", bookshop.proxy)):
        lines = bookshop.traffic("--requests", "100", *options).splitlines()
        for name in ("stock (bolt)", "recommender (dubbo)", "ledger (x-ledger)", "prices (grpc)"):
            (line,) = (each for each in lines if each.startswith(name))
            assert re.search(r"v1 \d+ \([\d.]+%\).* jason v2 10 \(100\.0%\) ", line), line
        assert lines[-1] == "no request failed; the header rule was followed"
