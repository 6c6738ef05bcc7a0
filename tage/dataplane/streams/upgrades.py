"""WebSocket between HTTP/1.1 and HTTP/2 (RFC 6455, 4.2.2; RFC 8441, 5): what one asks for by Upgrade and a key, the
other does by extended CONNECT and without one. Not compiled: it runs once a tunnel."""

from __future__ import annotations

import base64
import hashlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # who has no client of HTTP/2 does without the memory
    from tage.dataplane.protocols.http2.heads import Http2RequestHead

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def as_upgrade(head: Http2RequestHead) -> None:
    """An HTTP/2 request with CONNECT, in HTTP/1.1's way: extended, a GET that asks for another protocol."""
    if head.protocol is not None:
        head.method = b"GET"
        head.upgrade = head.protocol
    else:
        head.path = head.authority
        head.upgrade = b"CONNECT"
    head.body_length = 0


def new_key() -> bytes:
    """Of a request that has none."""
    return base64.b64encode(os.urandom(16))


def accepted(key: bytes) -> bytes:
    """Sec-WebSocket-Accept, for a client that has sent this key."""
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
