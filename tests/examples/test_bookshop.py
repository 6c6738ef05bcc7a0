"""The example under `tage up`: real control plane, sidecars and services, on loopback."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]
BOOKSHOP = ROOT / "examples" / "bookshop"
LIMIT = 90.0
MAIN = "from tage.cli import main; main()"


class Bookshop:
    """`tage up` of the example in a runtime directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.env = dict(os.environ, XDG_RUNTIME_DIR=str(directory))
        for name in ("http_proxy", "TAGE_CONTROL"):
            self.env.pop(name, None)
        self.output = directory / "output"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", MAIN, "up", str(BOOKSHOP / "mesh.yaml")],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.env,
                cwd=ROOT,
            )

    def wait_ready(self) -> None:
        deadline = time.monotonic() + LIMIT
        while "bookshop is ready" not in self.output.read_text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(self.output.read_text())
            time.sleep(0.05)

    @property
    def proxy(self) -> str:
        found = re.search(r"curl -x (http://127\.\d+\.\d+\.2:15001) http://productpage/", self.output.read_text())
        assert found is not None
        return found[1]

    def tage(self, *argv: str) -> str:
        return self._run("-c", MAIN, *argv)

    def traffic(self, *argv: str) -> str:
        return self._run(str(BOOKSHOP / "traffic.py"), *argv)

    def _run(self, *argv: str) -> str:
        result = subprocess.run(
            [sys.executable, *argv], capture_output=True, text=True, timeout=LIMIT, env=self.env, cwd=ROOT
        )
        assert result.returncode == 0, f"{result.stdout}{result.stderr}\n{self.output.read_text()}"
        return result.stdout

    def get(self, url: str, headers: dict[str, str] | None = None) -> object:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": self.proxy}))
        with opener.open(urllib.request.Request(url, headers=headers or {}), timeout=10) as response:
            return json.load(response)

    def close(self) -> int:
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(LIMIT)
        finally:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def bookshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bookshop]:
    running = Bookshop(tmp_path_factory.mktemp("bookshop"))
    try:
        running.wait_ready()
        yield running
        children = processes_of(running.directory)
        assert len(children) > 10
        assert running.close() == 0, running.output.read_text()
        assert processes_of(running.directory) == []
        assert not (running.directory / "tage").exists()
    finally:
        running.process.kill()
        running.process.wait()


def processes_of(directory: Path) -> list[str]:
    """Command lines of the processes whose environment names this runtime directory, `tage up` included."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"XDG_RUNTIME_DIR={directory}\0".encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


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
    assert len(sidecars) == 6
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
        output = bookshop.traffic("--requests", "1500")
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
        if len(sidecars) == 6 and all(state["synced"] for item in sidecars for state in item["types"].values()):
            break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    resource = json.loads(bookshop.tage("get", "vs", "reviews", "-o", "json"))
    assert {item["weight"] for item in resource["spec"]["http"][1]["route"]} == {50}
