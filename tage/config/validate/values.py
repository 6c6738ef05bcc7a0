"""Checks of single values: durations, percentages, numbers, patterns, names, destinations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import re2

from tage.config import names
from tage.config.document import Path
from tage.config.duration import parse_duration_ms
from tage.config.model import Metadata
from tage.config.networking import ANY, Destination, Percent, StringMatch
from tage.config.validate.finding import INT32_MAX, Findings, at_most_one, named, nested

_MAX_PATTERN = 1024
"""Characters. Istio's limit."""

OPERATORS = frozenset({
    "BYTES_RECEIVED", "BYTES_SENT", "CONNECTION_ID", "DOWNSTREAM_DIRECT_REMOTE_ADDRESS",
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT", "DOWNSTREAM_DIRECT_REMOTE_PORT", "DOWNSTREAM_LOCAL_ADDRESS",
    "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", "DOWNSTREAM_LOCAL_PORT", "DOWNSTREAM_PEER_DNS_SAN",
    "DOWNSTREAM_PEER_FINGERPRINT_256", "DOWNSTREAM_PEER_ISSUER", "DOWNSTREAM_PEER_SUBJECT", "DOWNSTREAM_PEER_URI_SAN",
    "DOWNSTREAM_REMOTE_ADDRESS", "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "DOWNSTREAM_REMOTE_PORT",
    "DOWNSTREAM_TLS_CIPHER", "DOWNSTREAM_TLS_VERSION", "DURATION", "HOSTNAME", "PROTOCOL", "REQ",
    "REQUESTED_SERVER_NAME", "RESP", "RESPONSE_CODE", "RESPONSE_CODE_DETAILS", "RESPONSE_FLAGS", "ROUTE_NAME",
    "START_TIME", "UPSTREAM_CLUSTER", "UPSTREAM_HOST", "UPSTREAM_LOCAL_ADDRESS",
    "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", "UPSTREAM_LOCAL_PORT", "UPSTREAM_REMOTE_ADDRESS",
    "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "UPSTREAM_REMOTE_PORT", "UPSTREAM_REQUEST_ATTEMPT_COUNT",
    "UPSTREAM_TRANSPORT_FAILURE_REASON",
})  # fmt: skip
"""What may stand between per cent signs in a header's value: Envoy refuses a configuration with any other."""

_OPERATOR = re.compile(r"%(?:%|([A-Z][A-Z0-9_]*)(?:\([^%]*\))?(?::[0-9]{1,9})?%)")
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]")


def metadata(value: Metadata) -> Findings:
    yield from named(("name",), names.dns_subdomain(value.name))
    yield from named(("namespace",), names.dns_label(value.namespace))
    yield from nested("labels", labels(value.labels))


def labels(values: Mapping[str, str]) -> Findings:
    """Kubernetes' rules for labels."""
    for key, value in values.items():
        yield from named((key,), names.label_key(key) or names.label_value(value))


def export_to(namespaces: Sequence[str], own: str = "") -> Findings:
    """`own`: why only its own namespace will do, if so."""
    for index, namespace in enumerate(namespaces):
        if namespace not in (".", "*"):
            yield from named(("exportTo", index), names.dns_label(namespace))
        if namespace in namespaces[:index]:
            yield ("exportTo", index), f"'{namespace}' is named twice"
    if "*" in namespaces and len(namespaces) > 1:
        yield ("exportTo",), "'*' is every namespace; take out the others, or it"
    if own and any(namespace != "." for namespace in namespaces):
        yield ("exportTo",), f"{own}; write ['.'] or nothing"


def duration(field: str, text: str, shortest: int = 0) -> Findings:
    """`shortest` in milliseconds."""
    if not text:
        return
    try:
        milliseconds = parse_duration_ms(text)
    except ValueError as error:
        yield (field,), str(error)
        return
    if milliseconds < shortest:
        yield (field,), f"'{text}' is too short; at least {shortest}ms"


def percent(value: Percent) -> Findings:
    if not 0 <= value.value <= 100:
        yield ("value",), f"{value.value:g} is not possible; it must be between 0 and 100"
    elif 0 < value.value < 0.0001:
        yield ("value",), f"{value.value:g} is too small; the smallest step is 0.0001"


def within(field: str, value: int | float | None, lowest: int, highest: int = INT32_MAX) -> Findings:
    if value is not None and not lowest <= value <= highest:
        limits = f"between {lowest} and {highest}" if highest < INT32_MAX else f"at least {lowest}"
        yield (field,), f"{value:g} is not possible; it must be {limits}"


def status(field: str, value: int) -> Findings:
    yield from within(field, value, 200, 599)


def string_match(match: StringMatch, of_uri: bool = False, may_be_empty: bool = False) -> Findings:
    """`may_be_empty`: no condition at all is one as well, as is the regex `*`. `of_uri`: so is an empty prefix."""
    given = [name for name in ("exact", "prefix", "regex") if getattr(match, name) is not None]
    yield from at_most_one((), given)
    if not given and not may_be_empty:
        yield (), "needs one of exact, prefix, regex"
    for name, text in (("prefix", match.prefix), ("regex", match.regex)):
        if text == "" and not (name == "prefix" and of_uri):
            yield (name,), "must not be empty"
    if match.regex and not (may_be_empty and match.regex == ANY):
        yield from pattern(("regex",), match.regex)


def pattern(path: Path, text: str) -> Findings:
    if len(text) > _MAX_PATTERN:
        yield path, f"is longer than {_MAX_PATTERN} characters"
        return
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0] if error.args else "invalid"
        reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        yield path, f"not a regular expression that RE2 takes: {reason}"


def destination(value: Destination) -> Findings:
    yield from named(("host",), names.host(value.host))
    if value.subset:
        yield from named(("subset",), names.dns_label(value.subset))
    if value.port is not None:
        yield from named(("port", "number"), names.port(value.port.number))


def header_value(path: Path, text: str) -> Findings:
    """Of a header that is set or added: Envoy's operators (%NAME%, %NAME(...)%) may stand in it."""
    if _CONTROL.search(text):
        yield path, "holds a control character"
    at = 0
    while (at := text.find("%", at)) >= 0:
        found = _OPERATOR.match(text, at)
        if found is None:
            yield path, f"at position {at}: no operator; write %NAME% or %NAME(...)%, and %% for a %"
            return
        if found[1] is not None and found[1] not in OPERATORS:
            yield path, f"at position {at}: %{found[1]}% is not carried out by Tage yet; take it out"
        at = found.end()
