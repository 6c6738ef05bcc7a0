"""The control plane's HTTP API (port 15014): resources, services, and which sidecar is in sync. JSON only.

GET     /healthz/ready                            200 while xDS is served
GET     /v1/resources?kind=&namespace=&name=      {"items": [resource, ..]}
POST    /v1/resources  {"items": [..]}            {"items": [{"kind", "namespace", "name", "result"}, ..]}
DELETE  /v1/resources/{kind}/{namespace}/{name}   200, or 404
GET     /v1/status                                {"sidecars": [..]}
GET     /v1/services                              {"services": [..]}
POST    /v1/preview  {"sidecar", "address",        {"sidecar", "alike", "synced", "warnings",
                      "items"}                     "resources": {type URL: [Any, ..]}}

A preview is what a connected sidecar would be sent if `items` were applied; nothing is. `sidecar` names it, as in
`preview.named`, or `address` does, the IP:PORT of its inbound listener. An Any is serialized, in base64.

A refused body is answered 400 with {"errors": [{"message", "path", "file", "line"}, ..]}, anything else that fails with
{"message"}. Nothing authenticates callers, so besides listening on loopback only the API keeps web pages out: the Host
must be a loopback address or `localhost` (DNS rebinding), and a body must say that it is JSON (which a page of another
origin may not).
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from msgspec.structs import asdict
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tage.config.dump import to_builtins
from tage.config.errors import ConfigError, Problem
from tage.config.load import load_objects
from tage.config.model import KINDS, Resource
from tage.config.store import Store
from tage.pilot.preview import NoSidecar, Preview, instance
from tage.registry.model import Service

log = logging.getLogger(__name__)

MAX_BODY = 16 * 1024 * 1024
"""Bytes of a POST."""

_FILTERS = ("kind", "namespace", "name")


class Control(Protocol):
    """What the API shows of the control plane."""

    @property
    def store(self) -> Store: ...

    @property
    def ready(self) -> bool: ...

    def services(self) -> Sequence[Service]: ...

    def sidecars(self) -> list[dict[str, Any]]: ...

    def preview(self, sidecar: str, address: str, overlay: Sequence[Resource]) -> Preview: ...


def application(control: Control) -> Starlette:
    """The ASGI application."""

    async def ready(request: Request) -> Response:
        if control.ready:
            return _json({"status": "ready"})
        return _json({"message": "the control plane is starting"}, 503)

    async def show(request: Request) -> Response:
        wanted = dict(request.query_params)
        for name in wanted:
            if name not in _FILTERS:
                raise HTTPException(400, f"unknown parameter {name!r}; there are {', '.join(_FILTERS)}")
        kind = wanted.get("kind")
        if kind and kind not in KINDS:
            raise HTTPException(400, f"unknown kind {kind!r}; there are {', '.join(KINDS)}")
        found = (
            resource
            for resource in control.store.list(kind or None)
            if wanted.get("namespace") in (None, "", resource.metadata.namespace)
            and wanted.get("name") in (None, "", resource.metadata.name)
        )
        return _json({"items": [to_builtins(resource) for resource in found]})

    async def apply(request: Request) -> Response:
        resources = load_objects(_items(await _body(request)))
        applied = await control.store.apply(resources)
        return _json(
            {
                "items": [
                    {"kind": kind, "namespace": namespace, "name": name, "result": outcome}
                    for (kind, namespace, name), outcome in applied
                ]
            }
        )

    async def delete(request: Request) -> Response:
        kind, namespace, name = (request.path_params[part] for part in ("kind", "namespace", "name"))
        if not await control.store.delete(kind, namespace, name):
            raise HTTPException(404, f"there is no {kind} {namespace}/{name}")
        return _json({"kind": kind, "namespace": namespace, "name": name, "result": "deleted"})

    async def status(request: Request) -> Response:
        return _json({"sidecars": control.sidecars()})

    async def services(request: Request) -> Response:
        return _json({"services": [_service(service) for service in control.services()]})

    async def show_preview(request: Request) -> Response:
        wanted = _wanted(await _body(request))
        try:
            found = control.preview(wanted.sidecar, wanted.address, load_objects(wanted.items))
        except NoSidecar as error:
            raise HTTPException(404, str(error)) from error
        return _json(_preview(found, control.sidecars()))

    return Starlette(
        routes=[
            Route("/healthz/ready", ready),
            Route("/v1/resources", show, methods=["GET"]),
            Route("/v1/resources", apply, methods=["POST"]),
            Route("/v1/resources/{kind}/{namespace}/{name}", delete, methods=["DELETE"]),
            Route("/v1/status", status),
            Route("/v1/services", services),
            Route("/v1/preview", show_preview, methods=["POST"]),
        ],
        middleware=[Middleware(_LocalHostsOnly)],
        exception_handlers={
            HTTPException: _on_http_exception,
            ConfigError: _on_config_error,
            OSError: _on_os_error,
        },
    )


class _LocalHostsOnly:
    """Refuses requests that name a host which is not this machine."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
            if not _is_local(host):
                refusal = _json({"message": f"host {host!r} is not this machine; use a loopback address"}, 403)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_local(authority: str) -> bool:
    host = authority[1:].partition("]")[0] if authority.startswith("[") else authority.rpartition(":")[0] or authority
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _body(request: Request) -> Any:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "the body must be JSON, with Content-Type: application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, f"the body is larger than {MAX_BODY // 1024 // 1024} MiB; apply in parts")
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise ConfigError(Problem(f"the body is not JSON: {error}")) from error


def _items(body: Any) -> list[Any]:
    if not isinstance(body, dict):
        raise ConfigError(Problem('expected a body {"items": [resource, ..]}'))
    for name in body:
        if name != "items":
            raise ConfigError(Problem("unknown field; the body has only `items`", path=name))
    if not isinstance(body.get("items"), list):
        raise ConfigError(Problem("expected a list of resources", path="items"))
    return body["items"]


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a preview. `address` is that of the sidecar's inbound listener, IP:PORT."""

    sidecar: str = ""
    address: str = ""
    items: list[Any] = []


def _wanted(body: Any) -> _Wanted:
    try:
        return msgspec.convert(body, _Wanted)
    except msgspec.ValidationError as error:
        raise ConfigError(Problem(str(error))) from error


def _preview(found: Preview, sidecars: Sequence[dict[str, Any]]) -> dict[str, Any]:
    states = [state for each in sidecars if each["id"] == found.node.id for state in each["types"].values()]
    return {
        "sidecar": instance(found.node),
        "alike": found.alike,
        "synced": all(state["synced"] for state in states),
        "warnings": found.warnings,
        "resources": found.resources,
    }


def _service(service: Service) -> dict[str, Any]:
    """With the defaults, which msgspec would leave out."""
    return {**asdict(service), "instances": [asdict(instance) for instance in service.instances]}


def _json(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = _json({"message": error.detail}, error.status_code)
    response.headers.update(error.headers or {})
    return response


def _on_config_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ConfigError)
    errors = [{"message": p.message, "path": p.path, "file": p.file, "line": p.line} for p in error.problems]
    return _json({"errors": errors}, 400)


def _on_os_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, OSError)
    log.error("%s %s: the store failed: %s", request.method, request.url.path, error)
    return _json({"message": f"the store failed: {error.strerror or error}; nothing was changed"}, 500)
