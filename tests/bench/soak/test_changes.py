"""Weights that change every second: what is applied, and how the effect is found."""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest

from bench.soak import changes
from bench.soak.changes import Changer, resources, weights
from tage.config.load import load_text


def test_weights_change_each_time_and_take_all_from_one_version_now_and_then():
    drawn = list(itertools.islice(weights(random.Random(7)), 60))
    assert drawn == list(itertools.islice(weights(random.Random(7)), 60))
    assert all(one != other for one, other in itertools.pairwise(drawn))
    assert {0, 100} <= set(drawn)
    assert len([weight for weight in drawn if 0 < weight < 100]) > 30


@pytest.mark.parametrize(("number", "weight", "subsets"), [(3, 0, "0"), (4, 35, "0"), (5, 100, "1")])
def test_resources_are_valid_have_no_retries_and_name_subsets_anew_every_fifth_time(number, weight, subsets):
    rule, service = (msgspec.to_builtins(load_text(json.dumps(item))[0].spec) for item in resources(number, weight))
    assert [subset["name"] for subset in rule["subsets"]] == [f"v1-{subsets}", f"v2-{subsets}"]
    assert [each["retries"]["attempts"] for each in service["http"]] == [0, 0, 0]
    assert [entry.get("weight", 0) for entry in service["http"][2]["route"]] == [weight, 100 - weight]
    used = {entry["destination"]["subset"] for each in service["http"] for entry in each["route"]}
    assert used == {f"v1-{subsets}", f"v2-{subsets}"}


class Fake(ThreadingHTTPServer):
    """Control plane and client entry in one: refuses the first offers, and changes take a while."""

    daemon_threads = True
    delay = 0.05

    def __init__(self, refused: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.left = refused
        self.rule = ""
        self.since = 0.0
        self.broken = False


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: Fake

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.left -= 1
        if self.server.left >= 0:
            self._answer(503, b"{}")
            return
        self.server.rule = body["items"][1]["spec"]["http"][0]["match"][0]["uri"]["exact"]
        self.server.since = time.monotonic()
        self._answer(200, b'{"items": []}')

    def do_GET(self) -> None:
        path = self.path.removeprefix("http://echo")
        live = path == self.server.rule and time.monotonic() > self.server.since + self.server.delay
        status = 503 if self.server.broken else 200
        self._answer(status, f"{'v2' if live else 'v1'} GET {path}\n".encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


@pytest.fixture
def fake() -> Iterator[Fake]:
    with Fake(refused=2) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join(5)


def changer(fake: Fake, monkeypatch: pytest.MonkeyPatch, seconds: float) -> Changer:
    monkeypatch.setattr(changes, "INTERVAL", 0.2)
    monkeypatch.setattr(changes, "RETRY", 0.01)
    host, port = fake.server_address[:2]
    thread = Changer(f"{host}:{port}", (str(host), port), time.monotonic(), seconds, seed=7)
    thread.start()
    thread.join(10)
    assert thread.defect is None
    return thread


def test_each_change_is_offered_until_taken_and_probed_until_in_effect(fake, monkeypatch):
    found = changer(fake, monkeypatch, 0.6)
    assert [change.number for change in found.changes] == [0, 1, 2]
    assert [change.refusals for change in found.changes] == [2, 0, 0]
    for change in found.changes:
        assert change.offered <= change.sent <= change.taken < change.seen
        assert change.seen - change.sent >= fake.delay
    assert found.probes.requests > 5
    assert found.probes.reasons == []


def test_a_wrong_answer_to_a_probe_is_a_failed_request(fake, monkeypatch):
    fake.broken = True
    found = changer(fake, monkeypatch, 0.2)
    assert [change.seen for change in found.changes] == [0.0]
    assert len(found.probes.reasons) == found.probes.requests > 2
    assert found.probes.reasons[0][1].startswith("probe: 503")
