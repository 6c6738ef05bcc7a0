"""WebSocket between HTTP/1.1 and HTTP/2 (RFC 6455, 4.2.2; RFC 8441, 5): what one asks for by Upgrade and a key, the
other does by extended CONNECT and without one. Not compiled: it runs once a tunnel."""

from __future__ import annotations

import base64
import hashlib
import os

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def new_key() -> bytes:
    """Of a request that has none."""
    return base64.b64encode(os.urandom(16))


def accepted(key: bytes) -> bytes:
    """Sec-WebSocket-Accept, for a client that has sent this key."""
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
