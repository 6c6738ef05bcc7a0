"""Envoy's format operators: what stands between two per cent signs, and what it reads off a `Record`.

``%NAME%``, ``%NAME(argument)%``, ``%NAME(argument):limit%``. `parse` cuts a text into literals and operators once;
an operator's `value` is then asked once a record: an int or text where there is one, bytes where it came from a peer
(nobody knows what is in them), None where there is none.

Source: envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage. Operators for what Tage does not
have are refused, not printed as "-", for who wrote one counts on it.
"""

import difflib
import hashlib
import re
import socket

import cython

from tage.dataplane.telemetry.access_log.start_time import TimeFormat

_OPERATOR = re.compile(r"%(?P<name>[A-Z][A-Z0-9_]*)(?:\((?P<argument>.*?)\))?(?::(?P<limit>[0-9]{1,9}))?%")

REQUEST, RESPONSE, TRAILERS = range(3)

FLAGS_LONG = {
    "DC": "DownstreamConnectionTermination",
    "DPE": "DownstreamProtocolError",
    "DT": "DurationTimeout",
    "NC": "NoClusterFound",
    "NR": "NoRouteFound",
    "SI": "StreamIdleTimeout",
    "UC": "UpstreamConnectionTermination",
    "UF": "UpstreamConnectionFailure",
    "UH": "NoHealthyUpstream",
    "UO": "UpstreamOverflow",
    "UPE": "UpstreamProtocolError",
    "UR": "UpstreamRemoteReset",
    "URX": "UpstreamRetryLimitExceeded",
    "UT": "UpstreamRequestTimeout",
}


GRPC_NAMES = (
    "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied",
    "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable",
    "DataLoss", "Unauthenticated",
)  # fmt: skip
"""By status. In capitals with underscores they are gRPC's own, but for one letter."""
_GRPC_FORMS = {
    "CAMEL_STRING": GRPC_NAMES,
    "SNAKE_STRING": ("OK", "CANCELLED", *(re.sub("(?<=.)(?=[A-Z])", "_", name).upper() for name in GRPC_NAMES[2:])),
    "NUMBER": (),
}


class Operator:
    def value(self, record):
        raise NotImplementedError


class Attribute(Operator):
    """An attribute as it is."""

    def __init__(self, name: str) -> None:
        self._name = name

    def value(self, record):
        return getattr(record, self._name)


class Milliseconds(Operator):
    """A time of the record, whole milliseconds."""

    def __init__(self, name: str) -> None:
        self._name = name

    def value(self, record):
        us = getattr(record, self._name)
        return us // 1000 if us >= 0 else None


class Address(Operator):
    """`part`: 0 address and port, 1 address, 2 port."""

    def __init__(self, name: str, part: int = 0) -> None:
        self._name = name
        self._part = part

    def value(self, record):
        address = getattr(record, self._name)
        if address is None:
            return None
        if self._part:
            return address[self._part - 1]
        host = address[0]
        return f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"


class Header(Operator):
    """``X?Y``: header X, or Y where there is no X; at most `limit` bytes of it (0: all). `of`: REQUEST, RESPONSE or
    TRAILERS."""

    def __init__(self, names: str, limit: int, of: int = REQUEST, without_query: bool = False) -> None:
        name, _, alternative = names.partition("?")
        self._name = name.lower().encode()
        self._alternative = alternative.lower().encode()
        if not self._name:
            raise ValueError("needs a header's name in parentheses")
        self._limit = limit
        self._of = of
        self._without_query = without_query

    def value(self, record):
        found: bytes = self._found(record, self._name)
        if found is None and self._alternative:
            found = self._found(record, self._alternative)
        if found is None:
            return None
        if self._without_query:
            found = found.partition(b"?")[0]
        return found[: self._limit] if self._limit else found

    def _found(self, record, name):
        if self._of == REQUEST:
            return record.request_header(name)
        return record.response_header(name) if self._of == RESPONSE else record.response_trailer(name)


class StartTime(Operator):
    """The last text is kept: under load most requests start in the same millisecond as the one before."""

    def __init__(self, text: str) -> None:
        self._format = TimeFormat(text)
        self._unit = self._format.unit
        self._last = -1
        self._text = ""

    def value(self, record):
        at: cython.longlong = record.started // self._unit
        if at != self._last:
            self._text = self._format.format(record.started)
            self._last = at
        return self._text


