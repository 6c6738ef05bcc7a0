"""The workers' statistics as Prometheus text: Istio's standard metrics, and Envoy's names for the rest.

``istio_requests_total`` and ``istio_request_duration_milliseconds`` come from the clusters: every request that was
given to one is counted there by exact status and response flags, calls of gRPC also by their gRPC status. Requests that
no route took are in ``envoy_listener_no_route``. The duration has no status among its labels: a worker keeps one
histogram a cluster, and one of its calls of gRPC.
Of clusters with an RPC protocol both come from the statistics by method, with ``rpc_service`` and ``rpc_method`` beside
Istio's labels, the latter two empty where they are not read; more than a thousand methods are counted as ``other``.
``istio_tcp_*`` come from the clusters that a TCP proxy relays to; as Istio has it, what is sent goes to the client.

The text format: prometheus.io/docs/instrumenting/exposition_formats.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tage.dataplane.telemetry.layout import parted_method
from tage.dataplane.telemetry.reader import Histogram, Snapshot, StatKey

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

BOUNDS_MS = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000)
"""Upper bounds of the buckets, ms: Envoy's, up to ten minutes."""
_BOUNDS_US = [bound * 1000 for bound in BOUNDS_MS]

_CODE = re.compile(r"upstream_rq_(?:code_(?P<code>\d+)|grpc_(?P<grpc_code>\d+)_(?P<grpc>\d+))_(?P<flags>.+)")
"""The names that `StatGroup.count_code` and `count_grpc` make."""
_CLASS = re.compile(r"(?P<name>.*rq)_(?P<class>\d)xx")
_TCP = {
    "tcp_cx_opened": "istio_tcp_connections_opened_total",
    "tcp_cx_closed": "istio_tcp_connections_closed_total",
    "tcp_cx_tx_bytes_total": "istio_tcp_sent_bytes_total",
    "tcp_cx_rx_bytes_total": "istio_tcp_received_bytes_total",
}
_INVALID = re.compile(r"[^a-zA-Z0-9_:]")

_OWNER_LABELS = {
    "cluster": "envoy_cluster_name",
    "listener": "envoy_listener_name",
    "route": "envoy_route",
    "http": "envoy_http_conn_manager_prefix",
    "python_filter": "filter",
    "x_protocol": "protocol",
    "": "envoy_local_http_ratelimit_prefix",
}

Labels = Mapping[str, str]


