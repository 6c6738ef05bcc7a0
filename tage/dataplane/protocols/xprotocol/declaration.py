"""Reads the declarations of a protocol's class, and says in words what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tage.dataplane.protocols.xprotocol.fields import Field
from tage.dataplane.protocols.xprotocol.frame import Frame, Kind
from tage.dataplane.protocols.xprotocol.pairs import Pairs
from tage.dataplane.protocols.xprotocol.shape import MAX_PARTS, Shape

ATTRIBUTES = {
    "request": Kind.REQUEST,
    "one_way": Kind.ONE_WAY,
    "response": Kind.RESPONSE,
    "heartbeat": Kind.HEARTBEAT,
    "heartbeat_ack": Kind.HEARTBEAT_ACK,
    "go_away": Kind.GO_AWAY,
    "event": Kind.EVENT,
}
MAX_SHAPES = 64
MAX_HEADER = 4096
MODES = ("multiplexed", "ping_pong", "ordered")

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class ProtocolError(ValueError):
    """What is wrong with a protocol's declaration, or with where it comes from."""


def shapes(protocol: Any, overridden: frozenset[str]) -> list[Shape]:
    """The declared frames of the protocol (an instance), after all is found to be in order: ProtocolError."""
    found = []
    for attribute, kind in ATTRIBUTES.items():
        for index, (what, frame) in enumerate(_frames(protocol, attribute)):
            _check(what, frame, kind, overridden)
            shape_kind = kind if frame.kind is None else frame.kind
            name = what.partition(".")[2]
            found.append(Shape(int(shape_kind), name, index, frame))
    _check_class(protocol, found, overridden)
    return found


def _frames(protocol: Any, attribute: str) -> Iterator[tuple[str, Frame]]:
    what = f"{type(protocol).__name__}.{attribute}"
    value = getattr(protocol, attribute)
    if value is None:
        return
    many = isinstance(value, (tuple, list))
    for index, frame in enumerate(value if many else (value,)):
        name = f"{what}[{index}]" if many else what
        if not isinstance(frame, Frame):
            raise ProtocolError(f"{name}: {frame!r} is no Frame")
        yield name, frame


def _check(what: str, frame: Frame, kind: Kind, overridden: frozenset[str]) -> None:
    if not isinstance(frame.header, int) or not 1 <= frame.header <= MAX_HEADER:
        raise ProtocolError(f"{what}: header={frame.header!r}: a header has 1 to {MAX_HEADER} bytes")
    try:
        tests = frame.fixed()
    except ValueError as error:
        raise ProtocolError(f"{what}: {error}") from None
    for at in tests:
        if at >= frame.header:
            raise ProtocolError(f"{what}: the test of the byte at {at} is outside the header of {frame.header} bytes")
    fields = _fields(what, frame)
    for name, field in fields.items():
        if field.at is not None and field.end > frame.header:
            raise ProtocolError(
                f"{what}: {name}={field} ends at {field.end}, outside the header of {frame.header} bytes"
            )
    _check_id(what, frame, fields, tests, overridden)
    _check_size(what, frame, overridden)
    if frame.kind is not None and kind is not Kind.EVENT:
        raise ProtocolError(f"{what}: kind= is for frames declared as `event`")
    if kind is Kind.EVENT and frame.kind is None and "classify" not in overridden:
        raise ProtocolError(f"{what}: define classify(), which tells what kind an event is, or give the frame a kind=")
    if kind is Kind.RESPONSE and frame.status is None and "response_status" not in overridden:
        raise ProtocolError(f"{what}: a response says how the call went: give status=, or define response_status()")


