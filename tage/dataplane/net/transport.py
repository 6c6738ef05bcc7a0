"""The seam under a `Connection`: write, end, pause, resume, close, abort, reset. What was written is not changed
afterwards.

``LoopTransport``              the event loop's own: what TLS needs
``reactor.SocketTransport``    ours, for plain TCP

A transport calls its connection as asyncio's do: `connection_made`, `data_received`, `eof_received`, `pause_writing`
above its high-water mark (64 KiB), `resume_writing`, and last, once, never from within a call of the connection's,
`connection_lost`.
"""

import socket as sockets
import struct

NO_LINGER = struct.pack("ii", 1, 0)
"""SO_LINGER: closing resets the connection."""


class Transport:
    def write(self, data):
        """Ignored once closed."""
        raise NotImplementedError

    def write_eof(self):
        """Nothing more will be written; the peer may go on."""
        raise NotImplementedError

    def pause_reading(self):
        raise NotImplementedError

    def resume_reading(self):
        raise NotImplementedError

    def close(self):
        """After what was written has gone out."""
        raise NotImplementedError

    def abort(self):
        """At once; what was not sent is lost."""
        raise NotImplementedError

    def reset(self):
        """As `abort`, and the peer is told that this was not the end (RST)."""
        raise NotImplementedError

    def unsent(self):
        """Bytes that were written and that the kernel has not taken."""
        raise NotImplementedError

    def peer(self):
        """The peer's socket address, or None."""
        raise NotImplementedError

    def local(self):
        """Our own socket address, or None."""
        raise NotImplementedError

    def tls(self):
        """The `ssl.SSLObject`, or None where there is no TLS."""


class LoopTransport(Transport):
    """An asyncio transport, uvloop's in practice."""

    def __init__(self, transport) -> None:
        self._transport = transport
        self._write = transport.write

    def write(self, data):
        self._write(data)

    def write_eof(self):
        """Over TLS the loop cannot end one direction alone: both end, after what was written has gone out."""
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def pause_reading(self):
        self._transport.pause_reading()

    def resume_reading(self):
        self._transport.resume_reading()

    def close(self):
        self._transport.close()

    def abort(self):
        self._transport.abort()

    def reset(self):
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, NO_LINGER)
        self._transport.abort()

    def unsent(self):
        return self._transport.get_write_buffer_size()

    def peer(self):
        return self._transport.get_extra_info("peername")

    def local(self):
        return self._transport.get_extra_info("sockname")

    def tls(self):
        return self._transport.get_extra_info("ssl_object")
