"""http_filters and typed_per_filter_config, whatever the kind."""

from envoy.config.route.v3 import route_components_pb2, route_pb2
from google.protobuf import struct_pb2

from tage.sidecar import plan
from tage.sidecar.translate import route
from tage.sidecar.translate.problem import Problems


def table() -> route_pb2.RouteConfiguration:
    config = route_pb2.RouteConfiguration(name="r")
    host = config.virtual_hosts.add(name="v", domains=["*"])
    rule = host.routes.add()
    rule.match.prefix = "/"
    rule.route.cluster = "c"
    return config


def off(configs, name: str) -> None:
    configs[name].Pack(route_components_pb2.FilterConfig(disabled=True))


def translated(config: route_pb2.RouteConfiguration) -> tuple[plan.Routes, list[str]]:
    problems = Problems()
    return route.translate(config, "", problems), [str(problem) for problem in problems.list()]


def test_a_filter_is_disabled_for_a_table_a_virtual_host_or_a_route():
    for owner in (
        lambda config: config,
        lambda config: config.virtual_hosts[0],
        lambda config: config.virtual_hosts[0].routes[0],
    ):
        config = table()
        off(owner(config).typed_per_filter_config, "f")
        routes, problems = translated(config)
        assert problems == []
        assert routes.virtual_hosts[0].routes[0].filters == {"f": plan.FilterDisabled("f")}


def test_settings_of_an_unknown_kind_are_refused_by_path():
    config = table()
    config.virtual_hosts[0].routes[0].typed_per_filter_config["f"].Pack(struct_pb2.Struct())
    _, problems = translated(config)
    assert len(problems) == 1
    assert 'virtual_hosts[0].routes[0].typed_per_filter_config["f"]' in problems[0]
    assert "google.protobuf.Struct" in problems[0]


def test_a_filter_config_without_a_config_is_refused():
    config = table()
    config.virtual_hosts[0].typed_per_filter_config["f"].Pack(route_components_pb2.FilterConfig())
    _, problems = translated(config)
    assert problems
    assert 'virtual_hosts[0].typed_per_filter_config["f"].config' in problems[0]
