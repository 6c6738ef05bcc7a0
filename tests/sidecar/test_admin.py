"""The admin API over a real loopback socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tage.dataplane.telemetry.reader import Snapshot
from tage.dataplane.upstream import shared_layout
from tage.dataplane.upstream.health.state import HostCell, HostFlag, slot_name
from tage.dataplane.upstream.shared import SharedFile
from tage.sidecar import admin, plan
from tage.sidecar.admin import MAX_HEAD, AdminError, AdminServer, Page, Query
from tage.sidecar.admin_pages import Pages

WAIT = 10.0


class Sidecar:
    """As the engine shows itself."""

    node: Mapping[str, Any] = {"id": "n"}
    version = 3
    live_workers = 1
    control: Mapping[str, Any] = {}
    dns: Mapping[str, list[dict[str, Any]]] = {
        "a": [{"name": "n.test", "addresses": ["127.0.0.2"], "ttl": 5, "last_resolved": "T", "error": "SERVFAIL"}]
    }

    def __init__(self, *sections: plan.Section) -> None:
        kinds = {cls: kind for kind, cls in plan.KINDS.items()}
        self.sections = {(kinds[type(section)], section.name): plan.encode(section) for section in sections}


def exchange(handler: admin.Handler, play: Callable[[int], Awaitable[None]]) -> None:
    async def run() -> None:
        server = AdminServer(handler)
        port = await server.start("127.0.0.1", 0)
        try:
            async with asyncio.timeout(WAIT):
                await play(port)
        finally:
            server.close()

    asyncio.run(run())


async def talk(port: int, data: bytes) -> bytes:
    """Sends `data`, returns everything until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = await reader.read()
    writer.close()
    return answer


def get(pages: Pages, target: str) -> Page:
    path, _, query = target.partition("?")
    return pages(path, dict(part.partition("=")[::2] for part in query.split("&") if part))


# -- HTTP --------------------------------------------------------------------------------------------------------------


def test_keep_alive_head_and_close() -> None:
    async def play(port: int) -> None:
        answer = await talk(
            port,
            b"GET /a?x=1 HTTP/1.1\r\nhost: h\r\n\r\n"
            b"HEAD /b HTTP/1.1\r\nhost: h\r\n\r\n"
            b"GET /c HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
        )
        first, second, third = answer.lower().split(b"http/1.1 200")[1:]
        assert first.endswith(b"/a {'x': '1'}")
        assert b"content-length: 5" in second
        assert second.endswith(b"\r\n\r\n")
        assert third.endswith(b"/c {}")

    exchange(lambda path, query: Page(f"{path} {query}"), play)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /" + b"a" * (MAX_HEAD + 1), b"431"),
        (b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\n", b"405"),
    ],
)
def test_refused_and_closed(data: bytes, status: bytes) -> None:
    async def play(port: int) -> None:
        assert (await talk(port, data)).startswith(b"HTTP/1.1 " + status)

    exchange(lambda path, query: Page("x"), play)


def test_too_many_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "MAX_CONNECTIONS", 1)

    async def play(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")
        assert await reader.read(1)
        assert await talk(port, b"") == b""
        writer.close()

    exchange(lambda path, query: Page("x"), play)


def test_idle_connections_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "IDLE_TIMEOUT", 0.05)

    async def play(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()

    exchange(lambda path, query: Page("x"), play)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "host.example"])
def test_other_than_loopback_is_refused(host: str) -> None:
    with pytest.raises(AdminError, match="use a loopback address"):
        asyncio.run(AdminServer(lambda path, query: Page("")).start(host, 0))


def test_a_port_in_use_is_named() -> None:
    async def play(port: int) -> None:
        with pytest.raises(AdminError, match=f"127.0.0.1:{port}: another process listens there"):
            await AdminServer(lambda path, query: Page("")).start("127.0.0.1", port)

    exchange(lambda path, query: Page(""), play)


# -- pages -------------------------------------------------------------------------------------------------------------

SECTIONS = (
    plan.Cluster("a", "a", labels={"destination_service_name": "reviews"}),
    plan.Endpoints(
        "a", [plan.Endpoint("127.0.0.2", 80, 3, hostname="n.test"), plan.Endpoint("::1", 81, healthy=False)]
    ),
    plan.Listener("l", "127.0.0.1", 80, "inbound", [plan.FilterChain(http=plan.Http("r"))]),
    plan.Routes("r"),
)


@pytest.fixture
def pages(tmp_path: Path) -> Pages:
    return Pages(Sidecar(*SECTIONS), tmp_path)


