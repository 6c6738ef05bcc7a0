"""Leaves that several resources share: durations, addresses, patterns. Each adds problems, returns a placeholder."""

from __future__ import annotations

import ipaddress
import math
import re
from functools import lru_cache

from envoy.config.core.v3 import address_pb2, config_source_pb2
from envoy.type.matcher.v3 import regex_pb2
from envoy.type.v3 import percent_pb2
from google.protobuf import duration_pb2
from google.protobuf.message import Message

from tage.dataplane.routing.regex import RegexRewrite
from tage.sidecar import plan
from tage.sidecar.translate.draft import FETCH_TIMEOUT, Source
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Only, Shape, leaf

HEADER_VALUE = re.compile(r"[\t -~\x80-\xff]*")
"""What may stand in a header, as Latin-1."""
MAX_TIMEOUT = 10 * 365 * 86_400_000
"""Ten years in ms: longer ones are a mistake, and would not fit a timer."""

REGEX = Shape(
    "envoy.type.matcher.v3.RegexMatcher",
    {"regex": leaf},
    harmless={
        "google_re2": "RE2 is the only engine, and the message's one field, a program size, is deprecated and unused"
    },
)
_DENOMINATORS = {
    percent_pb2.FractionalPercent.TEN_THOUSAND: 10_000,
    percent_pb2.FractionalPercent.MILLION: 1_000_000,
}
FRACTION = Shape(
    "envoy.config.core.v3.RuntimeFractionalPercent",
    {"default_value": Shape("envoy.type.v3.FractionalPercent", ("numerator", "denominator"))},
    harmless={"runtime_key": "names a runtime key that overrides the value; there is no runtime to set it in"},
)
SOCKET_ADDRESS = Shape(
    "envoy.config.core.v3.SocketAddress",
    {"protocol": Only("TCP"), "address": leaf, "port_value": leaf},
)
ADDRESS = Shape("envoy.config.core.v3.Address", {"socket_address": SOCKET_ADDRESS})

ADS = Shape(
    "envoy.config.core.v3.ConfigSource",
    {
        "ads": Shape("envoy.config.core.v3.AggregatedConfigSource"),
        "resource_api_version": Only("V3"),
        "initial_fetch_timeout": leaf,
    },
)


def milliseconds(value: duration_pb2.Duration, path: str, problems: Problems, *, zero: bool = True) -> int:
    """Rounded up, so that a short timeout does not become 0, which means none. `zero` tells whether 0 may stand."""
    result = value.seconds * 1000 + math.ceil(value.nanos / 1_000_000)
    if value.seconds < 0 or value.nanos < 0:
        problems.add(path, "a duration must not be negative")
        return 0
    if result > MAX_TIMEOUT:
        problems.add(path, "longer than ten years")
        return 0
    if not result and not zero:
        problems.add(path, "must be greater than zero")
    return result


def optional_milliseconds(message: Message, field: str, default: int, path: str, problems: Problems) -> int:
    """As `milliseconds`, of the field of the message at `path`; `default` where it is not set."""
    if not message.HasField(field):
        return default
    return milliseconds(getattr(message, field), f"{path}.{field}", problems)


def socket_address(
    address: address_pb2.Address, path: str, problems: Problems, *, names: bool = False, default_port: int = 0
) -> tuple[str, int]:
    """Host and port. Without `names` the host must be an IP address. `default_port` stands for port 0."""
    if not address.HasField("socket_address"):
        if address.WhichOneof("address") is None:
            problems.add(path, "socket_address is missing")
        return "", 0
    found = address.socket_address
    host = found.address
    if not host:
        problems.add(f"{path}.socket_address.address", "is missing")
    elif not names and not is_ip(host):
        problems.add(f"{path}.socket_address.address", f"'{host}' is not an IP address")
    port = found.port_value or default_port
    if not 0 < port < 65_536:
        problems.add(f"{path}.socket_address.port_value", "must be a port from 1 to 65535")
    return host, port


def is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def ads_source(source: config_source_pb2.ConfigSource, name: str, path: str, problems: Problems) -> Source:
    """A resource by that name over ADS. The walker has refused every other kind of source; here only a missing one."""
    if source.WhichOneof("config_source_specifier") is None:
        problems.add(path, "must be {ads: {}, resource_api_version: V3}")
    timeout = FETCH_TIMEOUT
    if source.HasField("initial_fetch_timeout"):
        timeout = milliseconds(source.initial_fetch_timeout, f"{path}.initial_fetch_timeout", problems)
    return Source(name, timeout)


def pattern(regex: regex_pb2.RegexMatcher, path: str, problems: Problems) -> str:
    """An RE2 pattern that compiles."""
    error = _pattern_error(regex.regex)
    if error:
        problems.add(f"{path}.regex", f"'{regex.regex}' is not a regular expression of RE2: {error}")
    return regex.regex


REWRITE = Shape("envoy.type.matcher.v3.RegexMatchAndSubstitute", {"pattern": REGEX, "substitution": leaf})


def rewrite(message: regex_pb2.RegexMatchAndSubstitute, path: str, problems: Problems) -> plan.RegexRewrite:
    """A pattern that compiles, and a substitution that fits it and can stand in a head."""
    regex = pattern(message.pattern, f"{path}.pattern", problems)
    header_value(message.substitution, f"{path}.substitution", problems)
    if not _pattern_error(regex):
        try:
            RegexRewrite(regex.encode(), message.substitution.encode())
        except ValueError as error:
            problems.add(f"{path}.substitution", str(error))
    return plan.RegexRewrite(regex, message.substitution)


def header_value(text: str, path: str, problems: Problems) -> str:
    """What becomes part of a head: without control characters."""
    if any(ord(c) < 32 or ord(c) == 127 for c in text):
        problems.add(path, "must not contain control characters")
    return text


def fraction(message: percent_pb2.FractionalPercent) -> plan.Fraction:
    return plan.Fraction(message.numerator, _DENOMINATORS.get(message.denominator, 100))


@lru_cache(maxsize=256)
def _pattern_error(regex: str) -> str:
    import re2  # here: an agent whose routes have no pattern does not pay for the library

    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(regex, options)
    except re2.error as error:
        reason = error.args[0] if error.args else "invalid"
        return reason.decode() if isinstance(reason, bytes) else str(reason)
    return "" if regex else "it is empty"
