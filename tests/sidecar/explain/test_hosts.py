"""What workers know of hosts' health, read from the file that they share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tage.dataplane.upstream import shared_layout as layout
from tage.dataplane.upstream.health.state import HostCell, HostFlag, slot_name
from tage.dataplane.upstream.shared import SharedFile
from tage.sidecar import plan
from tage.sidecar.admin_clusters import flags as known_flags
from tage.sidecar.explain.apart import Question
from tage.sidecar.explain.trace import explain
from tests.sidecar.explain.plans import cluster, match, sections, to, web

NO_PANIC = plan.LoadBalancing(panic_threshold=0)
CHECK = plan.HealthCheck(plan.TcpCheck(), *(1_000,) * 2, *(1,) * 2, *(1_000,) * 3)


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[tuple[SharedFile, Path]]:
    path = tmp_path / "shared.bin"
    layout.create(str(path), 2)
    file = SharedFile(str(path), 1)
    file.hosts.claim([slot_name("c", "127.0.0.1", 1)])
    yield file, path
    file.close()


def flag(file: SharedFile, port: int, flags: int) -> None:
    file.hosts.get(slot_name("c", "127.0.0.1", port)).store(HostCell.FLAGS, flags)


@pytest.mark.parametrize(
    ("flags", "check", "state"),
    [
        (0, None, "healthy"),
        (HostFlag.FLAG_EJECTED, None, "ejected as an outlier"),
        (HostFlag.FLAG_CHECK_FAILED, None, "healthy"),
        (0, CHECK, "its health is not checked yet"),
        (HostFlag.FLAG_CHECKED, CHECK, "healthy"),
        (HostFlag.FLAG_CHECKED | HostFlag.FLAG_CHECK_FAILED, CHECK, "its health check fails"),
    ],
)
def test_endpoints(shared: tuple[SharedFile, Path], flags: int, check: plan.HealthCheck | None, state: str) -> None:
    file, path = shared
    flag(file, 1, flags)
    given = sections(
        *web(plan.Route(match(), "r", to("c"))),
        *cluster(
            "c",
            plan.Endpoint("127.0.0.1", 1),
            health_check=check,
            outlier_detection=plan.OutlierDetection(),
            lb=NO_PANIC,
        ),
    )
    answer = explain(given, Question("http://x/"), known_flags(path.parent, given.values()))
    assert answer.clusters[0].endpoints[0].state == state
    assert answer.served == (state == "healthy")
    assert explain(given, Question("http://x/")).served, "without a sidecar there is only what is configured"