def _fields(what: str, frame: Frame) -> dict[str, Field]:
    fields: dict[str, Any] = {
        name: getattr(frame, name)
        for name in ("id", "status", "timeout", "length")
        if getattr(frame, name) is not None
    }
    if frame.parts is not None and len(frame.parts) > MAX_PARTS:
        raise ProtocolError(f"{what}: {len(frame.parts)} parts; at most {MAX_PARTS}")
    fields.update({f"parts[{name!r}]": field for name, field in (frame.parts or {}).items()})
    for name, field in fields.items():
        if not isinstance(field, Field):
            raise ProtocolError(f"{what}: {name}={field!r} is no field: u8(offset), u16(offset) and so on")
        if (field.at is None and name != "id") or (field.at is not None and field.at < 0):
            raise ProtocolError(f"{what}: {name}={field} stands at no offset")
        if not 0 <= field.mask < 1 << (8 * field.width):
            raise ProtocolError(f"{what}: {name}={field}: the mask is wider than the field")
        if abs(field.add) > 1 << 32:
            raise ProtocolError(f"{what}: {name}={field}: at most 2**32 more or less")
    return fields


def _check_id(
    what: str, frame: Frame, fields: Mapping[str, Field], tests: Mapping[int, tuple[int, int]],
    overridden: frozenset[str],
) -> None:  # fmt: skip
    field = frame.id
    if field is None:
        return
    if field.add or field.signed or field.bits & (field.bits + 1):
        raise ProtocolError(f"{what}: id={field}: an id is unsigned, as it stands, its mask the lowest bits")
    if field.at is None:
        if "id_at" not in overridden:
            raise ProtocolError(f"{what}: id={field}: define id_at(), which tells where the id stands")
        return
    mine = _bits(field)
    for name, other in fields.items():
        if name != "id" and any(mine.get(at, 0) & mask for at, mask in _bits(other).items()):
            raise ProtocolError(f"{what}: id={field} stands where {name}={other} does, and ids are rewritten")
    for at, (mask, _) in tests.items():
        if mine.get(at, 0) & mask:
            raise ProtocolError(f"{what}: id={field} stands on the tested byte at {at}, and ids are rewritten")


def _bits(field: Field) -> dict[int, int]:
    """Offset: mask."""
    if field.at is None:
        return {}
    order: Any = field.order
    return {field.at + i: byte for i, byte in enumerate(field.bits.to_bytes(field.width, order)) if byte}


def _check_size(what: str, frame: Frame, overridden: frozenset[str]) -> None:
    if frame.size not in ("declared", "method"):
        raise ProtocolError(f"{what}: size={frame.size!r} is neither 'declared' nor 'method'")
    if frame.size == "method":
        if "size" not in overridden:
            raise ProtocolError(f"{what}: size='method': define size(), which tells where the frame ends")
        if frame.parts or frame.length is not None:
            raise ProtocolError(f"{what}: size='method' leaves no parts= and no length= to declare")
    if not isinstance(frame.trailer, int) or not 0 <= frame.trailer <= MAX_HEADER:
        raise ProtocolError(f"{what}: trailer={frame.trailer!r}: a trailer has 0 to {MAX_HEADER} bytes")
    if frame.crc and frame.trailer != 4:
        raise ProtocolError(f"{what}: crc=True: a CRC-32 is a trailer of 4 bytes, so trailer=4")


def _check_class(protocol: Any, found: list[Shape], overridden: frozenset[str]) -> None:
    cls = type(protocol).__name__
    if not isinstance(protocol.name, str) or not _NAME.fullmatch(protocol.name):
        raise ProtocolError(f"{cls}.name: {protocol.name!r}: lower-case letters, digits and single dashes")
    kinds = {Kind(shape.kind) for shape in found}
    if not kinds & {Kind.REQUEST, Kind.ONE_WAY, Kind.EVENT}:
        raise ProtocolError(f"{cls}.request: no frame is declared: a protocol has requests")
    if Kind.REQUEST in kinds and Kind.RESPONSE not in kinds:
        raise ProtocolError(f"{cls}.response: no frame is declared: requests have responses")
    if len(found) > MAX_SHAPES:
        raise ProtocolError(f"{cls}: {len(found)} frames are declared; at most {MAX_SHAPES}")
    _check_overlaps(cls, found)
    _check_ids(cls, protocol, found)
    _check_metadata(cls, protocol, found)
    _check_statuses(cls, protocol, found)
    calls = [s for s in found if s.kind in (Kind.REQUEST, Kind.RESPONSE)]
    if "reply" not in overridden and Kind.REQUEST in kinds:
        for shape in calls:
            if shape.by_method or shape.id_by_method:
                how = "size()" if shape.by_method else "id_at()"
                raise ProtocolError(f"{cls}.{shape.name}: define reply(): with {how} no answer can be built from it")
            if shape.kind == Kind.RESPONSE and not shape.has_status:
                raise ProtocolError(f"{cls}.{shape.name}: define reply(): without a status= none can be built")
    interval = protocol.heartbeat_interval
    if not isinstance(interval, int) or interval < 0:
        raise ProtocolError(f"{cls}.heartbeat_interval: {interval!r}: milliseconds, 0: none")


