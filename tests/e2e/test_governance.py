"""Governing traffic under load: canaries, blue and green, endpoints that come, go, fail and die.

Every test drives load through the caller's and a callee's sidecar meanwhile, without a retry in the client. Zero
requests may fail as long as a healthy endpoint exists. Rules have no retries either, but where an endpoint fails by
itself: an answer of 503 is an answer, and only a rule that says `retryOn` may ask for another one.

`TAGE_GOVERNANCE` makes all of it so many times as long (`make soak` sets it).
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.backend import Answer, Request, mirror
from tests.e2e.load import Load
from tests.e2e.mesh import SERVICE, VERSIONS, Mesh
from tests.e2e.ports import until

pytestmark = pytest.mark.processes

OUTBOUND = 15001
LONGER = int(os.environ.get("TAGE_GOVERNANCE", "1"))
SAMPLE = 600 * LONGER
"""Requests that a split is judged by."""
SIGMAS = 5.0
Json = dict[str, Any]


def resource(kind: str, spec: Json) -> Json:
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": SERVICE}, "spec": spec}


def destination_rule(**policy: Any) -> Json:
    subsets = [{"name": version, "labels": {"version": version}} for version in VERSIONS]
    return resource("DestinationRule", {"host": SERVICE, "subsets": subsets, "trafficPolicy": policy})


def split(second: int, **rule: Any) -> Json:
    """So many per cent to the second version, the rest to the first one."""
    shares = zip(VERSIONS, (100 - second, second), strict=True)
    route = [{"destination": {"host": SERVICE, "subset": version}, "weight": weight} for version, weight in shares]
    return _rule(route, rule)


def everyone(**rule: Any) -> Json:
    """To all instances, of whatever version."""
    return _rule([{"destination": {"host": SERVICE}}], rule)


def _rule(route: list[Json], rule: Json) -> Json:
    return resource(
        "VirtualService", {"hosts": [SERVICE], "http": [{"retries": {"attempts": 0}, **rule, "route": route}]}
    )


@pytest.fixture(scope="module")
def module_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    mesh = Mesh(tmp_path_factory.mktemp("governance"))
    try:
        mesh.wait_ready()
        yield mesh
    except BaseException:
        mesh.discard()
        raise
    mesh.close()


@pytest.fixture
def mesh(module_mesh: Mesh) -> Iterator[Mesh]:
    """Both instances are there and well; everything goes to the first version."""
    module_mesh.apply(destination_rule(), split(0))
    until(lambda: _seen(module_mesh) == {VERSIONS[0]}, "everything goes to the first version")
    yield module_mesh
    for app in module_mesh.apps.values():
        app.handler = mirror
    module_mesh.register(*VERSIONS)


def _seen(mesh: Mesh, count: int = 10) -> set[str]:
    """Who answers; "" for the sidecar itself."""
    return {mesh.get().headers.get("x-backend", "") for _ in range(count)}


def _load(mesh: Mesh) -> Load:
    return Load(OUTBOUND, SERVICE, 8, address=mesh.address)


def _sample(load: Load, count: int) -> Counter[str]:
    """Who answers that many requests, from now on; those under way are not counted."""
    load.wait_more(16)
    before = Counter(load.answers)
    load.wait_more(count)
    return Counter(load.answers) - before


@contextmanager
def no_failures(load: Load) -> Iterator[Load]:
    with load:
        yield load
    assert load.failures == []


# -- canary, blue and green --------------------------------------------------------------------------------------------


def test_a_canary_grows_from_one_per_cent_to_all(mesh: Mesh) -> None:
    with no_failures(_load(mesh)) as load:
        for percent in (1, 50, 100):
            mesh.apply(split(percent))
            _wait_for_split(load, percent)
            answers = _sample(load, SAMPLE)
            _assert_share(answers[VERSIONS[1]], answers.total(), percent / 100)
        assert _sample(load, 100)[VERSIONS[0]] == 0


def _wait_for_split(load: Load, percent: int) -> None:
    """Until a change has arrived: in a hundred requests nobody is seen that should not be, and the new one is."""
    expected = {0: {VERSIONS[0]}, 100: {VERSIONS[1]}}.get(percent, set(VERSIONS))
    until(lambda: set(_sample(load, 100 if percent != 1 else 400)) == expected, f"{percent} % are in force")


def _assert_share(count: int, total: int, share: float) -> None:
    spread = SIGMAS * (total * share * (1 - share)) ** 0.5
    assert abs(count - total * share) <= spread, f"{count} of {total}, to be {share:.0%} ± {spread:.0f}"


def test_blue_and_green_are_switched_and_back(mesh: Mesh) -> None:
    """The one that was switched off gets nothing more once the change is in force."""
    with no_failures(_load(mesh)) as load:
        for number in range(1, 4 * LONGER + 1):
            percent = 100 * (number % 2)
            mesh.apply(split(percent))
            _wait_for_split(load, percent)
            assert set(_sample(load, 200)) == {VERSIONS[number % 2]}


def test_weights_that_change_all_the_time(mesh: Mesh) -> None:
    """Nobody waits for a change to arrive before the next one is made."""
    with no_failures(_load(mesh)) as load:
        for percent in itertools.islice(itertools.cycle((10, 90, 0, 100, 50)), 15 * LONGER):
            mesh.apply(split(percent))
            load.wait_more(60)
        mesh.apply(split(50))
        mesh.wait_in_sync()
        until(lambda: set(_sample(load, 100)) == set(VERSIONS), "the last weights are in force")


# -- endpoints ---------------------------------------------------------------------------------------------------------


def test_endpoints_come_and_go(mesh: Mesh) -> None:
    """An instance that is taken off the registry finishes what it was asked and is asked no more."""
    mesh.apply(everyone())
    until(lambda: _seen(mesh, 20) == set(VERSIONS), "both versions answer")
    with no_failures(_load(mesh)) as load:
        for number in range(2 * LONGER):
            stays = VERSIONS[number % 2]
            mesh.register(stays)
            until(lambda stays=stays: set(_sample(load, 60)) == {stays}, f"{stays} is left alone")  # type: ignore[misc]
            mesh.register(*VERSIONS)
            until(lambda: set(_sample(load, 60)) == set(VERSIONS), "both are asked again")


def test_one_endpoint_fails_half_its_calls(mesh: Mesh) -> None:
    """Policy: two retries on 5xx, other hosts first; three failures in a row eject an endpoint for a while. The client
    sees none of it; the endpoint gets little traffic while it fails, and its share again when it is well."""
    eject = {"consecutive5xxErrors": 3, "interval": "0.2s", "baseEjectionTime": "2s", "maxEjectionPercent": 50}
    mesh.apply(destination_rule(outlierDetection=eject), everyone(retries={"attempts": 2, "retryOn": "5xx"}))
    until(lambda: _seen(mesh, 20) == set(VERSIONS), "both versions answer")
    ill = _Ill()
    mesh.apps[VERSIONS[1]].handler = ill
    with no_failures(_load(mesh)) as load:
        until(lambda: _ejected(mesh) == 1, "the endpoint that fails is ejected")
        answers = _sample(load, SAMPLE)
        assert answers[VERSIONS[1]] < 0.4 * answers.total(), answers
        ill.well = True
        until(lambda: _ejected(mesh) == 0, "it is taken back")
        until(lambda: _sample(load, 100)[VERSIONS[1]] > 20, "it gets its share again")
    assert ill.failed > 0


class _Ill:
    """Answers every other request with 503, three in a row now and then, until it is `well`."""

    def __init__(self) -> None:
        self.well = False
        self.failed = 0
        self._lock = threading.Lock()
        self._pattern = itertools.cycle((True, True, True, False, False, False))

    def __call__(self, request: Request) -> Answer:
        with self._lock:
            fails = next(self._pattern) and not self.well
            self.failed += fails
        return Answer(503, b"ill") if fails else mirror(request)


def _ejected(mesh: Mesh) -> int:
    """Of the service's hosts, by the caller's sidecar."""
    name = f"cluster.outbound|80||{SERVICE}.default.svc.cluster.local.outlier_detection.ejections_active"
    return mesh.client.stats().get(name, 0)


def test_all_endpoints_are_gone_and_back(mesh: Mesh) -> None:
    """While there is none the sidecar says so at once; from the first good answer on no request fails."""
    mesh.apply(everyone())
    until(lambda: _seen(mesh, 20) == set(VERSIONS), "both versions answer")
    for _ in range(LONGER):
        with no_failures(_load(mesh)) as load:
            load.wait_more(200)
        mesh.register()
        until(lambda: _seen(mesh) == {""}, "nobody answers")
        answer = mesh.get()
        assert (answer.status, answer.flags) == (503, "UH")
        mesh.register(*VERSIONS)
        until(lambda: _seen(mesh, 20) == set(VERSIONS), "both versions answer again")
        with no_failures(_load(mesh)) as load:
            assert set(_sample(load, 200)) == set(VERSIONS)


def test_all_endpoints_fail_and_recover(mesh: Mesh) -> None:
    """All are ejected, and what comes then is answered at once (Istio's minHealthPercent is 0: no panic). When they
    are well they are taken back, and from the first good answer on no request fails."""
    eject = {"consecutive5xxErrors": 2, "interval": "0.2s", "baseEjectionTime": "1s", "maxEjectionPercent": 100}
    mesh.apply(destination_rule(outlierDetection=eject), everyone())
    until(lambda: _seen(mesh, 20) == set(VERSIONS), "both versions answer")
    for app in mesh.apps.values():
        app.handler = lambda request: Answer(503, b"down")
    until(lambda: (mesh.get().status, _ejected(mesh)) == (503, len(VERSIONS)), "all are ejected")
    for app in mesh.apps.values():
        app.handler = mirror
    until(lambda: mesh.get().status == 200, "requests are answered again")
    with no_failures(_load(mesh)) as load:
        until(lambda: _ejected(mesh) == 0, "all are taken back")
        assert set(_sample(load, 200)) == set(VERSIONS)
