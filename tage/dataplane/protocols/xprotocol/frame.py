"""`Frame`: the declaration of one kind of frame. `Kind`: what a frame is to a proxy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

from tage.dataplane.protocols.xprotocol.fields import Field

Test = int | bytes | tuple[int, int]


class Kind(IntEnum):
    """What a frame is to a proxy."""

    REQUEST = 0
    ONE_WAY = 1
    """A request that no answer comes to."""
    RESPONSE = 2
    HEARTBEAT = 3
    HEARTBEAT_ACK = 4
    GO_AWAY = 5
    """The sender takes no new requests on this connection."""
    EVENT = 6
    """Only `Protocol.classify` tells."""
    IGNORED = 7
    """Read and dropped."""


@dataclass(frozen=True)
class Frame:
    """A frame is told by its `tests`: {offset in the header: a byte, bytes, or (mask, value) of a byte}.

    Behind `header` bytes come the `parts` (name: the field of the part's length; in wire order), or `length` bytes
    without names, or both: then the parts stand first in those bytes. Then `trailer` bytes; with `crc` they are the
    CRC-32 of all before. ``size="method"``: only `Protocol.size` tells where it ends.

    `id`, `status` and `timeout` (ms) are fields of the header; ``u32(None)``: an id whose place `Protocol.id_at` tells.
    Parts of these names have a meaning: `service`, `method`, `metadata`, `body`. `kind` is for frames declared as
    `event` whose kind is known after all.
    """

    tests: Mapping[int, Test]
    header: int = field(kw_only=True)
    id: Field | None = field(default=None, kw_only=True)
    status: Field | None = field(default=None, kw_only=True)
    timeout: Field | None = field(default=None, kw_only=True)
    parts: Mapping[str, Field] | None = field(default=None, kw_only=True)
    length: Field | None = field(default=None, kw_only=True)
    trailer: int = field(default=0, kw_only=True)
    crc: bool = field(default=False, kw_only=True)
    size: str = field(default="declared", kw_only=True)
    kind: Kind | None = field(default=None, kw_only=True)

    def but(self, tests: Mapping[int, Test] | None = None, **changes: Any) -> Frame:
        """The same but for these tests (in place of those on the same bytes) and fields."""
        merged = dict(bytewise(self.tests))
        merged.update(bytewise(tests or {}))
        return replace(self, tests=merged, **changes)

    def fixed(self) -> dict[int, tuple[int, int]]:
        """Offset: (mask, value), for each byte that is tested."""
        return bytewise(self.tests)


def bytewise(tests: Mapping[int, Test]) -> dict[int, tuple[int, int]]:
    """Tests a byte each: {offset: (mask, value)}. ValueError: what none is."""
    found: dict[int, tuple[int, int]] = {}
    for at, test in tests.items():
        if isinstance(test, bytes) and test:
            pairs = [(at + i, (0xFF, byte)) for i, byte in enumerate(test)]
        elif isinstance(test, int) and 0 <= test <= 0xFF:
            pairs = [(at, (0xFF, test))]
        elif (
            isinstance(test, tuple)
            and len(test) == 2
            and all(isinstance(each, int) and 0 <= each <= 0xFF for each in test)
            and not test[1] & ~test[0]
        ):
            pairs = [(at, test)]
        else:
            raise ValueError(f"the test {at}: {test!r} is neither a byte, nor bytes, nor (mask, value within the mask)")
        for offset, pair in pairs:
            if not isinstance(offset, int) or offset < 0:
                raise ValueError(f"the test {at}: {test!r} stands at no offset")
            if offset in found:
                raise ValueError(f"two tests of the byte at {offset}")
            found[offset] = pair
    return found
