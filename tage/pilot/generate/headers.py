"""`headers` of a rule or destination -> header mutations. A request's host is no header to Envoy but a rewrite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from envoy.config.core.v3 import base_pb2
from google.protobuf.internal.containers import RepeatedCompositeFieldContainer, RepeatedScalarFieldContainer

from tage.config.networking import AUTHORITY, HeaderOperations, Headers

HeaderValueOption = base_pb2.HeaderValueOption


class Target(Protocol):
    """A route, or a cluster of a weighted route."""

    request_headers_to_add: RepeatedCompositeFieldContainer[base_pb2.HeaderValueOption]
    request_headers_to_remove: RepeatedScalarFieldContainer[str]
    response_headers_to_add: RepeatedCompositeFieldContainer[base_pb2.HeaderValueOption]
    response_headers_to_remove: RepeatedScalarFieldContainer[str]


def apply(headers: Headers | None, target: Target) -> str:
    """Adds the mutations. Returns the host that a request is to have, or empty."""
    if headers is None:
        return ""
    request, response = headers.request or HeaderOperations(), headers.response or HeaderOperations()
    target.request_headers_to_add.extend(_added(request))
    target.request_headers_to_remove.extend(request.remove)
    target.response_headers_to_add.extend(_added(response))
    target.response_headers_to_remove.extend(response.remove)
    return _authority(request.set) or _authority(request.add)


def _added(operations: HeaderOperations) -> Iterator[base_pb2.HeaderValueOption]:
    for values, action in (
        (operations.set, HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD),
        (operations.add, HeaderValueOption.APPEND_IF_EXISTS_OR_ADD),
    ):
        for name, value in sorted(values.items()):
            if not _is_authority(name):
                yield HeaderValueOption(header=base_pb2.HeaderValue(key=name, value=value), append_action=action)


def _authority(values: Mapping[str, str]) -> str:
    return next((value for name, value in sorted(values.items()) if _is_authority(name)), "")


def _is_authority(name: str) -> bool:
    return name.lower() in AUTHORITY
