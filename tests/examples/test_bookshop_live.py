"""The example's ready-made rules, applied one after the other to the running mesh."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.examples.bookshop import BOOKSHOP, Bookshop, running

pytestmark = pytest.mark.processes

PATIENCE = 20.0
REVIEWS = "http://reviews/reviews/1"
RATINGS = "http://ratings/ratings/1"


@pytest.fixture(scope="module")
def bookshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bookshop]:
    with running(tmp_path_factory.mktemp("bookshop")) as mesh:
        yield mesh


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def apply(bookshop: Bookshop, file: str, in_force: Callable[[], bool]) -> None:
    """Applies a file, and waits until it shows."""
    bookshop.tage("apply", "-f", str(BOOKSHOP / file))
    until(in_force, f"{file} does not show")
    until(lambda: all_in_sync(bookshop), f"not every sidecar took {file}")


def all_in_sync(bookshop: Bookshop) -> bool:
    sidecars = json.loads(bookshop.tage("status", "-o", "json"))["sidecars"]
    states = [state for sidecar in sidecars for state in sidecar["types"].values()]
    assert [state["nacked"] for state in states if state["nacked"]] == []
    return all(state["synced"] for state in states)


def version(bookshop: Bookshop, url: str = REVIEWS, **headers: str) -> str:
    """Which one answers."""
    found = bookshop.get(url, {name.replace("_", "-"): value for name, value in headers.items()})
    assert isinstance(found, dict)
    return str(found["version"])


def variant(bookshop: Bookshop, url: str = REVIEWS, **headers: str) -> tuple[str, str | None]:
    """The version that answers, and the variant that the caller is told."""
    status, answer, body = bookshop.ask(url, headers)
    assert status == 200, body
    return json.loads(body)["version"], answer["x-variant"]


def test_the_ab_test(bookshop: Bookshop) -> None:
    apply(bookshop, "ab-test.yaml", lambda: variant(bookshop)[1] is not None)
    for headers in ({"x-variant": "b"}, {"cookie": "variant=b"}, {"cookie": "a=1; variant=b; c=2"}):
        assert variant(bookshop, **headers) == ("v2", "b")
    assert variant(bookshop, f"{REVIEWS}?variant=b") == ("v2", "b")
    for headers in ({}, {"x-variant": "a"}, {"cookie": "other=variant"}):
        assert variant(bookshop, **headers) == ("v1", "a")
    assert variant(bookshop, f"{REVIEWS}?variant=a") == ("v1", "a")


def test_the_mirror(bookshop: Bookshop) -> None:
    apply(bookshop, "mirror.yaml", lambda: variant(bookshop)[1] is None)
    ((name, before),) = bookshop.stats(r"^cluster\.outbound\|80\|v2\|reviews.*\.upstream_rq_total$").items()
    assert {version(bookshop) for _ in range(20)} == {"v1"}
    until(lambda: bookshop.stats(f"^{re.escape(name)}$")[name] >= before + 20, "version 2 got no copies")


def test_the_faults(bookshop: Bookshop) -> None:
    def seconds() -> float:
        began = time.monotonic()
        assert bookshop.ask(RATINGS, {"end-user": "jason"})[0] == 200
        return time.monotonic() - began

    apply(bookshop, "fault.yaml", lambda: seconds() > 0.4)
    answers = Counter(bookshop.ask(RATINGS)[0] for _ in range(300))
    assert set(answers) == {200, 503}
    assert 8 <= answers[503] <= 60
    assert bookshop.tage("delete", "vs", "ratings")
    until(lambda: all(bookshop.ask(RATINGS)[0] == 200 for _ in range(50)), "the faults do not go away")


def test_sticky_instances(bookshop: Bookshop) -> None:
    readers = [f"reader-{number}" for number in range(20)]

    def seen(reader: str) -> set[str]:
        return {version(bookshop, end_user=reader) for _ in range(4)}

    apply(bookshop, "sticky.yaml", lambda: {version(bookshop, end_user=reader) for reader in readers} == {"v1", "v2"})
    until(lambda: all(len(seen(reader)) == 1 for reader in readers), "a reader does not stay with one instance")
    first = {reader: seen(reader) for reader in readers}
    assert {reader: seen(reader) for reader in readers} == first


def test_the_ejected_outlier(bookshop: Bookshop) -> None:
    apply(bookshop, "outlier.yaml", lambda: {version(bookshop) for _ in range(8)} == {"v1", "v2"})
    broken = bookshop.directory / "broken.yaml"
    broken.write_text((BOOKSHOP / "fault.yaml").read_text().replace("{value: 10}", "{value: 100}"))
    bookshop.tage("apply", "-f", str(broken))
    until(lambda: bookshop.ask(RATINGS)[0] == 503, "ratings does not fail")
    answers = [bookshop.ask(REVIEWS)[0] for _ in range(40)]
    assert 3 <= answers.count(503) <= 6, "three in a row, and what was on its way"
    assert answers[-20:] == [200] * 20
    assert {version(bookshop) for _ in range(12)} == {"v1"}
    bookshop.tage("delete", "vs", "ratings")
    until(lambda: {version(bookshop) for _ in range(8)} == {"v1", "v2"}, "version 2 does not come back")


def test_rules_by_who_calls(bookshop: Bookshop) -> None:
    rules = bookshop.directory / "rules.yaml"
    rules.write_text("""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - match: [{sourceLabels: {app: productpage}}]
    route: [{destination: {host: reviews, subset: v2}}]
  - match: [{uri: {prefix: /reviews}}]
    delegate: {name: reviews-for-all}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews-for-all}
spec:
  http:
  - headers: {response: {set: {x-variant: delegated}}}
    route: [{destination: {host: reviews, subset: v1}}]
""")
    apply(bookshop, str(rules), lambda: variant(bookshop) == ("v1", "delegated"))
    for _ in range(5):
        page = bookshop.get("http://productpage/")
        assert isinstance(page, dict)
        assert page["reviews"]["version"] == "v2"
        assert version(bookshop) == "v1"


def test_back_to_the_start(bookshop: Bookshop) -> None:
    apply(bookshop, "mesh.yaml", lambda: variant(bookshop)[1] is None and version(bookshop, end_user="jason") == "v2")
