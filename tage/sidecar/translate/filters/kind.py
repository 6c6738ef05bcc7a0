"""What a kind of filter is to the translation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf.message import Message

from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Shape


class Place(NamedTuple):
    """Where a filter or its settings stand."""

    name: str
    """The filter's."""
    scope: str
    """What they hold for: a filter chain, a route configuration, a virtual host, a route."""


Translate = Callable[[Any, Place, str, Problems], Any]
"""(message, place, path, problems) -> one of `plan.AnyFilter`, or of `plan.AnyFilterSettings`."""


class FilterKind(NamedTuple):
    message: type[Message]
    """In http_filters."""
    shape: Shape
    translate: Translate
    route_message: type[Message]
    """In typed_per_filter_config."""
    route_shape: Shape
    translate_route: Translate