def test_ready(tmp_path: Path) -> None:
    sidecar = Sidecar()
    pages = Pages(sidecar, tmp_path)
    assert get(pages, "/ready") == Page("LIVE\n")
    sidecar.live_workers = 0
    assert get(pages, "/ready") == Page("INITIALIZING\n", 503)
    sidecar.live_workers, sidecar.version = 1, 0
    assert get(pages, "/ready").status == 503


def test_help_lists_all_pages(pages: Pages) -> None:
    for path in ("/clusters", "/config_dump", "/ready", "/server_info", "/stats", "/stats/prometheus"):
        assert f"{path}: " in get(pages, "/help").body
        assert get(pages, path).status == 200
    assert get(pages, "/").body == get(pages, "/help").body
    assert get(pages, "/nothing").status == 404


def test_config_dump(pages: Pages) -> None:
    dump = json.loads(get(pages, "/config_dump").body)
    assert dump["version"] == 3
    assert dump["node"] == {"id": "n"}
    assert set(dump["sections"]) == set(plan.KINDS)
    assert dump["sections"]["listener"]["l"] == {
        "name": "l",
        "address": "127.0.0.1",
        "port": 80,
        "direction": "inbound",
        "chains": [{"http": {"routes": "r"}}],
    }


def test_clusters(pages: Pages) -> None:
    text = get(pages, "/clusters").body
    assert "a::default_priority::max_connections::1024\n" in text
    assert "a::127.0.0.2:80::health_flags::healthy\na::127.0.0.2:80::weight::3\n" in text
    assert "a::[::1]:81::health_flags::/failed_eds_health\n" in text
    assert "a::127.0.0.2:80::hostname::n.test\n" in text
    assert text.endswith("a::dns::n.test::last_resolved::T\na::dns::n.test::ttl::5\na::dns::n.test::error::SERVFAIL\n")
    [cluster] = json.loads(get(pages, "/clusters?format=json").body)["cluster_statuses"]
    assert cluster["host_statuses"][0] == {
        "address": {"socket_address": {"address": "127.0.0.2", "port_value": 80}},
        "health_status": {"eds_health_status": "HEALTHY"},
        "weight": 3,
        "hostname": "n.test",
        "priority": 0,
        "locality": {},
    }
    assert cluster["dns"] == Sidecar.dns["a"]


def test_where_hosts_are(tmp_path: Path) -> None:
    places = [plan.Locality("r", "z", "s"), plan.Locality("r")]
    hosts = [plan.Endpoint("::1", 1, priority=1, locality=1, degraded=True), plan.Endpoint("::1", 2)]
    pages = Pages(Sidecar(plan.Cluster("a", "a"), plan.Endpoints("a", hosts, places)), tmp_path)
    text = get(pages, "/clusters").body
    assert "a::[::1]:1::region::r\na::[::1]:1::zone::\na::[::1]:1::sub_zone::\na::[::1]:1::priority::1\n" in text
    assert "a::[::1]:1::health_flags::/degraded_eds_health\n" in text
    assert "a::[::1]:2::sub_zone::s\na::[::1]:2::priority::0\n" in text
    [found] = json.loads(get(pages, "/clusters?format=json").body)["cluster_statuses"]
    first, second = found["host_statuses"]
    assert (first["priority"], first["locality"], first["health_status"]) == (
        1,
        {"region": "r"},
        {"eds_health_status": "DEGRADED"},
    )
    assert second["locality"] == {"region": "r", "zone": "z", "sub_zone": "s"}


