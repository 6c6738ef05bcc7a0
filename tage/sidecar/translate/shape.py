"""The walker: a message's set fields against what Tage declares to carry out.

Beside each translation stands the *shape* of its message: the fields that it carries out, each with a rule for the
value, and those that change nothing here, each with the reason. A field that is set and in neither is a problem under
its path. So a field that Envoy gets tomorrow is refused without anybody thinking of it.

"Set" is what protobuf can tell: a scalar with its default value counts as not set, which is right, for these defaults
are what Tage does. A wrapper (BoolValue, Duration, ...) counts as set whatever it holds; `Only` looks into it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any as Anything
from typing import Protocol

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from tage.sidecar.translate.problem import Problems


class Rule(Protocol):
    """What may stand in a field. `value` is one element where the field is repeated."""

    def __call__(self, field: FieldDescriptor, value: Anything, path: str, problems: Problems) -> None: ...


def leaf(field: FieldDescriptor, value: Anything, path: str, problems: Problems) -> None:
    """Any value: the translation itself looks at it."""


class Only:
    """These values and no other: what Tage does anyway. Enums by name, wrappers by what they hold, durations in ms."""

    def __init__(self, *values: Anything) -> None:
        self.values = values

    def __call__(self, field: FieldDescriptor, value: Anything, path: str, problems: Problems) -> None:
        held = _held(field, value)
        if held not in self.values:
            allowed = " or ".join(_text(value) for value in self.values)
            problems.add(path, f"{_text(held)} is not supported (only {allowed})")


def _held(field: FieldDescriptor, value: Anything) -> Anything:
    if isinstance(value, duration_pb2.Duration):
        return value.seconds * 1000 + value.nanos / 1_000_000
    if isinstance(value, Message):
        return getattr(value, "value", value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known is not None else value
    return value


def _text(value: Anything) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class Shape:
    """What of one kind of message Tage carries out. `message` is the message's full name, for the tests."""

    def __init__(
        self,
        message: str,
        carried: Mapping[str, Rule] | Iterable[str] = (),
        *,
        harmless: Mapping[str, str] | None = None,
    ) -> None:
        self.message = message
        self.carried: dict[str, Rule] = dict(carried) if isinstance(carried, Mapping) else dict.fromkeys(carried, leaf)
        self.harmless = dict(harmless or {})
        """Field -> why it changes nothing here."""

    def __call__(self, field: FieldDescriptor | None, value: Anything, path: str, problems: Problems) -> None:
        self.check(value, path, problems)

    def check(self, message: Message, path: str, problems: Problems) -> None:
        for field, value in message.ListFields():
            at = f"{path}.{field.name}" if path else field.name
            if field.name in self.harmless:
                continue
            rule = self.carried.get(field.name)
            if rule is None:
                problems.add(at, "not supported")
                continue
            for where, element in elements(field, value, at):
                rule(field, element, where, problems)


def elements(field: FieldDescriptor, value: Anything, path: str) -> Iterator[tuple[str, Anything]]:
    """A field's values with their paths: one, or each of a list or map."""
    if not field.is_repeated:
        yield path, value
    elif field.message_type is not None and field.message_type.GetOptions().map_entry:
        for key, element in value.items():
            yield f'{path}["{key}"]', element
    else:
        for index, element in enumerate(value):
            yield f"{path}[{index}]", element


class AnyOf:
    """A google.protobuf.Any that holds one of these messages."""

    def __init__(self, *kinds: tuple[type[Message], Shape]) -> None:
        self.kinds = {kind.DESCRIPTOR.full_name: (kind, shape) for kind, shape in kinds}

    def __call__(self, field: FieldDescriptor | None, value: any_pb2.Any, path: str, problems: Problems) -> None:
        kind = self.kinds.get(type_name(value))
        if kind is None:
            problems.add(path, f"'{type_name(value)}' is not supported")
            return
        message = unpack(value, kind[0], path, problems)
        if message is not None:
            kind[1].check(message, path, problems)


class Extension:
    """Messages with `name` and `typed_config`, as filters are; `what` is the word for them in a problem."""

    def __init__(self, what: str, shape: Shape, *kinds: tuple[type[Message], Shape]) -> None:
        self.what = what
        self.shape = shape
        self.config = AnyOf(*kinds)

    def __call__(self, field: FieldDescriptor | None, value: Anything, path: str, problems: Problems) -> None:
        if not value.HasField("typed_config"):
            problems.add(path, f"{self.what} '{value.name}' has no typed_config")
        elif type_name(value.typed_config) not in self.config.kinds:
            problems.add(path, f"{self.what} '{value.name}' is not supported")
            return
        self.shape.check(value, path, problems)
        if value.HasField("typed_config"):
            self.config(None, value.typed_config, f"{path}.typed_config", problems)


def type_name(value: any_pb2.Any) -> str:
    return value.type_url.rpartition("/")[2]


def unpack(value: any_pb2.Any, kind: type[Message], path: str, problems: Problems) -> Anything:
    """The message inside, or None after adding a problem."""
    message = kind()
    try:
        if value.Unpack(message):
            return message
    except DecodeError as error:
        problems.add(path, f"the bytes are not a {kind.DESCRIPTOR.full_name}: {error}")
        return None
    problems.add(path, f"holds a '{type_name(value)}', expected a '{kind.DESCRIPTOR.full_name}'")
    return None
