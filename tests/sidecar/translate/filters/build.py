"""Connection managers with filters, and routes with settings for them, as a control plane sends them."""

from __future__ import annotations

from typing import Any

from tests.sidecar.translate import build

TYPE = "type.googleapis.com/envoy.extensions.filters.http"
AT = "filter_chains[0].filters[0].typed_config.http_filters[0].typed_config"
ON_ROUTE = 'virtual_hosts[0].routes[0].typed_per_filter_config["f"]'


def _listener(config: dict[str, Any]) -> dict[str, Any]:
    return build.manager(http_filters=[{"name": "f", "typed_config": config}, build.ROUTER])


def translate(kind: str, **fields: Any) -> Any:
    """The one filter of the plan's listener; `kind` as fault.v3.HTTPFault."""
    draft = build.translate("listener", _listener({"@type": f"{TYPE}.{kind}", **fields}))
    (found,) = draft.listener.chains[0].http.filters
    return found


def problems(kind: str, **fields: Any) -> dict[str, str]:
    """Messages by path within the filter's typed_config."""
    found = build.problems("listener", _listener({"@type": f"{TYPE}.{kind}", **fields}))
    return {each.path.removeprefix(f"{AT}."): each.message for each in found}
