"""upgrade_configs of the connection manager and of routes -> which protocols a request may switch to."""

from __future__ import annotations

from typing import Any

from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Shape, leaf

OF_MANAGER = Shape(
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.UpgradeConfig",
    ("upgrade_type", "enabled"),
)
OF_ROUTE = Shape(
    "envoy.config.route.v3.RouteAction.UpgradeConfig",
    {
        "upgrade_type": leaf,
        "enabled": leaf,
        # Present: CONNECT ends here.
        "connect_config": Shape("envoy.config.route.v3.RouteAction.UpgradeConfig.ConnectConfig"),
    },
)

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz/")


def translate(configs: Any, path: str, problems: Problems) -> dict[str, bool]:
    """By protocol in lower case, whether it is enabled; of those at `path`."""
    found: dict[str, bool] = {}
    for i, config in enumerate(configs):
        name, at = config.upgrade_type.lower(), f"{path}[{i}].upgrade_type"
        if not name:
            problems.add(at, "is missing")
        elif not _TOKEN.issuperset(name):
            problems.add(at, f"'{config.upgrade_type}' is not a protocol's name")
        elif name in ("h2c", "connect-udp"):
            problems.add(at, f"'{config.upgrade_type}' is not supported")
        elif name in found:
            problems.add(at, f"'{config.upgrade_type}' stands there twice")
        found[name] = not config.HasField("enabled") or config.enabled.value
    return found
