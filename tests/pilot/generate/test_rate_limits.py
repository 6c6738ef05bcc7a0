"""RateLimits: which sidecars have a limit, where it stands, and that a sidecar of ours carries it out."""

from __future__ import annotations

from typing import Any

from envoy.extensions.filters.http.local_ratelimit.v3 import local_rate_limit_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

from tage.pilot.generate import LISTENER, ROUTE, Node, generate
from tests.pilot.samples import plain, routing, snapshot


def limit(spec: str, name: str = "r", namespace: str = "default") -> str:
    return f"""
apiVersion: tage.dev/v1alpha1
kind: RateLimit
metadata: {{name: {name}, namespace: {namespace}}}
spec: {spec}
"""


def node(service: str = "reviews", namespace: str = "default") -> Node:
    return Node(f"sidecar~1~{service}", namespace=namespace, service=service, app_address="127.0.0.1", app_port=80)


def filters(mesh: Any, of: Node) -> dict[str, dict[str, local_rate_limit_pb2.LocalRateLimit]]:
    """The rate limits of a node's listeners, by direction and name."""
    found: dict[str, dict[str, Any]] = {}
    for listener in generate(mesh, of)[LISTENER]:
        manager = hcm_pb2.HttpConnectionManager()
        listener.filter_chains[0].filters[0].typed_config.Unpack(manager)
        limits = found["outbound" if listener.traffic_direction == 2 else "inbound"] = {}
        for each in manager.http_filters:
            config = local_rate_limit_pb2.LocalRateLimit()
            if each.typed_config.Unpack(config):
                limits[each.name] = config
    return found


def of_routes(mesh: Any) -> dict[str, list[str]]:
    """Names of the settings of virtual hosts and routes."""
    (config,) = generate(mesh, node("ratings"))[ROUTE]
    found = {}
    for host in config.virtual_hosts:
        if host.typed_per_filter_config:
            found[host.name] = sorted(host.typed_per_filter_config)
        for route in host.routes:
            if route.typed_per_filter_config:
                found[f"{host.name}/{route.name}"] = sorted(route.typed_per_filter_config)
    return found


def test_an_inbound_limit_is_for_the_services_own_sidecars():
    mesh = snapshot(limit("{host: reviews, requests: 5, per: 1m, burst: 9}"))
    (found,) = filters(mesh, node("reviews"))["inbound"].values()
    assert plain(found)["token_bucket"] == {"max_tokens": 9, "tokens_per_fill": 5, "fill_interval": "60s"}
    assert found.stat_prefix == "default.r"
    assert filters(mesh, node("ratings"))["inbound"] == {}
    assert filters(mesh, node("reviews", "other"))["inbound"] == {}
    assert filters(mesh, node("reviews"))["outbound"] == {}


def test_an_outbound_limit_stands_on_the_virtual_host():
    mesh = snapshot(limit("{host: reviews, direction: outbound, requests: 5}"))
    assert of_routes(mesh) == {"reviews.default.svc.cluster.local:80": ["tage.ratelimit.default.r"]}
    (placeholder,) = filters(mesh, node("ratings"))["outbound"].values()
    assert not placeholder.HasField("filter_enabled")
    assert not placeholder.HasField("token_bucket")


def test_or_on_the_routes_that_it_names():
    rules = "[{name: a, match: [{uri: {prefix: /a}}], route: [{destination: {host: reviews}}]}, "
    rules += "{name: b, route: [{destination: {host: reviews}}]}]"
    mesh = snapshot(routing(rules), limit("{host: reviews, direction: outbound, routes: [b], requests: 5}"))
    assert of_routes(mesh) == {"reviews.default.svc.cluster.local:80/b": ["tage.ratelimit.default.r"]}


def test_descriptors_and_conditions():
    spec = "{host: reviews, headers: {x-a: {exact: b}}, requests: 5, descriptors: [{header: x-user, requests: 2}, "
    spec += "{header: x-user, value: ann, requests: 3, per: 1h}]}"
    (found,) = filters(snapshot(limit(spec)), node())["inbound"].values()
    written = plain(found)
    matched = {"key": "header_match", "value": "matched"}
    assert [each["entries"] for each in written["descriptors"]] == [
        [matched],
        [matched, {"key": "x-user"}],
        [matched, {"key": "x-user", "value": "ann"}],
    ]
    assert len(written["rate_limits"]) == 2
    assert written["token_bucket"]["max_tokens"] == 2**32 - 1


def test_several_limits_hold_together():
    mesh = snapshot(
        limit("{host: reviews, requests: 5}", "a"),
        limit("{host: reviews.default, requests: 6}", "b"),
        limit("{host: reviews, requests: 7}", "c", "other"),
    )
    assert sorted(filters(mesh, node())["inbound"]) == ["tage.ratelimit.default.a", "tage.ratelimit.default.b"]