def test_the_health_of_hosts(tmp_path: Path) -> None:
    """As the workers' file has it; without the file, as if nothing were known."""
    hosts = [plan.Endpoint("::1", 1), plan.Endpoint("::1", 2), plan.Endpoint("::1", 3, healthy=False)]
    hosts.append(plan.Endpoint("::1", 4, checked=False))
    check = plan.HealthCheck(plan.TcpCheck(), 1, 1, 1, 1, 1, 1, 1)
    cluster = plan.Cluster("a", "a", outlier_detection=plan.OutlierDetection(), health_check=check)
    pages = Pages(Sidecar(cluster, plan.Endpoints("a", hosts)), tmp_path)

    def flags() -> list[str]:
        lines = get(pages, "/clusters").body.splitlines()
        return [line.split("::health_flags::")[1] for line in lines if "health_flags" in line]

    pending = "/failed_active_hc/pending_active_hc"
    assert flags() == [pending, pending, f"{pending}/failed_eds_health", "healthy"]
    shared_layout.create(str(tmp_path / "shared.bin"), 1)
    worker = SharedFile(str(tmp_path / "shared.bin"), 0)
    slots = [slot_name("a", "::1", port) for port in range(1, 5)]
    worker.hosts.claim(slots)
    checked, failed, ejected = HostFlag.FLAG_CHECKED, HostFlag.FLAG_CHECK_FAILED, HostFlag.FLAG_EJECTED
    for slot, bits in zip(slots, (checked, checked | failed | ejected, checked, ejected), strict=True):
        worker.hosts.get(slot).set_bits(HostCell.FLAGS, bits)
    worker.close()
    assert flags() == [
        "healthy",
        "/failed_active_hc/failed_outlier_check",
        "/failed_eds_health",
        "/failed_outlier_check",
    ]
    [found] = json.loads(get(pages, "/clusters?format=json").body)["cluster_statuses"]
    assert [status["health_status"] for status in found["host_statuses"][1:3]] == [
        {"failed_active_health_check": True, "failed_outlier_check": True, "eds_health_status": "HEALTHY"},
        {"eds_health_status": "UNHEALTHY"},
    ]
    (tmp_path / "shared.bin").write_bytes(b"x" * 5_000)
    assert flags()[0] == pending


def test_server_info(pages: Pages) -> None:
    info = json.loads(get(pages, "/server_info").body)
    assert info["state"] == "LIVE"
    assert info["version"].startswith("tage/")


def test_stats(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = Snapshot({("cluster", "a", "upstream_rq_total"): 5, ("cluster", "a", "upstream_cx_total"): 0})
    monkeypatch.setattr(Pages, "_snapshot", lambda self: snapshot)
    assert get(pages, "/stats").body == "cluster.a.upstream_cx_total: 0\ncluster.a.upstream_rq_total: 5\n"
    assert get(pages, "/stats?usedonly").body == "cluster.a.upstream_rq_total: 5\n"
    assert get(pages, "/stats?filter=_cx_").body == "cluster.a.upstream_cx_total: 0\n"
    assert json.loads(get(pages, "/stats?format=json&filter=rq").body) == {
        "stats": [{"name": "cluster.a.upstream_rq_total", "value": 5}]
    }
    assert get(pages, "/stats?filter=(").status == 400
    assert get(pages, "/stats?format=xml").status == 400
    assert "envoy_cluster_upstream_rq_total" in get(pages, "/stats?format=prometheus").body


# -- what a request would meet -----------------------------------------------------------------------------------------


def explain(pages: Pages, query: str) -> Page:
    """The answer of a child process."""

    async def asked() -> Page:
        page = pages("/explain", Query(query))
        return page if isinstance(page, Page) else await page

    return asyncio.run(asked())


@pytest.mark.processes
def test_explain(tmp_path: Path) -> None:
    wanted = plan.HeaderMatch("b", plan.StringMatch("exact", "2"))
    rules = [
        plan.Route(plan.RouteMatch(plan.StringMatch("prefix", "/"), [wanted]), "first", [plan.WeightedCluster("c")]),
        plan.Route(plan.RouteMatch(plan.StringMatch("prefix", "/")), "second", [plan.WeightedCluster("c")]),
    ]
    sidecar = Sidecar(
        plan.Listener("l", "127.0.0.1", 80, chains=[plan.FilterChain(http=plan.Http("r"))]),
        plan.Routes("r", [plan.VirtualHost("v", ["*"], rules)]),
        plan.Cluster("c", "c"),
        plan.Endpoints("c", [plan.Endpoint("127.0.0.2", 80)]),
    )
    pages = Pages(sidecar, tmp_path)
    page = explain(pages, "url=http://x/&header=a:%201&header=b:%203")
    assert page.status == 200
    found = json.loads(page.body)
    assert [(rule["name"], rule["why"]) for rule in found["rules"]] == [
        ("first", "wants header b is '2'; it is '3'"),
        ("second", "every path"),
    ]
    assert found["clusters"][0]["endpoints"][0]["address"] == "127.0.0.2"
    assert explain(pages, "url=/x") == Page(
        "'/x' names no host: give a URL, or a header 'host: NAME' beside the path\n", 400
    )


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("", "which request? give url=http://HOST/PATH"),
        ("url=http://x/&header=a", "header 'a': give NAME: VALUE"),
        ("url=http://x/&what=1", "unknown parameter 'what'; there are url, method, header"),
    ],
)
def test_explain_nothing(pages: Pages, query: str, why: str) -> None:
    page = explain(pages, query)
    assert page.status == 400
    assert page.body.startswith(why)
