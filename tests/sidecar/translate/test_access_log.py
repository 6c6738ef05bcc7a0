from __future__ import annotations

from typing import Any

import pytest

from tage.sidecar.plan import AccessLog

from .build import manager, problems, translate

TYPE = "type.googleapis.com/envoy.extensions.access_loggers"
FORMATTER = "type.googleapis.com/envoy.extensions.formatter"
M = "filter_chains[0].filters[0].typed_config.access_log"


def logger(kind: str, **fields: Any) -> dict[str, Any]:
    return {"name": "any", "typed_config": {"@type": f"{TYPE}.{kind}", **fields}}


def file(**fields: Any) -> dict[str, Any]:
    return logger("file.v3.FileAccessLog", path="/log", **fields)


def inline(text: str, **fields: Any) -> dict[str, Any]:
    return {"text_format_source": {"inline_string": text}, **fields}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (file(), AccessLog("/log")),
        (file(format="%DURATION%\n"), AccessLog("/log", "%DURATION%\n")),
        (file(json_format={"d": "%DURATION%"}), AccessLog("/log", json={"d": "%DURATION%"})),
        (file(typed_json_format={"d": "%DURATION%"}), AccessLog("/log", json={"d": "%DURATION%"})),
        (file(log_format={"text_format": "a"}), AccessLog("/log", "a")),
        (file(log_format=inline("a", omit_empty_values=True)), AccessLog("/log", "a", omit_empty=True)),
        (
            file(log_format={"json_format": {"a": {"b": [1, 2.5, None, True, "%PROTOCOL%"]}}}),
            AccessLog("/log", json={"a": {"b": [1, 2.5, None, True, "%PROTOCOL%"]}}),
        ),
        (
            file(
                log_format=inline(
                    "%REQ_WITHOUT_QUERY(:PATH)%",
                    formatters=[
                        {
                            "name": "f",
                            "typed_config": {"@type": f"{FORMATTER}.req_without_query.v3.ReqWithoutQuery"},
                        }
                    ],
                    json_format_options={"sort_properties": True},
                    content_type="text/plain",
                )
            ),
            AccessLog("/log", "%REQ_WITHOUT_QUERY(:PATH)%"),
        ),
        (logger("stream.v3.StdoutAccessLog"), AccessLog("/dev/stdout")),
        (logger("stream.v3.StderrAccessLog", log_format=inline("a")), AccessLog("/dev/stderr", "a")),
    ],
)
def test_loggers(config: dict[str, Any], expected: AccessLog) -> None:
    http = translate("listener", manager(access_log=[config, file()])).listener.chains[0].http
    assert http.access_logs == [expected, AccessLog("/log")]


@pytest.mark.parametrize(
    ("config", "path", "message"),
    [
        ({**file(), "filter": {"not_health_check_filter": {}}}, "filter", "not supported"),
        (logger("grpc.v3.HttpGrpcAccessLogConfig"), "", "access logger 'any' is not supported"),
        (logger("file.v3.FileAccessLog"), "typed_config.path", "is missing"),
        (file(format="%FOO%"), "typed_config.format", "at position 0: %FOO%: unknown operator"),
        (
            file(log_format=inline("ab %")),
            "typed_config.log_format.text_format_source.inline_string",
            "at position 3: no operator",
        ),
        (
            file(log_format={"json_format": {"a": {"b": ["%REQ%"]}}}),
            "typed_config.log_format.json_format",
            "a.b[0]: at position 0: %REQ%: needs a header's name",
        ),
        (file(log_format={}), "typed_config.log_format", "needs one of"),
        (
            file(log_format={"text_format_source": {"filename": "/f"}}),
            "typed_config.log_format.text_format_source.filename",
            "not supported",
        ),
        (
            file(
                log_format=inline(
                    "a", formatters=[{"name": "m", "typed_config": {"@type": f"{FORMATTER}.metadata.v3.Metadata"}}]
                )
            ),
            "typed_config.log_format.formatters[0]",
            "formatter 'm' is not supported",
        ),
    ],
)
def test_refused(config: dict[str, Any], path: str, message: str) -> None:
    [problem] = problems("listener", manager(access_log=[config]))
    assert problem.path == f"{M}[0].{path}".rstrip(".")
    assert message in problem.message
