"""A real Envoy under our Pilot takes every field of the two resources that is carried out."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.pilot.everything import RULES
from tests.pilot.process import Process, process
from tests.pilot.test_envoy import ENVOY, Application, Envoy, assert_nothing_refused, until

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(ENVOY is None, reason="no Envoy: set TAGE_ENVOY, or put `envoy` on PATH or into .tools/bin"),
]


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[tuple[Envoy, Process]]:
    apps = [Application("v1"), Application("v2")]
    instances = [
        {
            "name": f"r{i}", "address": "127.0.0.1", "port": app.port, "app_address": "127.0.0.1", "app_port": app.port,
            "labels": {"version": f"v{i}"}, "locality": f"east/z{i}",
        }
        for i, app in enumerate(apps, 1)
    ]  # fmt: skip
    services = tmp_path / "services.yaml"
    services.write_text(yaml.safe_dump({"services": [{"name": "reviews", "instances": instances}]}))
    (tmp_path / "mesh.yaml").write_text(RULES)
    options = ("--mesh", str(tmp_path / "mesh.yaml"), "--registry", f"file:{services}")
    with process(tmp_path / "config", *options) as control:
        envoy = Envoy(tmp_path, control.xds, apps[0].port)
        try:
            until(envoy.is_live, f"Envoy did not become ready: {envoy.log.read_text()}")
            yield envoy, control
        finally:
            envoy.close()
            for app in apps:
                app.server.shutdown()
                app.server.server_close()


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def located(envoy: Envoy, path: str) -> tuple[int, str]:
    """Status and location of a redirect."""
    proxy = urllib.request.ProxyHandler({"http": f"http://127.0.0.1:{envoy.outbound}"})
    try:
        urllib.request.build_opener(proxy, _Stay()).open(f"http://reviews{path}", timeout=5)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["location"]
    raise AssertionError(f"{path} was not redirected")


def test_envoy_accepts_every_field(mesh: tuple[Envoy, Process]):
    envoy, control = mesh
    assert_nothing_refused(envoy, control)
    dump = envoy.ask("/config_dump?include_eds")
    for name in ("everything.all", "envoy.filters.http.fault", "envoy.filters.http.cors", "outbound|80|maglev|reviews"):
        assert name in dump
    everything = {"x_exact": "a", "x_prefix": "bb", "x_regex": "cc", "x_any": "", "x_star": ""}
    query = "exact=a&prefix=b&regex=c&any="
    assert envoy.via(f"http://reviews/everYthing/v?{query}", **everything)[0] == 200
    assert envoy.via("http://reviews/faulty")[0] == 418
    assert envoy.via("http://reviews/shop.Greeter/Hello") == (200, "fault filter abort")
    assert envoy.via("http://reviews/bytes") == (503, "off")
    assert envoy.via("http://reviews/text") == (200, "x" * 5000)
    assert envoy.via("http://reviews/delegated/1") == (200, "v1")
    assert envoy.via("http://reviews/delegated/2") == (200, "v2")
    assert envoy.via("http://reviews/") == (200, "v1")
    assert located(envoy, "/away/x") == (307, "https://elsewhere:80/there/x")
    assert located(envoy, "/gone") == (308, "http://reviews:8080/here")