def _check_overlaps(cls: str, found: list[Shape]) -> None:
    for i, a in enumerate(found):
        tests = a.frame.fixed()
        for b in found[:i]:
            other = b.frame.fixed()
            if not any(
                at in other and (value ^ other[at][1]) & mask & other[at][0] for at, (mask, value) in tests.items()
            ):
                raise ProtocolError(f"{cls}.{b.name} and {cls}.{a.name}: the same bytes may be either; test one more")


def _check_ids(cls: str, protocol: Any, found: list[Shape]) -> None:
    if protocol.multiplexing not in MODES:
        raise ProtocolError(f"{cls}.multiplexing: {protocol.multiplexing!r} is none of {', '.join(MODES)}")
    calls = [s for s in found if s.kind in (Kind.REQUEST, Kind.RESPONSE)]
    for shape in calls:
        if protocol.multiplexing == "multiplexed" and not shape.has_id:
            raise ProtocolError(
                f"{cls}.{shape.name}: multiplexed calls need an id= to tell them apart; else"
                ' multiplexing = "ordered" or "ping_pong"'
            )
    if len({shape.id_most for shape in calls if shape.has_id}) > 1:
        raise ProtocolError(f"{cls}: the ids of requests and responses have different widths")


def _check_metadata(cls: str, protocol: Any, found: list[Shape]) -> None:
    if protocol.metadata is not None:
        if not isinstance(protocol.metadata, Pairs):
            raise ProtocolError(f"{cls}.metadata: {protocol.metadata!r} is no encoding: pairs(u16) and the like")
        if not any(shape.metadata >= 0 for shape in found):
            raise ProtocolError(f"{cls}.metadata: no frame has a part `metadata`")
    for attribute in ("service_keys", "method_keys"):
        keys = getattr(protocol, attribute)
        if not isinstance(keys, tuple) or not all(isinstance(key, str) and key for key in keys):
            raise ProtocolError(f"{cls}.{attribute}: {keys!r} is no tuple of names")
        if keys and protocol.metadata is None:
            raise ProtocolError(f"{cls}.{attribute}: names in the metadata need `metadata = pairs(...)`")


def _check_statuses(cls: str, protocol: Any, found: list[Shape]) -> None:
    for attribute, key, value in (
        ("statuses", "a status of the protocol", "an HTTP status"),
        ("replies", "an HTTP status", "a status of the protocol"),
    ):
        table = getattr(protocol, attribute)
        if not isinstance(table, Mapping) or not all(
            isinstance(k, int) and isinstance(v, int) and k >= 0 and v >= 0 for k, v in table.items()
        ):
            raise ProtocolError(f"{cls}.{attribute}: {table!r} does not map {key} to {value}")
        for http in table.values() if attribute == "statuses" else table:
            if not 100 <= http <= 599:
                raise ProtocolError(f"{cls}.{attribute}: {http} is no HTTP status")
    for shape in found:
        field = shape.frame.status
        if shape.kind == Kind.RESPONSE and field is not None:
            for status in protocol.replies.values():
                if status > field.most:
                    raise ProtocolError(f"{cls}.replies: {status} does not fit {cls}.{shape.name}'s status={field}")