class Constant(Operator):
    """The same for all records."""

    def __init__(self, value: object) -> None:
        self._value = value

    def value(self, record):
        return self._value


class LongFlags(Operator):
    def value(self, record):
        return ",".join([FLAGS_LONG.get(flag, flag) for flag in record.flags.split(",")])


class Count(Operator):
    """An attribute, None where it is negative."""

    def __init__(self, name: str) -> None:
        self._name = name

    def value(self, record):
        count = getattr(record, self._name)
        return count if count >= 0 else None


class GrpcStatus(Operator):
    """Of a call of gRPC; one that gRPC has no name for appears as its number."""

    def __init__(self, form: str) -> None:
        if form not in _GRPC_FORMS:
            raise ValueError(f"in parentheses may stand {', '.join(_GRPC_FORMS)}")
        self._names = _GRPC_FORMS[form]

    def value(self, record):
        if record.grpc_status < 0:
            return None
        return self._names[record.grpc_status] if record.grpc_status < len(self._names) else record.grpc_status


class ResponseSending(Operator):
    """From the first byte of the upstream's answer to the end."""

    def value(self, record):
        return (record.duration - record.response_duration) // 1000 if record.response_duration >= 0 else None


class Tls(Operator):
    """What `of` says of the downstream connection's `ssl` object; None without TLS, and where it is not to be had."""

    def __init__(self, of) -> None:
        self._of = of

    def value(self, record):
        try:
            return self._of(record.tls) or None if record.tls is not None else None
        except (ValueError, OSError):
            return None  # the connection is over


def _names(kind):
    """The peer's names of one kind, comma-separated, as Envoy has them."""

    def of(tls):
        found = (tls.getpeercert() or {}).get("subjectAltName", ())
        return ",".join(name for each, name in found if each == kind)

    return of


def _distinguished(field):
    """RFC 2253 writes the most specific part first; `ssl` gives it last."""

    def of(tls):
        parts = [pair for part in (tls.getpeercert() or {}).get(field, ()) for pair in part]
        return ",".join(f"{_ATTRIBUTES.get(name, name)}={value}" for name, value in reversed(parts))

    return of


def _fingerprint(tls):
    der = tls.getpeercert(binary_form=True)
    return hashlib.sha256(der).hexdigest() if der else None


_ATTRIBUTES = {
    "commonName": "CN", "organizationName": "O", "organizationalUnitName": "OU", "countryName": "C",
    "stateOrProvinceName": "ST", "localityName": "L", "domainComponent": "DC",
}  # fmt: skip

