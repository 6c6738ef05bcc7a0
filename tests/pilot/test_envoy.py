"""A real Envoy under our Pilot: it accepts everything, and traffic takes the routes. Skipped where there is none."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pilot.process import Process, process

PATIENCE = 20.0


def find_envoy() -> str | None:
    here = Path(__file__).parents[2] / ".tools" / "bin" / "envoy"
    return os.environ.get("TAGE_ENVOY") or shutil.which("envoy") or (str(here) if here.exists() else None)


ENVOY = find_envoy()

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(ENVOY is None, reason="no Envoy: set TAGE_ENVOY, or put `envoy` on PATH or into .tools/bin"),
]

MESH = """
apiVersion: tage.dev/v1alpha1
kind: RateLimit
metadata: {name: in}
spec:
  {host: reviews, requests: 1000000, per: 1s, descriptors: [{header: x-user, requests: 3, per: 1h}]}
---
apiVersion: tage.dev/v1alpha1
kind: RateLimit
metadata: {name: out}
spec:
  host: reviews
  direction: outbound
  headers: {x-limited: {exact: "yes"}}
  requests: 2
  per: 1h
---
apiVersion: tage.dev/v1alpha1
kind: RateLimit
metadata: {name: canary}
spec: {host: reviews, direction: outbound, routes: [canary], requests: 1000000, burst: 2000000, per: 1m}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews, shop.example.com, "*.shop.example.com"]
  http:
  - name: canary
    match:
    - headers: {end-user: {exact: jason}, x-any: {}, x-prefix: {prefix: a}, x-regex: {regex: "[0-9]+"}}
      uri: {prefix: /}
    - {name: method, uri: {regex: "/v2/.*"}, method: {exact: GET}}
    - {uri: {exact: /exact}}
    route: [{destination: {host: reviews, subset: v2}}]
  - match: [{uri: {prefix: /weighted}}]
    timeout: 2s
    retries: {attempts: 3, perTryTimeout: 500ms, retryOn: "503,reset"}
    route:
    - {destination: {host: reviews, subset: v1}, weight: 90}
    - {destination: {host: reviews, subset: v2}, weight: 10}
  - retries: {attempts: 0}
    route: [{destination: {host: reviews, subset: v1}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}, trafficPolicy: {loadBalancer: {simple: RANDOM}}}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def get(url: str, proxy: str = "", headers: dict[str, str] | None = None) -> tuple[int, str]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy} if proxy else {}))
    try:
        with opener.open(urllib.request.Request(url, headers=headers or {}), timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


class Application:
    """Answers with its name."""

    def __init__(self, name: str) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(name)))
                self.end_headers()
                self.wfile.write(name.encode())

            def log_message(self, *_: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Envoy:
    """One Envoy that has everything from the control plane."""

    def __init__(self, directory: Path, xds: int, app: int) -> None:
        assert ENVOY is not None
        self.admin, self.outbound, self.inbound = free_port(), free_port(), free_port()
        self.log = directory / "envoy.log"
        config = directory / "envoy.yaml"
        config.write_text(yaml.safe_dump(self._bootstrap(xds, app)))
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [ENVOY, "-c", str(config), "--concurrency", "1", "--use-dynamic-base-id"], stderr=log
            )

    def _bootstrap(self, xds: int, app: int) -> dict[str, Any]:
        ads = {"ads": {}, "resource_api_version": "V3"}
        options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
        metadata = {
            "SERVICE": "reviews", "NAMESPACE": "default", "LABELS": {"version": "v1"}, "ADDRESS": "127.0.0.1",
            "OUTBOUND_PORT": str(self.outbound), "INBOUND_PORT": str(self.inbound),
            "APP_ADDRESS": "127.0.0.1", "APP_PORT": str(app),
        }  # fmt: skip
        cluster = {
            "name": "xds",
            "type": "STATIC",
            "typed_extension_protocol_options": {
                options: {
                    "@type": f"type.googleapis.com/{options}",
                    "explicit_http_config": {"http2_protocol_options": {}},
                }
            },
            "load_assignment": {
                "cluster_name": "xds",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(xds)}}]}],
            },
        }
        node = "sidecar~127.0.0.1~r1.default~default.svc.cluster.local"
        return {
            "node": {"id": node, "cluster": "reviews.default", "metadata": metadata},
            "admin": {"address": address(self.admin)},
            "dynamic_resources": {
                "ads_config": {
                    "api_type": "GRPC",
                    "transport_api_version": "V3",
                    "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
                },
                "lds_config": ads,
                "cds_config": ads,
            },
            "static_resources": {"clusters": [cluster]},
        }

    def ask(self, path: str) -> str:
        return get(f"http://127.0.0.1:{self.admin}{path}")[1]

    def stats(self, pattern: str) -> dict[str, int]:
        lines = (line.rpartition(": ") for line in self.ask("/stats").splitlines())
        return {name: int(value) for name, _, value in lines if re.search(pattern, name)}

    def is_live(self) -> bool:
        try:
            return self.ask("/ready").strip() == "LIVE"
        except OSError:
            return False

    def via(self, url: str, **headers: str) -> tuple[int, str]:
        return get(url, f"http://127.0.0.1:{self.outbound}", {k.replace("_", "-"): v for k, v in headers.items()})

    def close(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)


