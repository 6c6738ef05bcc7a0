"""Headers to add, replace and remove -> `plan.HeaderMutations`."""

from __future__ import annotations

from typing import Any

from envoy.config.core.v3 import base_pb2

from tage.dataplane.routing.mutations import HeaderMutation, check_name
from tage.sidecar import plan
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Rule, Shape, leaf

_OPTION = Shape(
    "envoy.config.core.v3.HeaderValueOption",
    {
        "header": Shape("envoy.config.core.v3.HeaderValue", ("key", "value")),
        "append": leaf,
        "append_action": leaf,
        "keep_empty_value": leaf,
    },
)
FIELDS: dict[str, Rule] = {
    "request_headers_to_add": _OPTION,
    "request_headers_to_remove": leaf,
    "response_headers_to_add": _OPTION,
    "response_headers_to_remove": leaf,
}
"""The rules of the four fields, which stand in route configurations, virtual hosts, routes and weighted clusters."""

_ACTIONS = {
    base_pb2.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD: "append",
    base_pb2.HeaderValueOption.ADD_IF_ABSENT: "add_if_absent",
    base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS: "overwrite",
    base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD: "overwrite_or_add",
}


def request(message: Any, path: str, problems: Problems) -> plan.HeaderMutations | None:
    """Of the message at `path`; None where it says nothing of request headers."""
    return _mutations(message, "request", path, problems)


def response(message: Any, path: str, problems: Problems) -> plan.HeaderMutations | None:
    return _mutations(message, "response", path, problems)


def _mutations(message: Any, which: str, path: str, problems: Problems) -> plan.HeaderMutations | None:
    dot = f"{path}." if path else ""
    add, remove = f"{which}_headers_to_add", f"{which}_headers_to_remove"
    added = [_option(option, f"{dot}{add}[{i}]", problems) for i, option in enumerate(getattr(message, add))]
    removed = [name.lower() for name in getattr(message, remove)]
    for i, name in enumerate(removed):
        try:
            check_name(name.encode())
        except ValueError as error:
            problems.add(f"{dot}{remove}[{i}]", str(error))
    return plan.HeaderMutations(added, removed) if added or removed else None


def _option(option: base_pb2.HeaderValueOption, path: str, problems: Problems) -> plan.HeaderMutation:
    name, value = option.header.key.lower(), option.header.value
    action = _ACTIONS.get(option.append_action, "append")
    if option.HasField("append"):
        if option.append_action:
            problems.add(f"{path}.append", "is the old form of append_action; only one of them may be there")
        action = "append" if option.append.value else "overwrite_or_add"
    try:
        check_name(name.encode())
    except ValueError as error:
        problems.add(f"{path}.header.key", str(error))
    else:
        try:
            HeaderMutation(name.encode(), value)
        except ValueError as error:
            problems.add(f"{path}.header.value", str(error))
    return plan.HeaderMutation(name, value, action, option.keep_empty_value)  # type: ignore[arg-type]
