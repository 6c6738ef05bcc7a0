"""What the admin API says: the state of one sidecar. Paths and formats are Envoy's where Envoy has them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from tage.dataplane.telemetry import reader
from tage.sidecar import admin_clusters, metrics, plan
from tage.sidecar.admin import Page, Query
from tage.sidecar.explain.apart import Question, QuestionError, explain_apart, header

_JSON = "application/json"


class Sidecar(Protocol):
    """What the pages are made from."""

    @property
    def node(self) -> Mapping[str, Any]: ...

    @property
    def version(self) -> int:
        """Of the plan in force."""

    @property
    def live_workers(self) -> int:
        """Those with the plan in force."""

    @property
    def sections(self) -> Mapping[plan.SectionKey, bytes]:
        """Of the plan in force; none as long as it is a former agent's."""

    @property
    def control(self) -> Mapping[str, Any]:
        """The control plane's address and state; empty for static configuration."""

    @property
    def dns(self) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """By DNS cluster what is known of its names; see `dns.Watch.status`."""


class Pages:
    def __init__(self, sidecar: Sidecar, run_dir: Path) -> None:
        self._sidecar = sidecar
        self._run_dir = run_dir
        self._started = time.monotonic()
        self._explaining = asyncio.Lock()
        self._pages: dict[str, tuple[Callable[[Query], Page | Awaitable[Page]], str]] = {
            "/": (self._help, "this list"),
            "/clusters": (self._clusters, "clusters with their endpoints and names; ?format=json"),
            "/config_dump": (self._config_dump, "the plan in force, by kind of section, and the node"),
            "/explain": (self._explain, "what a request would meet; ?url=, method=, header=NAME: VALUE (repeatable)"),
            "/help": (self._help, "this list"),
            "/ready": (self._ready, "200 when a worker has a plan in force, else 503"),
            "/server_info": (self._server_info, "version, state, uptime"),
            "/stats": (self._stats, "statistics; ?filter=REGEX, ?usedonly, ?format=json or prometheus"),
            "/stats/prometheus": (self._prometheus, "statistics for Prometheus"),
        }

    def __call__(self, path: str, query: Query) -> Page | Awaitable[Page]:
        page = self._pages.get(path)
        if page is None:
            return Page(f"there is nothing at {path}; GET /help lists what there is\n", 404)
        return page[0](query)

    def _help(self, query: Query) -> Page:
        return Page("".join(f"{path}: {what}\n" for path, (_, what) in self._pages.items()))

    @property
    def _state(self) -> str:
        return "LIVE" if self._sidecar.live_workers and self._sidecar.version else "INITIALIZING"

    def _ready(self, query: Query) -> Page:
        return Page(f"{self._state}\n", 200 if self._state == "LIVE" else 503)

    def _server_info(self, query: Query) -> Page:
        uptime = f"{time.monotonic() - self._started:.0f}s"
        return _json(
            {
                "version": f"tage/{_version()}",
                "state": self._state,
                "uptime_current_epoch": uptime,
                "plan_version": self._sidecar.version,
                "live_workers": self._sidecar.live_workers,
                "control_plane": self._sidecar.control,
                "node": self._sidecar.node,
            }
        )

    def _config_dump(self, query: Query) -> Page:
        sections: dict[str, dict[str, Any]] = {kind: {} for kind in plan.KINDS}
        for (kind, name), section in sorted(self._decoded().items()):
            sections[kind][name] = _shown(section)
        return _json(
            {
                "version": self._sidecar.version,
                "node": self._sidecar.node,
                "control_plane": self._sidecar.control,
                "sections": sections,
            }
        )

    async def _explain(self, query: Query) -> Page:
        """One at a time: each is a process."""
        try:
            question = _question(query)
            async with self._explaining:
                found = await explain_apart(self._sidecar.sections, question, self._run_dir)
        except QuestionError as error:
            return Page(f"{error}\n", 400)
        return _json(found)

    # -- clusters ------------------------------------------------------------------------------------------------------

    def _clusters(self, query: Query) -> Page:
        sections = self._decoded()
        dns = self._sidecar.dns
        flags = admin_clusters.flags(self._run_dir, sections.values())
        clusters = []
        for _, section in sorted(sections.items()):
            if isinstance(section, plan.Cluster):
                endpoints = sections.get(("endpoints", section.endpoints))
                clusters.append((section, admin_clusters.members(section, endpoints, flags), dns.get(section.name, ())))
        if query.get("format") == "json":
            return _json({"cluster_statuses": [admin_clusters.as_json(*each) for each in clusters]})
        return Page("".join(line for each in clusters for line in admin_clusters.as_lines(*each)))

    # -- statistics ----------------------------------------------------------------------------------------------------

    def _stats(self, query: Query) -> Page:
        kind = query.get("format", "text")
        if kind == "prometheus":
            return self._prometheus(query)
        if kind not in ("text", "json"):
            return Page(f"format={kind}: give text, json or prometheus\n", 400)
        try:
            wanted = _filter(query.get("filter", ""))
        except ValueError as error:
            return Page(f"filter: {error}\n", 400)
        used_only = "usedonly" in query
        if kind == "json":
            return _json(metrics.stats_json(self._snapshot(), wanted, used_only=used_only))
        return Page(metrics.stats_text(self._snapshot(), wanted, used_only=used_only))

    def _prometheus(self, query: Query) -> Page:
        sections = self._decoded()
        inbound = _inbound_clusters(sections)

        def labels(cluster: str) -> Mapping[str, str]:
            section = sections.get(("cluster", cluster))
            return section.labels if isinstance(section, plan.Cluster) else {}

        def rpc_protocol(cluster: str) -> str:
            section = sections.get(("cluster", cluster))
            spoken = section.x_protocol if isinstance(section, plan.Cluster) else None
            return spoken.protocol if spoken is not None else ""

        workload = metrics.Workload(self._sidecar.node, labels, inbound.__contains__, rpc_protocol)
        return Page(metrics.prometheus(self._snapshot(), workload), content_type=metrics.CONTENT_TYPE)

    def _snapshot(self) -> reader.Snapshot:
        return reader.read(sorted(self._run_dir.glob("stats-*.bin")))

    def _decoded(self) -> dict[plan.SectionKey, plan.Section]:
        return {key: plan.decode(key[0], blob) for key, blob in self._sidecar.sections.items()}


