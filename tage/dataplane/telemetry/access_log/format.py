"""A format, compiled once: record -> the bytes of one line.

What a peer sent cannot forge a line or a field. In text, control characters, ``"``, ``\\`` and bytes that are not
printable UTF-8 appear as ``\\xHH``. In JSON, msgspec writes the strings; bytes that are not UTF-8 appear as ``\\xHH``
in them.
"""

import cython
import msgspec

from tage.dataplane.telemetry.access_log import operators
from tage.dataplane.telemetry.access_log.operators import Operator

DEFAULT_TEXT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS%'
    " %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%"
    ' "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n'
)
"""Envoy's."""

_DIGITS = [str(n).encode() for n in range(1024)]
_encode = msgspec.json.Encoder(order="deterministic").encode
_OMIT = object()


class Format:
    def render(self, record):
        raise NotImplementedError


class TextFormat(Format):
    """A missing value is "-", or nothing where `omit_empty` says so. Raises ValueError as `operators.parse` does."""

    def __init__(self, text: str, omit_empty: bool = False) -> None:
        self._parts = [part.encode() if isinstance(part, str) else part for part in operators.parse(text)]
        self._missing = b"" if omit_empty else b"-"

    def render(self, record):
        out = []
        for part in self._parts:
            if type(part) is bytes:
                out.append(part)
            else:
                operator: Operator = part
                out.append(shown(operator.value(record), self._missing))
        return b"".join(out)


def shown(value, missing):
    """A value in a text."""
    if value is None:
        return missing
    if type(value) is bytes:
        return escaped(value)
    if type(value) is str:
        return escaped(value.encode())
    if 0 <= value < 1024:
        return _DIGITS[value]
    return str(value).encode()


def escaped(value):
    c: cython.uchar
    i: cython.Py_ssize_t
    p: cython.p_uchar = value
    for i in range(len(value)):
        c = p[i]
        if c < 32 or c > 126 or c == 34 or c == 92:
            return _escaped(value)
    return value


def _escaped(value: bytes) -> bytes:
    text = value.decode("utf-8", "surrogateescape")
    return "".join(c if c.isprintable() and c not in '"\\' else _hexadecimal(c) for c in text).encode()


def _hexadecimal(c: str) -> str:
    return "".join(f"\\x{byte:02X}" for byte in c.encode("utf-8", "surrogateescape"))


class JsonFormat(Format):
    """From the mapping that stands in the configuration: text in it, at any depth, may have operators. Text that is one
    operator and nothing else becomes its value: a number, a string or null; other text a string. `omit_empty` leaves
    out what would be null. Keys are sorted, as Envoy does. Raises ValueError with the path of the text.
    """

    def __init__(self, content: dict, omit_empty: bool = False) -> None:
        self._template = _template(content, "", omit_empty)
        self._omit_empty = omit_empty

    def render(self, record):
        return _encode(self._filled(self._template, record)) + b"\n"

    def _filled(self, template, record):
        if type(template) is dict:
            items = [(key, self._filled(each, record)) for key, each in template.items()]
            return {key: value for key, value in items if value is not _OMIT}
        if type(template) is list:
            values = [self._filled(each, record) for each in template]
            return [value for value in values if value is not _OMIT]
        if isinstance(template, _Text):
            text: _Text = template
            return text.value(record)
        if isinstance(template, Operator):
            operator: Operator = template
            value = operator.value(record)
            if value is None and self._omit_empty:
                return _OMIT
            return _decoded(value) if type(value) is bytes else value
        return template


class _Text:
    """Text with operators in it."""

    def __init__(self, parts: list, missing: str) -> None:
        self._parts = parts
        self._missing = missing

    def value(self, record):
        out = []
        for part in self._parts:
            value = part if type(part) is str else part.value(record)
            if type(value) is bytes:
                value = _decoded(value)
            out.append(self._missing if value is None else str(value))
        return "".join(out)


def _decoded(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def _template(content, path: str, omit_empty: bool):
    if isinstance(content, dict):
        return {
            key: _template(each, f"{path}.{key}" if path else key, omit_empty)
            for key, each in sorted(content.items())
        }
    if isinstance(content, list):
        return [_template(each, f"{path}[{i}]", omit_empty) for i, each in enumerate(content)]
    if not isinstance(content, str):
        return content
    try:
        parts = operators.parse(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if len(parts) == 1:
        return parts[0]
    return _Text(parts, "" if omit_empty else "-") if parts else ""


def compile_format(text: str, json: dict | None, omit_empty: bool) -> Format:
    """JSON where there is `json`, else text, else Envoy's default format. Raises ValueError."""
    if json is not None:
        return JsonFormat(json, omit_empty)
    return TextFormat(text or DEFAULT_TEXT, omit_empty)