_PLAIN = {
    "DOWNSTREAM_TLS_VERSION": Tls(lambda tls: tls.version()),
    "DOWNSTREAM_TLS_CIPHER": Tls(lambda tls: tls.cipher()[0]),
    "DOWNSTREAM_PEER_URI_SAN": Tls(_names("URI")),
    "DOWNSTREAM_PEER_DNS_SAN": Tls(_names("DNS")),
    "DOWNSTREAM_PEER_SUBJECT": Tls(_distinguished("subject")),
    "DOWNSTREAM_PEER_ISSUER": Tls(_distinguished("issuer")),
    "DOWNSTREAM_PEER_FINGERPRINT_256": Tls(_fingerprint),
    "PROTOCOL": Attribute("protocol"),
    "RESPONSE_CODE": Attribute("code"),
    "RESPONSE_CODE_DETAILS": Attribute("details"),
    "CONNECTION_TERMINATION_DETAILS": Attribute("termination_details"),
    "RESPONSE_FLAGS": Attribute("flags"),
    "RESPONSE_FLAGS_LONG": LongFlags(),
    "GRPC_STATUS_NUMBER": GrpcStatus("NUMBER"),
    "BYTES_RECEIVED": Attribute("bytes_received"),
    "BYTES_SENT": Attribute("bytes_sent"),
    "DURATION": Milliseconds("duration"),
    "REQUEST_DURATION": Milliseconds("request_duration"),
    "RESPONSE_DURATION": Milliseconds("response_duration"),
    "RESPONSE_TX_DURATION": ResponseSending(),
    "ROUTE_NAME": Attribute("route"),
    # Virtual clusters cannot be configured, so no request belongs to one.
    "VIRTUAL_CLUSTER_NAME": Constant(None),
    "REQUESTED_SERVER_NAME": Attribute("server_name"),
    "CONNECTION_ID": Count("connection_id"),
    "UPSTREAM_HOST": Address("upstream"),
    "UPSTREAM_REMOTE_ADDRESS": Address("upstream"),
    "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": Address("upstream", 1),
    "UPSTREAM_REMOTE_PORT": Address("upstream", 2),
    "UPSTREAM_LOCAL_ADDRESS": Address("upstream_local"),
    "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT": Address("upstream_local", 1),
    "UPSTREAM_LOCAL_PORT": Address("upstream_local", 2),
    "UPSTREAM_CLUSTER": Attribute("cluster"),
    "UPSTREAM_CLUSTER_RAW": Attribute("cluster"),
    "UPSTREAM_REQUEST_ATTEMPT_COUNT": Attribute("attempts"),
    "UPSTREAM_TRANSPORT_FAILURE_REASON": Attribute("upstream_failure"),
    "DOWNSTREAM_REMOTE_ADDRESS": Address("remote"),
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": Address("remote", 1),
    "DOWNSTREAM_REMOTE_PORT": Address("remote", 2),
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS": Address("direct_remote"),
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT": Address("direct_remote", 1),
    "DOWNSTREAM_DIRECT_REMOTE_PORT": Address("direct_remote", 2),
    "DOWNSTREAM_LOCAL_ADDRESS": Address("local"),
    "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT": Address("local", 1),
    "DOWNSTREAM_LOCAL_PORT": Address("local", 2),
}
HEADERS = {
    "REQ": (REQUEST, False),
    "REQUEST_HEADER": (REQUEST, False),
    "REQ_WITHOUT_QUERY": (REQUEST, True),
    "RESP": (RESPONSE, False),
    "RESPONSE_HEADER": (RESPONSE, False),
    "TRAILER": (TRAILERS, False),
    "RESPONSE_TRAILER": (TRAILERS, False),
}
NAMES = frozenset({*_PLAIN, *HEADERS, "START_TIME", "HOSTNAME", "GRPC_STATUS"})


def parse(text: str) -> list[str | Operator]:
    """Literals (as str, never empty, never two in a row) and operators. ``%%`` is a per cent sign.

    Raises ValueError with the position (counted from 0) of what it does not understand.
    """
    parts: list[str | Operator] = []
    literal = ""
    at = 0
    while at < len(text):
        if text[at] != "%":
            end = text.find("%", at)
            end = len(text) if end < 0 else end
            literal += text[at:end]
            at = end
        elif text.startswith("%%", at):
            literal += "%"
            at += 2
        else:
            found = _OPERATOR.match(text, at)
            if found is None:
                raise ValueError(
                    f"at position {at}: no operator; write %NAME%, %NAME(...)% or %NAME(...):LENGTH%, and %% for a %"
                )
            try:
                operator = _operator(found["name"], found["argument"], found["limit"])
            except ValueError as error:
                raise ValueError(f"at position {at}: %{found['name']}%: {error}") from None
            if literal:
                parts.append(literal)
                literal = ""
            parts.append(operator)
            at = found.end()
    if literal:
        parts.append(literal)
    return parts


def _operator(name, argument, limit):
    if name not in NAMES:
        close = difflib.get_close_matches(name, NAMES, 1)
        raise ValueError("unknown operator" + (f"; is it {close[0]}?" if close else ""))
    if name in HEADERS:
        if argument is None:
            raise ValueError("needs a header's name in parentheses")
        of, without_query = HEADERS[name]
        if limit is not None and int(limit) == 0:
            raise ValueError("a length of 0 leaves nothing")
        return Header(argument, int(limit or 0), of, without_query)
    if limit is not None:
        raise ValueError("takes no length")
    if name == "START_TIME":
        return StartTime(argument or "")
    if name == "GRPC_STATUS":
        return GrpcStatus(argument or "CAMEL_STRING")
    if argument is not None:
        raise ValueError("takes nothing in parentheses")
    return Constant(socket.gethostname()) if name == "HOSTNAME" else _PLAIN[name]
