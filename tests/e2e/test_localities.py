"""Locality load balancing in a mesh: an instance near the caller, one far away, and who gets the requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.backend import Answer, mirror
from tests.e2e.mesh import SERVICE, Mesh
from tests.e2e.ports import until

pytestmark = pytest.mark.processes

LOCALITIES = {"client": "east/z1", "v1": "east/z1", "v2": "west/z1"}
"""v1 is near, v2 far."""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    mesh = Mesh(tmp_path_factory.mktemp("mesh"), LOCALITIES)
    try:
        mesh.wait_ready()
        yield mesh
    except BaseException:
        mesh.discard()
        raise
    mesh.close()


def apply(mesh: Mesh, **policy: Any) -> None:
    """This traffic policy, and no retries, which would hide what fails."""
    head = {"apiVersion": "networking.istio.io/v1", "metadata": {"name": SERVICE}}
    route = {"retries": {"attempts": 0}, "route": [{"destination": {"host": SERVICE}}]}
    mesh.apply(
        {**head, "kind": "DestinationRule", "spec": {"host": SERVICE, "trafficPolicy": policy}},
        {**head, "kind": "VirtualService", "spec": {"hosts": [SERVICE], "http": [route]}},
    )


def answered(mesh: Mesh, count: int) -> Counter[str]:
    """Who answered, and with what where it was not 200."""
    answers = (mesh.get() for _ in range(count))
    return Counter(a.headers["x-backend"] if a.status == 200 else str(a.status) for a in answers)


def test_near_instances_come_first_and_far_ones_stand_in_for_them(mesh: Mesh) -> None:
    apply(mesh, outlierDetection={"consecutive5xxErrors": 2, "interval": "1s", "baseEjectionTime": "3s",
                                  "maxEjectionPercent": 100})  # fmt: skip
    until(lambda: answered(mesh, 20) == {"v1": 20}, "the near instance gets everything")
    mesh.apps["v1"].handler = lambda request: Answer(500)
    try:
        until(lambda: answered(mesh, 1) == {"v2": 1}, "the far instance stands in")
        assert answered(mesh, 20)["v2"] >= 18, "but for a try of the near one that comes back"
    finally:
        mesh.apps["v1"].handler = mirror
    until(lambda: answered(mesh, 20) == {"v1": 20}, "the near instance gets everything again")


def test_shares_by_where_the_caller_is(mesh: Mesh) -> None:
    distribute = [{"from": "west", "to": {"west": 100}}, {"from": "east/z1/*", "to": {"east": 75, "west": 25}}]
    apply(mesh, loadBalancer={"simple": "ROUND_ROBIN", "localityLbSetting": {"distribute": distribute}})
    until(lambda: set(answered(mesh, 20)) == {"v1", "v2"}, "both get requests")
    assert 220 <= answered(mesh, 400)["v1"] <= 370


def test_switched_off(mesh: Mesh) -> None:
    apply(mesh, outlierDetection={}, loadBalancer={"simple": "ROUND_ROBIN", "localityLbSetting": {"enabled": False}})
    until(lambda: answered(mesh, 40) == {"v1": 20, "v2": 20}, "both get the same")
