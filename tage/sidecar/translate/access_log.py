"""Access loggers -> `plan.AccessLog`: to files, standard output and standard error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.extensions.access_loggers.file.v3 import file_pb2
from envoy.extensions.access_loggers.stream.v3 import stream_pb2
from envoy.extensions.formatter.req_without_query.v3 import req_without_query_pb2
from google.protobuf import json_format, struct_pb2
from google.protobuf.message import Message

from tage.dataplane.telemetry.access_log.format import compile_format
from tage.sidecar import plan
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Extension, Shape, leaf, type_name, unpack

_LOGGERS: dict[str, tuple[type[Message], str]] = {
    kind.DESCRIPTOR.full_name: (kind, path)
    for kind, path in (
        (file_pb2.FileAccessLog, ""),
        (stream_pb2.StdoutAccessLog, "/dev/stdout"),
        (stream_pb2.StderrAccessLog, "/dev/stderr"),
    )
}
_FORMAT = Shape(
    "envoy.config.core.v3.SubstitutionFormatString",
    {
        "text_format": leaf,
        "text_format_source": Shape("envoy.config.core.v3.DataSource", ("inline_string",)),
        "json_format": leaf,
        "omit_empty_values": leaf,
        "formatters": Extension(
            "formatter",
            Shape("envoy.config.core.v3.TypedExtensionConfig", ("name", "typed_config")),
            (
                req_without_query_pb2.ReqWithoutQuery,
                Shape("envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery"),
            ),
        ),
    },
    harmless={
        "content_type": "of local replies that are made with such a format",
        "json_format_options": "its one field sorts the keys; Tage always does",
    },
)
FILE = Shape(
    "envoy.extensions.access_loggers.file.v3.FileAccessLog",
    {
        "path": leaf,
        "log_format": _FORMAT,
        # The forms before log_format, which Envoy still takes.
        "format": leaf,
        "json_format": leaf,
        "typed_json_format": leaf,
    },
)
STDOUT = Shape("envoy.extensions.access_loggers.stream.v3.StdoutAccessLog", {"log_format": _FORMAT})
STDERR = Shape("envoy.extensions.access_loggers.stream.v3.StderrAccessLog", {"log_format": _FORMAT})
ACCESS_LOG = Extension(
    "access logger",
    Shape("envoy.config.accesslog.v3.AccessLog", ("name", "typed_config")),
    (file_pb2.FileAccessLog, FILE),
    (stream_pb2.StdoutAccessLog, STDOUT),
    (stream_pb2.StderrAccessLog, STDERR),
)
"""The rule for a field `access_log`."""


def translate(messages: Sequence[accesslog_pb2.AccessLog], path: str, problems: Problems) -> list[plan.AccessLog]:
    """`path` is that of the list."""
    result = []
    for index, message in enumerate(messages):
        known = _LOGGERS.get(type_name(message.typed_config))
        at = f"{path}[{index}].typed_config"
        logger: Any = None if known is None else unpack(message.typed_config, known[0], at, problems)
        if known is not None and logger is not None:
            result.append(_logger(logger, known[1], at, problems))
    return result


def _logger(logger: Any, target: str, path: str, problems: Problems) -> plan.AccessLog:
    if not target:
        target = logger.path
        if not target:
            problems.add(f"{path}.path", "is missing")
    text, json, omit_empty = "", None, False
    kind = logger.WhichOneof("access_log_format")
    at = f"{path}.{kind}"
    if kind == "format":
        text = logger.format
    elif kind == "log_format":
        omit_empty = logger.log_format.omit_empty_values
        form = logger.log_format.WhichOneof("format")
        at += f".{form}"
        if form == "text_format":
            text = logger.log_format.text_format
        elif form == "text_format_source":
            text = logger.log_format.text_format_source.inline_string
            at += ".inline_string"
        elif form == "json_format":
            json = _plain(logger.log_format.json_format)
        else:
            problems.add(f"{path}.log_format", "needs one of text_format_source and json_format")
    elif kind is not None:
        json = _plain(getattr(logger, kind))
    try:
        compile_format(text, json, omit_empty)
    except ValueError as error:
        problems.add(at, str(error))
    return plan.AccessLog(target, text, json, omit_empty)


def _plain(struct: struct_pb2.Struct) -> dict[str, Any]:
    """Whole numbers as such: protobuf knows only doubles."""
    found: dict[str, Any] = _whole(json_format.MessageToDict(struct))
    return found


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
