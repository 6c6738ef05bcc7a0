"""Headers to add, replace and remove -> `plan.HeaderMutations`."""

from __future__ import annotations

from typing import Any

from envoy.config.core.v3 import base_pb2

from tage.dataplane.routing.mutations import HeaderMutation, check_name
from tage.sidecar import plan
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Rule, Shape, leaf

OPTION = Shape(
    "envoy.config.core.v3.HeaderValueOption",
    {
        "header": Shape("envoy.config.core.v3.HeaderValue", ("key", "value")),
        "append": leaf,
        "append_action": leaf,
        "keep_empty_value": leaf,
    },
)
FIELDS: dict[str, Rule] = {
    "request_headers_to_add": OPTION,
    "request_headers_to_remove": leaf,
    "response_headers_to_add": OPTION,
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
    added = [option(each, f"{dot}{add}[{i}]", problems) for i, each in enumerate(getattr(message, add))]
    removed = [name.lower() for name in getattr(message, remove)]
    for i, name in enumerate(removed):
        try:
            check_name(name.encode())
        except ValueError as error:
            problems.add(f"{dot}{remove}[{i}]", str(error))
    return plan.HeaderMutations(added, removed) if added or removed else None


def option(message: base_pb2.HeaderValueOption, path: str, problems: Problems) -> plan.HeaderMutation:
    """One header that is added."""
    name, value = message.header.key.lower(), message.header.value
    action = _ACTIONS.get(message.append_action, "append")
    if message.HasField("append"):
        if message.append_action:
            problems.add(f"{path}.append", "is the old form of append_action; only one of them may be there")
        action = "append" if message.append.value else "overwrite_or_add"
    try:
        check_name(name.encode())
    except ValueError as error:
        problems.add(f"{path}.header.key", str(error))
    else:
        try:
            HeaderMutation(name.encode(), value)
        except ValueError as error:
            problems.add(f"{path}.header.value", str(error))
    return plan.HeaderMutation(name, value, action, message.keep_empty_value)  # type: ignore[arg-type]
