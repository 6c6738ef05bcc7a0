"""Frames made from their declaration: a header of zeros, the bytes that the tests want, the fields, the lengths of the
parts, the parts. For what Tage says itself, not for what passes through.
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
    data = bytes(header) + b"".join(body)
    return data + (zlib.crc32(data).to_bytes(4, "big") if frame.crc else bytes(frame.trailer))
