"""What a listener, and what a cluster, says of the x-protocol that is spoken there. A new plan makes new ones; each
connection keeps those that it began with."""

import cython

from tage.dataplane.protocols.xprotocol.frame import Kind
from tage.dataplane.protocols.xprotocol.protocol import Protocol

if not cython.compiled:
    # Compiled, this is the enumeration in the .pxd.
    MULTIPLEXED, PING_PONG, ORDERED, PINNED = range(4)

MODES = {"multiplexed": MULTIPLEXED, "ping_pong": PING_PONG, "ordered": ORDERED, "pinned": PINNED}
"""How an upstream connection carries requests: many at a time, told apart by their ids; one at a time; many, answered
in the order in which they were asked; those of one downstream connection alone, ids as in the first."""

WHOLE = 262_144
"""Bytes: a larger frame streams, on a connection of its own."""
LIMIT = 16_777_216
"""Bytes: a larger frame is refused."""
_MAX_RESERVED = 65_536


class DownstreamSettings:
    """`names`: service and method are read of every request. Frames up to `whole` bytes are forwarded whole, none above
    `limit` at all. `max_requests` of a connection at a time. `failed(error)` is told what the protocol raised."""

    def __init__(
        self,
        protocol: Protocol,
        names: cython.bint = True,
        whole: cython.Py_ssize_t = WHOLE,
        limit: cython.Py_ssize_t = LIMIT,
        max_requests: cython.Py_ssize_t = 1024,
        failed=None,
    ) -> None:
        self.protocol = protocol
        self.names = names
        self.whole = whole
        self.limit = limit
        self.max_requests = max_requests
        self.failed = failed


class UpstreamSettings:
    """`mode` is one of `MODES`. `max_requests` of a connection at a time, as far as half of the protocol's ids go; one
    with more than `max_reserved` ids of requests that were given up takes no further ones. `heartbeat_interval` in ms:
    how long a connection may be silent before it is asked whether the peer is there; 0: it is not asked."""

    def __init__(
        self,
        protocol: Protocol,
        mode: str = "",
        max_requests: cython.Py_ssize_t = 1024,
        heartbeat_interval: cython.longlong = -1,
        limit: cython.Py_ssize_t = LIMIT,
        failed=None,
    ) -> None:
        """An empty `mode` and a negative interval: as the protocol has it. Raises ValueError for a mode that the
        protocol cannot have."""
        self.protocol = protocol
        self.mode = MODES[mode or protocol.multiplexing]
        if self.mode in (MULTIPLEXED, PINNED) and protocol.multiplexing == "ordered":
            raise ValueError(f"the frames of {protocol.name!r} have no ids: it cannot be {mode}")
        self.pinned = self.mode == PINNED
        self.max_requests = 1 if self.mode == PING_PONG else max_requests
        self.max_reserved = _MAX_RESERVED
        if self.mode != ORDERED and protocol.id_most:
            half: cython.ulonglong = protocol.id_most // 2  # so that there is always one that is free
            self.max_requests = max(1, min(self.max_requests, half))
            self.max_reserved = min(self.max_reserved, half)
        self.heartbeat_interval = protocol.heartbeat_interval if heartbeat_interval < 0 else heartbeat_interval
        self.limit = limit
        self.failed = failed
        self.heartbeat = next((shape for shape in protocol.shapes if shape.kind == Kind.HEARTBEAT), None)
        """Of what is sent to a silent peer; None: there is no such frame, or only the protocol's methods know it."""
