"""Tage: a service mesh in Python.

``tage.config``      resources (Istio's own and the mesh file), their validation, their stores
``tage.registry``    services and their instances, whatever they come from
``tage.pilot``       config + services -> xDS, served over ADS
``tage.sidecar``     one sidecar: supervisor, agent, plan, workers
``tage.dataplane``   what moves bytes; compiled; see its own docstring for the layers
``tage.cli``         the commands

docs/architecture.md shows a request's way through them.

For filters in Python (docs/guides/python-filters.md): `Filter`, `Action` with `CONTINUE` and `REROUTE`, and for
annotations `Request`, `Response`, `Headers`. They are loaded when they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tage import _pure

if TYPE_CHECKING:
    from tage.dataplane.filters.python.api import Action, Filter
    from tage.dataplane.filters.python.headers import Headers
    from tage.dataplane.filters.python.messages import Request, Response

    CONTINUE = Action.CONTINUE
    REROUTE = Action.REROUTE

__all__ = ["CONTINUE", "REROUTE", "Action", "Filter", "Headers", "Request", "Response"]

_API = {
    "Action": "api",
    "Filter": "api",
    "Headers": "headers",
    "Request": "messages",
    "Response": "messages",
}

if _pure.wanted():
    _pure.install()


def __getattr__(name: str) -> object:
    if name in ("CONTINUE", "REROUTE"):
        value = getattr(__getattr__("Action"), name)
    elif name in _API:
        from importlib import import_module

        value = getattr(import_module(f"tage.dataplane.filters.python.{_API[name]}"), name)
    else:
        raise AttributeError(f"module 'tage' has no attribute {name!r}")
    globals()[name] = value
    return value
