"""What every section is, and what several kinds say alike."""

from __future__ import annotations

from typing import Literal

import msgspec

SectionKey = tuple[str, str]
"""(kind, name); kind is one of `plan.KINDS`."""


class Section(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    name: str


class StringMatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: envoy.type.matcher.v3.StringMatcher; regex is RE2, matched against the whole value. Of paths only:
    separated_prefix, a path or what is below it."""

    kind: Literal["exact", "prefix", "suffix", "contains", "regex", "separated_prefix"]
    value: str
    ignore_case: bool = False


class HeaderMatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: envoy.config.route.v3.HeaderMatcher. `value` None asks only for presence.
    Names are lower case; `:method`, `:authority`, `:path` and `:scheme` are the pseudo-headers."""

    name: str
    value: StringMatch | None = None
    invert: bool = False
    missing_is_empty: bool = False
    """An absent header counts as one without a value (treat_missing_header_as_empty); otherwise it matches nothing,
    inverted or not."""
    range: tuple[int, int] | None = None
    """In place of `value`: a whole number from the first up to, not including, the second."""


class Fraction(msgspec.Struct, frozen=True, omit_defaults=True):
    """So many of so many. Source: envoy.type.v3.FractionalPercent."""

    numerator: int
    denominator: int = 100


class HeaderMutations(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is removed goes first. Names are lower case."""

    add: list[HeaderMutation] = []
    remove: list[str] = []


class Http2(msgspec.Struct, frozen=True, omit_defaults=True):
    """HTTP/2 with clients, or with hosts: bytes, and times in ms.
    Source: envoy.config.core.v3.Http2ProtocolOptions; the defaults are `dataplane.protocols.http2.settings`'."""

    header_table_size: int = 4_096
    """Of HPACK, which the peer may use (hpack_table_size)."""
    max_concurrent_streams: int = 1_024
    """Of a connection: of clients, no more are taken; with hosts, no more are opened, whatever they allow."""
    initial_stream_window: int = 262_144
    initial_connection_window: int = 16_777_216
    keepalive_interval: int = 0
    """A connection on which nothing has come for so long is asked by a PING; 0: never."""
    keepalive_timeout: int = 20_000
    """Without an answer by then the connection is ended."""
    allow_connect: bool = False
    """The extended CONNECT of RFC 8441, for WebSocket and the like."""


class QueryMatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """Source: envoy.config.route.v3.QueryParameterMatcher, which see. `value` None asks only for presence."""

    name: str
    value: StringMatch | None = None
    absent: bool = False


class HeaderMutation(msgspec.Struct, frozen=True, omit_defaults=True):
    """A header that is added or replaced. `value` may have the operators of access logs.
    Source: envoy.config.core.v3.HeaderValueOption."""

    name: str
    value: str = ""
    action: Literal["append", "add_if_absent", "overwrite", "overwrite_or_add"] = "append"
    keep_empty: bool = False