class Exposition:
    """Samples, gathered by metric, for the format wants all of one together, and each set of labels once: values with
    the same labels (subsets of one service, for example) are added up."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[str, dict[str, int]]] = {}
        self._histograms: dict[str, dict[str, tuple[Labels, Histogram]]] = {}

    def counter(self, name: str, labels: Labels, value: int) -> None:
        self._add(name, "counter", labels, value)

    def gauge(self, name: str, labels: Labels, value: int) -> None:
        self._add(name, "gauge", labels, value)

    def _add(self, name: str, kind: str, labels: Labels, value: int) -> None:
        samples = self._values.setdefault(name, (kind, {}))[1]
        key = _labels(labels)
        samples[key] = samples.get(key, 0) + value

    def histogram(self, name: str, labels: Labels, values: Histogram) -> None:
        """In ms."""
        samples = self._histograms.setdefault(name, {})
        key = _labels(labels)
        samples[key] = labels, samples[key][1] + values if key in samples else values

    def text(self) -> str:
        blocks = {
            name: [f"# TYPE {name} {kind}", *(f"{name}{labels} {value}" for labels, value in samples.items())]
            for name, (kind, samples) in self._values.items()
        }
        for name, histograms in self._histograms.items():
            blocks[name] = [f"# TYPE {name} histogram"]
            for labels, histogram in histograms.values():
                blocks[name] += _histogram_lines(name, labels, histogram)
        return "".join(f"{line}\n" for _, lines in sorted(blocks.items()) for line in lines)


def _histogram_lines(name: str, labels: Labels, values: Histogram) -> list[str]:
    count = values.count
    lines = [
        f"{name}_bucket{_labels({**labels, 'le': f'{bound:g}'})} {below}"
        for bound, below in zip(BOUNDS_MS, values.cumulative(_BOUNDS_US), strict=True)
    ]
    lines.append(f"{name}_bucket{_labels({**labels, 'le': '+Inf'})} {count}")
    lines.append(f"{name}_sum{_labels(labels)} {values.sum_us / 1000:g}")
    lines.append(f"{name}_count{_labels(labels)} {count}")
    return lines


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class Workload:
    """Who this sidecar stands beside, in Istio's labels, and which clusters are its own application."""

    def __init__(
        self,
        node: Mapping[str, Any],
        cluster_labels: Callable[[str], Labels],
        is_inbound: Callable[[str], bool],
        rpc_protocol: Callable[[str], str] = lambda cluster: "",
    ) -> None:
        """`node` is the xDS node as JSON; `cluster_labels` gives the labels of `plan.Cluster`; `is_inbound` tells
        whether an inbound listener leads to a cluster; `rpc_protocol` the RPC protocol of its hosts, empty: HTTP."""
        metadata = node.get("metadata", {})
        labels = metadata.get("LABELS", {})
        service = metadata.get("SERVICE") or str(node.get("cluster", "")).partition(".")[0]
        self._name = service or "unknown"
        self._namespace = metadata.get("NAMESPACE") or "unknown"
        self._app = labels.get("app") or self._name
        self._version = labels.get("version") or "unknown"
        self._cluster_labels = cluster_labels
        self._is_inbound = is_inbound
        self.rpc_protocol = rpc_protocol

    def labels(self, cluster: str) -> dict[str, str]:
        """Istio's labels of a request that was given to `cluster`, but for its outcome."""
        inbound = self._is_inbound(cluster)
        destination = self._cluster_labels(cluster)
        own = {
            "workload": self._name,
            "workload_namespace": self._namespace,
            "app": self._app,
            "version": self._version,
        }
        other = dict.fromkeys(own, "unknown")
        if not inbound and destination.get("destination_version"):
            other["version"] = destination["destination_version"]
        source, target = (other, own) if inbound else (own, other)
        return {
            "reporter": "destination" if inbound else "source",
            **{f"source_{name}": value for name, value in source.items()},
            **{f"destination_{name}": value for name, value in target.items()},
            **{
                name: destination.get(name) or "unknown"
                for name in ("destination_service", "destination_service_name", "destination_service_namespace")
            },
            "request_protocol": self.rpc_protocol(cluster) or "http",
            "connection_security_policy": "none" if inbound else "unknown",
        }

    def method_labels(self, owner: str) -> dict[str, str]:
        """Of a request that the statistics by method have."""
        cluster, service, method = parted_method(owner)
        return {**self.labels(cluster), "rpc_service": service, "rpc_method": method}


def prometheus(snapshot: Snapshot, workload: Workload) -> str:
    exposition = Exposition()
    by_code: dict[tuple[str, str], int] = {}
    for (scope, owner, name), value in snapshot.counters.items():
        if scope == "method":
            if code := _CODE.fullmatch(name):
                _count_requests(exposition, workload.method_labels(owner), code, value)
            continue
        if scope == "cluster" and (code := _CODE.fullmatch(name)):
            if not workload.rpc_protocol(owner):
                _count_requests(exposition, workload.labels(owner), code, value)
            key = (owner, code["code"] or code["grpc_code"])
            by_code[key] = by_code.get(key, 0) + value
            continue
        if scope == "cluster" and name in _TCP:
            exposition.counter(_TCP[name], {**workload.labels(owner), "request_protocol": "tcp"}, value)
            continue
        labels = _owner(scope, owner)
        if found := _CLASS.fullmatch(name):
            name, labels = f"{found['name']}_xx", {"envoy_response_code_class": found["class"], **labels}
        exposition.counter(_name(scope, name), labels, value)
    for (owner, code_text), value in by_code.items():
        labels = {"envoy_response_code": code_text, **_owner("cluster", owner)}
        exposition.counter("envoy_cluster_upstream_rq", labels, value)
    for (scope, owner, name), value in snapshot.gauges.items():
        exposition.gauge(_name(scope, name), _owner(scope, owner), value)
    for (scope, owner, name), histogram in snapshot.histograms.items():
        if scope == "method":
            exposition.histogram("istio_request_duration_milliseconds", workload.method_labels(owner), histogram)
            continue
        exposition.histogram(_name(scope, name), _owner(scope, owner), histogram)
        if (scope, name) == ("cluster", "upstream_rq_time") and not workload.rpc_protocol(owner):
            calls = snapshot.histograms.get((scope, owner, "upstream_grpc_time"))
            _put_durations(exposition, workload.labels(owner), histogram, calls)
    return exposition.text()


