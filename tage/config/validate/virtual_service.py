"""VirtualService."""

from __future__ import annotations

from tage.config import names
from tage.config.networking import HTTPRoute, VirtualService
from tage.config.validate.finding import Findings, each, named
from tage.config.validate.http_match import mesh_only
from tage.config.validate.http_route import Role, http_route
from tage.config.validate.values import export_to


def virtual_service(spec: VirtualService) -> Findings:
    for index, host in enumerate(spec.hosts):
        yield from named(("hosts", index), names.host(host, wildcard=True))
        if host in spec.hosts[:index]:
            yield ("hosts", index), f"'{host}' is named twice"
    yield from mesh_only(spec.gateways)
    if not spec.hosts and spec.gateways:
        yield ("gateways",), "has no meaning in a VirtualService without hosts, which only counts where one names it"
    if not spec.http:
        yield ("http",), "must hold at least one route"

    def route(http: HTTPRoute) -> Findings:
        return http_route(http, Role.DELEGATE if not spec.hosts else Role.ROOT if http.delegate else Role.INDEPENDENT)

    yield from each("http", spec.http, route)
    yield from export_to(spec.export_to)
