"""What the specs of networking.istio.io share."""

from __future__ import annotations

import msgspec


class Spec(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True):
    """Base of all specs: camelCase in files, unknown fields refused."""


ANY = "*"
"""As a regex of headers and query parameters: that they are there."""


class StringMatch(Spec, frozen=True):
    """Exactly one is set. `regex` is RE2, matched against the whole value."""

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None


class PortSelector(Spec, frozen=True):
    number: int


class Destination(Spec, frozen=True):
    host: str
    subset: str = ""
    port: PortSelector | None = None


class Percent(Spec, frozen=True):
    """0 to 100, in steps of a ten-thousandth."""

    value: float = 0.0