def _question(query: Query) -> Question:
    """Raises `QuestionError`."""
    known = ("url", "method", "header", "source", "listener", "sni", "draw")
    for name in query:
        if name not in known:
            raise QuestionError(f"unknown parameter {name!r}; there are {', '.join(known)}")
    if not query.get("url"):
        raise QuestionError("which request? give url=http://HOST/PATH")
    return Question(
        query["url"],
        query.get("method", "GET"),
        [header(text) for text in query.all("header")],
        query.get("source", ""),
        query.get("listener", ""),
        query.get("sni", ""),
        "draw" in query,
    )


def _shown(section: plan.Section) -> dict[str, Any]:
    """As JSON; a key, and its password, are nobody's business."""
    content: dict[str, Any] = msgspec.to_builtins(section, builtin_types=(bytes,))
    for field, value in content.items():
        if isinstance(value, bytes):
            content[field] = "[redacted]" if field in ("key", "password") else value.decode("ascii", "replace")
    return content


def _json(content: Any) -> Page:
    return Page(msgspec.json.format(msgspec.json.encode(content)).decode() + "\n", content_type=_JSON)


def _version() -> str:
    """Of the installed package."""
    from importlib.metadata import PackageNotFoundError, version  # here: it brings a megabyte that idle agents lack

    try:
        return version("tage")
    except PackageNotFoundError:
        return "not installed"


def _filter(pattern: str) -> Callable[[str], bool]:
    """Raises `ValueError`."""
    if not pattern:
        return lambda name: True
    import re2  # here: as above

    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        raise ValueError(f"'{pattern}' is not a regular expression of RE2") from error
    return lambda name: compiled.search(name) is not None


def _inbound_clusters(sections: Mapping[plan.SectionKey, plan.Section]) -> set[str]:
    """The clusters that inbound listeners lead to."""
    found: set[str] = set()
    for section in sections.values():
        if not isinstance(section, plan.Listener) or section.direction != "inbound":
            continue
        for chain in section.all_chains():
            if chain.tcp is not None:
                found.update(cluster.name for cluster in chain.tcp.clusters)
            routes = sections.get(("routes", chain.http.routes)) if chain.http is not None else None
            if isinstance(routes, plan.Routes):
                found.update(
                    cluster.name for host in routes.virtual_hosts for route in host.routes for cluster in route.clusters
                )
    return found
