"""Frames made from their declaration, and frames with other parts: not on the way of a frame that goes on as it came.

A frame is built as: a header of zeros, the bytes that the tests want, the fields, the lengths of the parts.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from tage.dataplane.protocols.xprotocol.frame import Frame
from tage.dataplane.protocols.xprotocol.shape import Shape


def built(
    shape: Shape, id: int = 0, status: int = 0, timeout: int = 0, parts: Mapping[str, bytes] | None = None
) -> bytes:
    """A whole frame. `parts` by name; that of a frame with a `length` but no such part goes behind the parts, as
    `body`. ValueError: something does not fit its field; the frame's size or the place of its id is not declared."""
    frame: Frame = shape.frame
    if shape.by_method or shape.id_by_method:
        raise ValueError(f"a {shape.name} cannot be built from its declaration")
    header = bytearray(frame.header)
    for at, (_, value) in frame.fixed().items():
        header[at] = value
    for name, field, number in (("id", frame.id, id), ("status", frame.status, status),
                                ("timeout", frame.timeout, timeout)):  # fmt: skip
        if field is not None:
            field.put(header, number, name)
    given = dict(parts or {})
    body = []
    for name, field in (frame.parts or {}).items():
        part = given.pop(name, b"")
        field.put(header, len(part), f"the part {name}")
        body.append(part)
    if frame.length is not None:
        body.append(given.pop("body", b""))
        frame.length.put(header, sum(map(len, body)), "the length")
    return _finished(frame, bytes(header) + b"".join(body), None)


def replaced(shape: Shape, frame: bytes, parts: Mapping[int, bytes]) -> bytes:
    """`frame` with other bytes for these parts (by index), their lengths brought up to date and its CRC too.

    `frame` may be the beginning of a larger one, whose rest then follows the result as well, if it holds the parts.
    ValueError: it does not, or a new one is too long for its length."""
    declared: Frame = shape.frame
    shape.has_header(frame)
    header = bytearray(frame[: declared.header])
    names = shape.part_names
    pieces = []
    at = declared.header
    grown = 0
    for index in range(max(parts) + 1 if parts else 0):
        start, end = shape.part(frame, index)
        piece = frame[start:end]
        if index in parts:
            piece = parts[index]
            grown += len(piece) - (end - start)
            declared.parts[names[index]].put(header, len(piece), f"the part {names[index]}")  # type: ignore[index]
        pieces.append(piece)
        at = end
    if declared.length is not None:
        declared.length.put(header, declared.length.get(header) + grown, "the length")
    changed = bytes(header) + b"".join(pieces) + frame[at:]
    if declared.crc and len(frame) != shape.size_of(frame):
        raise ValueError(f"a {shape.name} that is not all there cannot be changed: its CRC is yet to come")
    return _finished(declared, changed[:-4] if declared.crc else changed, frame) if declared.trailer else changed


def _finished(frame: Frame, data: bytes, before: bytes | None) -> bytes:
    """With its trailer. `before` is what the frame was, with its own: a CRC that was wrong stays so."""
    if not frame.crc:
        return data + bytes(frame.trailer) if before is None else data
    crc = zlib.crc32(data)
    if before is not None:
        crc ^= int.from_bytes(before[-4:], "big") ^ zlib.crc32(before[:-4])
    return data + crc.to_bytes(4, "big")
