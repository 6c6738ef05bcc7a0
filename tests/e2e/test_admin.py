"""The admin API after known traffic: what it says adds up with what was sent."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator

import pytest

from tests.e2e.backend import Answer, Backend, DeadPort, Request
from tests.e2e.bootstraps import bootstrap, cluster, listener, route, virtual_host
from tests.e2e.ports import LOOPBACK, free_port, until
from tests.e2e.sidecar import Sidecar, sidecar
from tests.e2e.wire import Client

pytestmark = pytest.mark.processes

OK, TEAPOTS, FAILED, UNROUTED, REFUSED = 40, 7, 5, 3, 2
ALL = OK + TEAPOTS + FAILED + UNROUTED + REFUSED


def by_path(request: Request) -> Answer:
    return Answer(int(request.target[1:]), b"x" * 100)


class Sent:
    def __init__(self, running: Sidecar, port: int, backend: Backend, dead: DeadPort, seconds: float) -> None:
        self.sidecar = running
        self.port = port
        self.backend = backend
        self.dead = dead
        self.seconds = seconds
        """That all the requests took."""


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    with contextlib.closing(Backend(by_path)) as backend, contextlib.closing(DeadPort()) as dead:
        port = free_port()
        hosts = [virtual_host("app", {"name": "all", **route("app")}), virtual_host("dead", route("dead"))]
        clusters = [cluster("app", backend.port, alt_stat_name="application"), cluster("dead", dead.port)]
        content = bootstrap(free_port(), [listener("l", port, hosts)], clusters)
        with sidecar(tmp_path_factory.mktemp("admin"), content) as running:
            started = time.monotonic()
            with Client(port) as client:
                for path, count in (("/200", OK), ("/418", TEAPOTS)):
                    for _ in range(count):
                        client.get("app", path)
                for host, count in (("dead", FAILED), ("unknown", UNROUTED)):
                    for _ in range(count):
                        client.get(host)
            for _ in range(REFUSED):
                with Client(port) as client:
                    client.send(b"nonsense\r\n\r\n")
                    client.response()
            seconds = time.monotonic() - started
            until(lambda: running.stats()["listener.l.downstream_cx_active"] == 0, "all connections have ended")
            yield Sent(running, port, backend, dead, seconds)


def test_ready(sent: Sent) -> None:
    assert sent.sidecar.page("/ready") == (200, "LIVE\n")
    assert sent.sidecar.page("/nothing")[0] == 404


def test_stats(sent: Sent) -> None:
    stats = sent.sidecar.stats()
    expected = {
        "listener.l.downstream_rq_total": ALL,
        "listener.l.downstream_rq_2xx": OK,
        "listener.l.downstream_rq_4xx": TEAPOTS + UNROUTED + REFUSED,
        "listener.l.downstream_rq_5xx": FAILED,
        "listener.l.downstream_rq_active": 0,
        "listener.l.downstream_cx_total": 1 + REFUSED,
        "listener.l.downstream_cx_protocol_error": REFUSED,
        "listener.l.no_route": UNROUTED,
        "cluster.app.upstream_rq_total": OK + TEAPOTS,
        "cluster.app.upstream_rq_2xx": OK,
        "cluster.app.upstream_rq_4xx": TEAPOTS,
        "cluster.app.upstream_rq_code_200_-": OK,
        "cluster.app.upstream_rq_code_418_-": TEAPOTS,
        "cluster.app.upstream_cx_total": 1,
        "cluster.app.upstream_cx_active": 1,
        "cluster.app.upstream_rq_active": 0,
        "cluster.app.membership_total": 1,
        "cluster.dead.upstream_rq_code_503_UF": FAILED,
        "cluster.dead.upstream_cx_connect_fail": FAILED,
        "cluster.dead.upstream_cx_active": 0,
        "route.l_routes/app/all.rq_total": OK + TEAPOTS,
        "route.l_routes/app/all.rq_2xx": OK,
        "route.l_routes/dead/0.rq_5xx": FAILED,
    }
    assert {name: stats.get(name) for name in expected} == expected
    assert stats["cluster.app.upstream_cx_rx_bytes_total"] > 100 * (OK + TEAPOTS)


def test_stats_are_filtered(sent: Sent) -> None:
    status, text = sent.sidecar.page("/stats?filter=%5Ecluster.app.*_rq_total%24&usedonly")
    assert (status, text) == (200, f"cluster.app.upstream_rq_total: {OK + TEAPOTS}\n")
    _, text = sent.sidecar.page("/stats?filter=listener.l.downstream_rq_time")
    assert re.fullmatch(r"listener\.l\.downstream_rq_time: P0\([\d.]+\) .*P100\([\d.]+\)\n", text)
    assert sent.sidecar.page("/stats?filter=(")[0] == 400


def test_prometheus(sent: Sent) -> None:
    status, text = sent.sidecar.page("/stats/prometheus")
    assert status == 200

    def values(name: str, *labels: str) -> list[float]:
        lines = [line for line in text.splitlines() if line.startswith(name + "{")]
        return [float(line.rpartition(" ")[2]) for line in lines if all(label in line for label in labels)]

    assert sum(values("istio_requests_total")) == ALL - UNROUTED - REFUSED
    assert sum(values("istio_requests_total", 'response_code="503"', 'response_flags="UF"')) == FAILED
    assert values("envoy_cluster_upstream_rq_xx", 'class="2"', 'envoy_cluster_name="app"') == [OK]
    assert values("envoy_listener_no_route", '"l"') == [UNROUTED]
    assert values("envoy_cluster_upstream_rq_time_count", '"app"') == [OK + TEAPOTS]
    assert values("envoy_cluster_upstream_rq_time_bucket", '"app"', 'le="+Inf"') == [OK + TEAPOTS]
    buckets = values("envoy_listener_downstream_rq_time_bucket", '"l"')
    assert buckets == sorted(buckets)
    assert 0 < values("envoy_cluster_upstream_rq_time_sum", '"app"')[0] < sent.seconds * 1000
    # Every metric is announced once, and every line is of the format.
    announced = re.findall(r"^# TYPE (\S+) (?:counter|gauge|histogram)$", text, re.MULTILINE)
    assert len(announced) == len(set(announced))
    sample = re.compile(r'[a-zA-Z_:][\w:]*(\{(\w+="([^"\\]|\\.)*",?)*\})? [-+\d.e]+')
    assert [line for line in text.splitlines() if not line.startswith("# TYPE") and not sample.fullmatch(line)] == []


def test_config_dump(sent: Sent) -> None:
    dump = sent.sidecar.json("/config_dump")
    assert set(dump["sections"]["cluster"]) == set(dump["sections"]["endpoints"]) == {"app", "dead"}
    assert dump["sections"]["listener"]["l"]["port"] == sent.port
    assert dump["sections"]["endpoints"]["app"]["endpoints"][0]["port"] == sent.backend.port
    assert dump["sections"]["routes"]["l_routes"]["virtual_hosts"][0]["domains"] == ["app"]
    assert dump["node"]["id"] == "e2e"
    assert dump["version"] == 1


def test_clusters(sent: Sent) -> None:
    _, text = sent.sidecar.page("/clusters")
    assert f"app::{LOOPBACK}:{sent.backend.port}::health_flags::healthy\n" in text
    assert "app::observability_name::application\n" in text
    statuses = sent.sidecar.json("/clusters?format=json")["cluster_statuses"]
    ports = {
        each["name"]: [host["address"]["socket_address"]["port_value"] for host in each["host_statuses"]]
        for each in statuses
    }
    assert ports == {"app": [sent.backend.port], "dead": [sent.dead.port]}


def test_server_info(sent: Sent) -> None:
    info = sent.sidecar.json("/server_info")
    assert info["version"].startswith("tage/")
    assert (info["state"], info["live_workers"], info["plan_version"]) == ("LIVE", 1, 1)


def test_a_listing_of_what_there_is(sent: Sent) -> None:
    _, text = sent.sidecar.page("/help")
    for path in re.findall(r"^(/\S*):", text, re.MULTILINE):
        # What asks for a request has none to answer about.
        assert sent.sidecar.page(path)[0] == (400 if path == "/explain" else 200), path