def address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[tuple[Envoy, Process]]:
    apps = [Application("v1"), Application("v2")]
    instances = [
        {
            "name": f"r{i}", "address": "127.0.0.1", "port": app.port,
            "app_address": "127.0.0.1", "app_port": app.port, "labels": {"version": f"v{i}"},
        }
        for i, app in enumerate(apps, 1)
    ]  # fmt: skip
    services = tmp_path / "services.yaml"
    known: list[dict[str, Any]] = [
        {"name": "reviews", "instances": instances},
        {"name": "empty", "port": 8000},
        {"name": "stock", "port": 7000, "protocol": "bolt", "interfaces": ["com.example.Stock"]},
    ]
    services.write_text(yaml.safe_dump({"services": known}))
    (tmp_path / "mesh.yaml").write_text(MESH)
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


def status(control: Process) -> dict[str, dict[str, Any]]:
    ((sidecar),) = json.loads(get(f"http://127.0.0.1:{control.http}/v1/status")[1])["sidecars"]
    return sidecar["types"]


def assert_nothing_refused(envoy: Envoy, control: Process) -> None:
    until(lambda: all(t["synced"] for t in status(control).values()), f"not in sync: {status(control)}")
    assert {name: t["nacked"] for name, t in status(control).items()} == dict.fromkeys(("CDS", "EDS", "LDS", "RDS"), "")
    rejected = envoy.stats(r"update_rejected$")
    assert rejected
    assert not any(rejected.values()), rejected
    assert "eprecated" not in envoy.log.read_text()


def test_envoy_accepts_everything_and_routes_by_it(mesh: tuple[Envoy, Process]):
    envoy, control = mesh
    assert_nothing_refused(envoy, control)
    dump = envoy.ask("/config_dump?include_eds")
    for name in (
        "outbound|80||reviews.default.svc.cluster.local", "outbound|80|v1|reviews.default.svc.cluster.local",
        "outbound|80|v2|reviews.default.svc.cluster.local", "outbound|8000||empty.default.svc.cluster.local",
        "http_proxy", "virtualInbound", "shop.example.com:80", "canary.method", "inbound_",
    ):  # fmt: skip
        assert name in dump
    assert envoy.via("http://reviews/") == (200, "v1")
    assert envoy.via("http://reviews.default:80/") == (200, "v1")
    assert envoy.via("http://shop.example.com/exact") == (200, "v2")
    assert envoy.via("http://a.shop.example.com/v2/x") == (200, "v2")
    canary = {"end_user": "jason", "x_any": "", "x_prefix": "abc", "x_regex": "12"}
    assert envoy.via("http://reviews/", **canary) == (200, "v2")
    assert envoy.via("http://reviews/", **{**canary, "x_regex": "12x"}) == (200, "v1")
    assert envoy.via("http://reviews/weighted")[0] == 200
    assert envoy.via("http://nowhere/")[0] == 404
    assert envoy.via("http://empty:8000/")[0] == 503
    assert get(f"http://127.0.0.1:{envoy.inbound}/") == (200, "v1")
    assert [envoy.via("http://reviews/", x_limited="yes")[0] for _ in range(3)] == [200, 200, 429]
    inbound = f"http://127.0.0.1:{envoy.inbound}/"
    assert [get(inbound, headers={"x-user": "ann"})[0] for _ in range(4)] == [200, 200, 200, 429]
    assert get(inbound, headers={"x-user": "bob"})[0] == 200