def _count_requests(exposition: Exposition, labels: Labels, code: re.Match[str], value: int) -> None:
    labels = {**labels, "response_code": code["code"] or code["grpc_code"], "response_flags": code["flags"]}
    if code["grpc"]:
        labels |= {"request_protocol": "grpc", "grpc_response_status": code["grpc"]}
    exposition.counter("istio_requests_total", labels, value)


def _put_durations(exposition: Exposition, labels: Labels, requests: Histogram, calls: Histogram | None) -> None:
    """`calls` are those of `requests` that were calls of gRPC."""
    name = "istio_request_duration_milliseconds"
    if calls is not None and calls.count:
        exposition.histogram(name, {**labels, "request_protocol": "grpc"}, calls)
        # One that is counted while the two are read may be in the second alone.
        others = [max(0, total - part) for total, part in zip(requests.counts, calls.counts, strict=True)]
        requests = Histogram(others, max(0, requests.sum_us - calls.sum_us))
        if not requests.count:
            return
    exposition.histogram(name, labels, requests)


def _name(scope: str, name: str) -> str:
    return _INVALID.sub("_", "_".join(part for part in ("envoy", scope, name) if part))


def _owner(scope: str, owner: str) -> dict[str, str]:
    return {_OWNER_LABELS.get(scope, "owner"): owner} if owner else {}


# -- Envoy's own text and JSON -----------------------------------------------------------------------------------------

_QUANTILES = (0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 1)


def stat_name(key: StatKey) -> str:
    """As Envoy's ``cluster.NAME.upstream_rq_total``."""
    return ".".join(part for part in key if part)


def stats_text(snapshot: Snapshot, wanted: Callable[[str], bool], *, used_only: bool = False) -> str:
    """Counters and gauges by name, then histograms as quantiles in ms."""
    lines = [f"{name}: {value}\n" for name, value in _values(snapshot, wanted, used_only)]
    for name, histogram in _histograms(snapshot, wanted):
        if histogram.count:
            values = " ".join(f"P{100 * q:g}({value:g})" for q, value in zip(_QUANTILES, _ms(histogram), strict=True))
            lines.append(f"{name}: {values}\n")
        elif not used_only:
            lines.append(f"{name}: No recorded values\n")
    return "".join(lines)


def stats_json(snapshot: Snapshot, wanted: Callable[[str], bool], *, used_only: bool = False) -> dict[str, Any]:
    stats: list[dict[str, Any]] = [
        {"name": name, "value": value} for name, value in _values(snapshot, wanted, used_only)
    ]
    computed = [
        {"name": name, "values": [{"cumulative": value} for value in _ms(histogram)]}
        for name, histogram in _histograms(snapshot, wanted)
        if histogram.count or not used_only
    ]
    if computed:
        quantiles = [100 * q for q in _QUANTILES]
        stats.append({"histograms": {"supported_quantiles": quantiles, "computed_quantiles": computed}})
    return {"stats": stats}


def _values(snapshot: Snapshot, wanted: Callable[[str], bool], used_only: bool) -> list[tuple[str, int]]:
    named = (
        (stat_name(key), value) for values in (snapshot.counters, snapshot.gauges) for key, value in values.items()
    )
    return sorted((name, value) for name, value in named if wanted(name) and (value or not used_only))


def _histograms(snapshot: Snapshot, wanted: Callable[[str], bool]) -> list[tuple[str, Histogram]]:
    named = [(stat_name(key), histogram) for key, histogram in snapshot.histograms.items()]
    return sorted(((name, histogram) for name, histogram in named if wanted(name)), key=lambda entry: entry[0])


def _ms(histogram: Histogram) -> Sequence[float]:
    return [round(histogram.quantile(q) / 1000, 3) for q in _QUANTILES]
