"""The proxies: where each comes from, how it is started on a core, and when it is ready.

A proxy is data (`Proxy`): its configuration is a template under `peers/`, its command a function of where things are.
"""

from __future__ import annotations

import dataclasses
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import Cython

from bench import route_table
from bench.backend import Backend
from bench.build import is_compiled
from bench.processes import Process, find_program, free_port
from bench.templates import PEERS, render, user_directive

ROOT = Path(__file__).resolve().parent.parent
STREAM_MODULES = (
    "/usr/lib/nginx/modules/ngx_stream_module.so",
    "/usr/share/nginx/modules/ngx_stream_module.so",
    "/usr/lib64/nginx/modules/ngx_stream_module.so",
)
CONNECTIONS = 4096
"""That HAProxy and nginx may have in all; the others know no such limit."""
UPSTREAM_CONNECTIONS = 64
"""To each cluster, for every proxy: twice the client connections, so that none ever waits for one."""


@dataclass(frozen=True)
class Place:
    """What a command is made of: one run of one proxy."""

    program: str
    config: Path
    directory: Path
    admin_port: int


@dataclass(frozen=True)
class Proxy:
    name: str
    template: str
    program: Callable[[], str | None]
    """Its path; None where it is not installed."""
    version: Callable[[str], str]
    argv: Callable[[Place], Sequence[str]]
    dynamic_template: str = ""
    """Its configuration under a control plane; empty for a proxy that speaks no xDS."""
    beside: tuple[str, ...] = ()
    """Further templates that its configuration names."""
    values: Callable[[], Mapping[str, object]] = dict
    """What its templates have places for beside the ports and folders of a run."""
    env: Mapping[str, str] = field(default_factory=dict)
    adds: tuple[str, ...] = ("x-request-id", "x-forwarded-for")
    """What it can add to a request."""
    marks: bool = False
    """It has a filter that answers the request's x-user with an x-marked for the backend."""


@dataclass(frozen=True)
class Running:
    """A proxy that was started; `port` is where it takes requests."""

    proxy: Proxy
    process: Process
    port: int
    admin_port: int

    @property
    def name(self) -> str:
        return self.proxy.name

    def accepts(self) -> bool:
        """Whether something listens."""
        with socket.socket() as probe:
            probe.settimeout(1.0)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def start(
    proxy: Proxy,
    backend: Backend,
    directory: Path,
    core: int,
    template: str = "",
    values: Mapping[str, object] | None = None,
    env: dict[str, str] | None = None,
) -> Running:
    """Starts it; it is not yet ready when this returns. `template`: not the proxy's usual one, with more `values`;
    `env`: variables beside the harness's own."""
    program = proxy.program()
    if program is None:
        raise LookupError(proxy.name)
    directory.mkdir()
    port, admin_port = free_port(), free_port()
    places: dict[str, object] = {
        "PORT": port,
        "ADMIN_PORT": admin_port,
        "DIR": directory,
        "USER": user_directive(),
        "CONNECTIONS": CONNECTIONS,
        "UPSTREAM_CONNECTIONS": UPSTREAM_CONNECTIONS,
        "PYTHON_FILTER": "",
        "LUA_FILTER": "",
        **backend.values,
        **proxy.values(),
        **(values or {}),
    }
    for each in proxy.beside:
        render(each, places, directory)
    config = render(template or proxy.template, places, directory)
    argv = proxy.argv(Place(program, config, directory, admin_port))
    return Running(
        proxy, Process(proxy.name, argv, directory / "log", core, {**proxy.env, **(env or {})}), port, admin_port
    )


def version_of(proxy: Proxy) -> str:
    program = proxy.program()
    return proxy.version(program) if program else ""


# -- the proxies -------------------------------------------------------------------------------------------------------


def _first_version(program: str, flag: str) -> str:
    """The first version number in what `program flag` prints."""
    done = subprocess.run([program, flag], capture_output=True, text=True, timeout=20, check=False)
    found = re.search(r"\d+\.\d+[.\d]*", done.stdout + done.stderr)
    return found.group(0) if found else "unknown"


def _envoy() -> str | None:
    local = ROOT / ".tools/bin/envoy"
    return str(local) if os.access(local, os.X_OK) else find_program("envoy")


def _tage_version(_: str) -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def _tage_argv(place: Place) -> list[str]:
    supervisor = [
        place.program,
        "-m",
        "tage.sidecar.supervisor",
        "--run-dir",
        str(place.directory / "run"),
        "--workers",
        "1",
    ]
    agent = [place.program, "-m", "tage.sidecar.agent", "--bootstrap", str(place.config)]
    agent += ["--admin-port", str(place.admin_port), "--run-dir", str(place.directory / "run")]
    return [*supervisor, "--", *agent]