def test_an_envoy_hands_on_unread_what_it_does_not_know(mesh: tuple[Envoy, Process], tmp_path: Path):
    """Its service takes to a protocol of remote calls: what comes in goes to the application as bytes."""
    envoy, control = mesh
    assert_nothing_refused(envoy, control)
    dump = envoy.ask("/config_dump")
    assert "outbound|7000||stock.default.svc.cluster.local" in dump
    assert "x_protocol" not in dump
    assert "bolt_proxy" not in dump
    services = yaml.safe_load((tmp_path / "services.yaml").read_text())
    services["services"][0]["protocol"] = "x-ours"
    changed = tmp_path / "changed.yaml"
    changed.write_text(yaml.safe_dump(services))
    changed.rename(tmp_path / "services.yaml")
    until(lambda: "envoy.filters.network.tcp_proxy" in envoy.ask("/config_dump?resource=dynamic_listeners"), "no proxy")
    assert_nothing_refused(envoy, control)
    until(lambda: get(f"http://127.0.0.1:{envoy.inbound}/") == (200, "v1"), "the bytes of HTTP do not get through")
    assert envoy.via("http://reviews/")[0] == 404


def test_changes_reach_envoy_without_a_refusal_or_a_failed_request(mesh: tuple[Envoy, Process]):
    envoy, control = mesh
    stop, failed, served = threading.Event(), [], set()

    def load() -> None:
        while not stop.is_set():
            code, body = envoy.via("http://reviews/")
            served.add(body)
            if code != 200:
                failed.append((code, body))

    traffic = threading.Thread(target=load)
    traffic.start()
    try:
        for number in range(1, 7):
            apply(control, number)
            expected = f"v{number % 2 + 1}"
            until(partial(answers, envoy, expected), f"change {number} did not arrive")
    finally:
        stop.set()
        traffic.join(PATIENCE)
    assert failed == []
    assert served == {"v1", "v2"}
    assert_nothing_refused(envoy, control)
    assert envoy.stats("warming_clusters$") == {"cluster_manager.warming_clusters": 0}


def answers(envoy: Envoy, expected: str) -> bool:
    return envoy.via("http://reviews/") == (200, expected)


def apply(control: Process, number: int) -> None:
    """One subset under a new name takes the place of the last one, in one step."""
    name, version = f"s{number}", f"v{number % 2 + 1}"
    items = [
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "DestinationRule",
            "metadata": {"name": "reviews"},
            "spec": {"host": "reviews", "subsets": [{"name": name, "labels": {"version": version}}]},
        },
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": "reviews"},
            "spec": {
                "hosts": ["reviews"],
                "http": [{"retries": {"attempts": 0}, "route": [{"destination": {"host": "reviews", "subset": name}}]}],
            },
        },
    ]
    request = urllib.request.Request(
        f"http://127.0.0.1:{control.http}/v1/resources",
        json.dumps({"items": items}).encode(),
        {"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=5) as response:
        assert response.status == 200
