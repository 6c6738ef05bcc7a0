"""The example under `tage up`: real control plane, sidecars and services, on loopback."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.examples.bookshop import BOOKSHOP, Bookshop, running

pytestmark = pytest.mark.processes

SIDECARS = 15


@pytest.fixture(scope="module")
def bookshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bookshop]:
    with running(tmp_path_factory.mktemp("bookshop")) as mesh:
        yield mesh


def shares(line: str) -> dict[str, float]:
    return {version: float(share) for version, share in re.findall(r"(v\d) \d+ \(([\d.]+)%\)", line)}


def test_a_page_passes_all_services(bookshop: Bookshop) -> None:
    page = bookshop.get("http://productpage/", {"end-user": "jason"})
    assert isinstance(page, dict)
    assert page["details"]["title"] == "The Comedy of Errors"
    assert page["reviews"]["version"] == "v2"
    assert page["reviews"]["reviews"][0]["stars"] == 5
    for name in ("details.default", "details.default.svc.cluster.local"):
        assert bookshop.get(f"http://{name}/details/2") == {
            "id": 2, "title": "Dream of the Red Chamber", "author": "Cao Xueqin", "year": 1791, "pages": 2500,
        }  # fmt: skip


def test_every_sidecar_is_in_sync(bookshop: Bookshop) -> None:
    sidecars = json.loads(bookshop.tage("status", "-o", "json"))["sidecars"]
    assert len(sidecars) == SIDECARS
    assert all(state["synced"] for sidecar in sidecars for state in sidecar["types"].values())
    assert "client.default" in bookshop.tage("status")


def test_explain_says_what_the_traffic_does(bookshop: Bookshop) -> None:
    def explain(*arguments: str) -> dict[str, float]:
        """The share of each version."""
        found = json.loads(bookshop.tage("explain", "http://reviews/reviews/1", *arguments, "-o", "json"))
        return {share["cluster"].split("|")[2]: share["percent"] for share in found["route"]["shares"]}

    jason = explain("-H", "end-user: jason", "--from", "productpage")
    reviews = bookshop.get("http://reviews/reviews/1", {"end-user": "jason"})
    assert isinstance(reviews, dict)
    assert list(jason) == [reviews["version"]] == ["v2"]
    assert explain("--from", "productpage-v1") == {"v1": 90.0, "v2": 10.0}
    assert explain("-f", str(BOOKSHOP / "canary-50.yaml")) == {"v1": 50.0, "v2": 50.0}
    assert explain() == {"v1": 90.0, "v2": 10.0}, "nothing was applied"
    text = bookshop.tage("explain", "GET", "http://reviews/reviews/1", "-H", "end-user: jason")
    assert re.search(r"^arriving at +reviews-v2-1.default by virtualInbound, 127", text, re.MULTILINE)


def test_the_split_and_the_header_rule_before_and_after_the_canarys_next_step(bookshop: Bookshop) -> None:
    everybody, jason, pages = bookshop.traffic("--requests", "400").splitlines()[1:4]
    assert 3 < shares(everybody)["v2"] < 20
    assert shares(jason) == shares(pages) == {"v2": 100.0}

    applied = bookshop.tage("apply", "-f", str(BOOKSHOP / "canary-50.yaml"))
    assert applied == "VirtualService default/reviews configured\n"
    deadline = time.monotonic() + 10
    while shares(bookshop.traffic("--requests", "40").splitlines()[1])["v2"] < 25:
        assert time.monotonic() < deadline
    everybody = bookshop.traffic("--requests", "400").splitlines()[1]
    assert 38 < shares(everybody)["v2"] < 62


def test_no_request_fails_while_the_control_plane_and_an_agent_are_killed(bookshop: Bookshop) -> None:
    victims = ("tage.pilot.server", "tage.sidecar.agent")
    killed = threading.Event()

    def kill() -> None:
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                mine = f"XDG_RUNTIME_DIR={bookshop.directory}\0".encode() in (entry / "environ").read_bytes()
                words = (entry / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if mine and words[1:2] == ["-m"] and words[2] in victims:
                os.kill(int(entry.name), signal.SIGKILL)
        killed.set()

    timer = threading.Timer(0.2, kill)
    timer.start()
    try:
        output = bookshop.traffic("--requests", "600")
    finally:
        timer.join()
    assert killed.is_set()
    assert "no request failed" in output
    # What was applied survived, and all sidecars come back.
    deadline = time.monotonic() + 30
    while True:
        try:
            sidecars = json.loads(bookshop.tage("status", "-o", "json"))["sidecars"]
        except AssertionError:
            sidecars = []
        if len(sidecars) == SIDECARS and all(state["synced"] for item in sidecars for state in item["types"].values()):
            break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    resource = json.loads(bookshop.tage("get", "vs", "reviews", "-o", "json"))
    assert {item["weight"] for item in resource["spec"]["http"][1]["route"]} == {50}