def _envoy_argv(place: Place) -> list[str]:
    argv = [place.program, "-c", str(place.config), "--concurrency", "1"]
    return [*argv, "--disable-hot-restart", "--log-level", "warning"]


TAGE = Proxy("tage", "envoy.yaml", lambda: sys.executable, _tage_version, _tage_argv, "dynamic.yaml")
ENVOY = Proxy(
    "envoy",
    "envoy.yaml",
    _envoy,
    lambda program: _first_version(program, "--version"),
    _envoy_argv,
    "dynamic.yaml",
)
HAPROXY = Proxy(
    "haproxy",
    "haproxy.cfg",
    lambda: find_program("haproxy"),
    lambda program: _first_version(program, "-v"),
    lambda place: [place.program, "-db", "-f", str(place.config)],
)
NGINX = Proxy(
    "nginx",
    "nginx.conf",
    lambda: find_program("nginx"),
    lambda program: _first_version(program, "-v"),
    lambda place: [place.program, "-c", str(place.config)],
)

# -- a large route table -----------------------------------------------------------------------------------------------

TAGE_ROUTES = dataclasses.replace(TAGE, template="envoy-routes.yaml", dynamic_template="", values=route_table.values)
ENVOY_ROUTES = dataclasses.replace(ENVOY, template="envoy-routes.yaml", dynamic_template="", values=route_table.values)
HAPROXY_ROUTES = dataclasses.replace(
    HAPROXY,
    template="haproxy-routes.cfg",
    beside=("haproxy-routes.map", "haproxy-routes-hosts.map"),
    values=route_table.values,
)

# -- a filter ----------------------------------------------------------------------------------------------------------

TAGE_FILTER = dataclasses.replace(
    TAGE,
    name="tage-filter",
    dynamic_template="",
    values=lambda: {"PYTHON_FILTER": True},
    env={"TAGE_FILTERS": str(PEERS)},
    marks=True,
)
ENVOY_FILTER = dataclasses.replace(
    ENVOY, name="envoy-lua", dynamic_template="", values=lambda: {"LUA_FILTER": True}, marks=True
)

# -- HTTP/2 and gRPC ---------------------------------------------------------------------------------------------------


def _mosn() -> str | None:
    local = ROOT / ".tools/bin/mosn"
    return str(local) if os.access(local, os.X_OK) else find_program("mosn")


@cache
def _mosn_version(program: str) -> str:
    """Of the Go module that it was built from: MOSN's own answer is set by its makefile alone."""
    done = subprocess.run(["go", "version", "-m", program], capture_output=True, text=True, timeout=20, check=False)
    found = re.search(r"^\s*(?:mod|dep)\s+mosn\.io/mosn\s+v(\S+)", done.stdout, re.MULTILINE)
    return found.group(1) if found else "unknown"


MOSN = Proxy(
    "mosn",
    "mosn.yaml",
    _mosn,
    _mosn_version,
    lambda place: [place.program, "start", "-c", str(place.config)],
    env={"GOMAXPROCS": "1"},
)

TAGE_HTTP2 = dataclasses.replace(TAGE, template="envoy-http2.yaml", dynamic_template="")
ENVOY_HTTP2 = dataclasses.replace(ENVOY, template="envoy-http2.yaml", dynamic_template="")
HAPROXY_HTTP2 = dataclasses.replace(HAPROXY, template="haproxy-http2.cfg")
NGHTTPX = Proxy(
    "nghttpx",
    "nghttpx.conf",
    lambda: find_program("nghttpx"),
    lambda program: _first_version(program, "--version"),
    lambda place: [place.program, f"--conf={place.config}"],
    adds=("x-forwarded-for",),
)
MOSN_HTTP2 = dataclasses.replace(MOSN, template="mosn-http2.yaml", adds=())

# -- carrying bytes ----------------------------------------------------------------------------------------------------


def _nginx_stream() -> str | None:
    """nginx where it has its stream module, which is a package of its own."""
    return NGINX.program() if any(os.path.exists(path) for path in STREAM_MODULES) else None


def _relay() -> str | None:
    """The Python that can load the compiled relay."""
    return sys.executable if is_compiled("bench.relay") else None


def _relay_argv(place: Place) -> list[str]:
    return [place.program, "-c", "import bench.relay; bench.relay.main()", str(place.config)]


TAGE_TCP = dataclasses.replace(TAGE, template="envoy-tcp.yaml", dynamic_template="")
ENVOY_TCP = dataclasses.replace(ENVOY, template="envoy-tcp.yaml", dynamic_template="")
HAPROXY_TCP = dataclasses.replace(HAPROXY, template="haproxy-tcp.cfg")
NGINX_TCP = dataclasses.replace(NGINX, template="nginx-tcp.conf", program=_nginx_stream)
RELAY = Proxy("relay", "relay.txt", _relay, lambda _: f"Cython {Cython.__version__}", _relay_argv)
