"""The seam under a `Connection`: write, end, pause, resume, close, abort, reset. What was written is not changed
afterwards.

``reactor.SocketTransport``       plain TCP
``tls_transport.TlsTransport``    TLS on it

A transport calls its connection as asyncio's do: `connection_made`, `data_received`, `eof_received`, `pause_writing`
above its high-water mark (64 KiB), `resume_writing`, and last, once, never from within a call of the connection's,
`connection_lost`.
"""

import struct

NO_LINGER = struct.pack("ii", 1, 0)
"""SO_LINGER: closing resets the connection."""


class Transport:
    def write(self, data):
        """Ignored once closed."""
        raise NotImplementedError

    def write_pieces(self, pieces):
        """As one `write` of these `bytes`, none of which is empty, one behind the other."""
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

    def hand_over(self, connection):
        """From here on it is another connection's."""
        raise NotImplementedError

    def peer(self):
        """The peer's socket address, or None."""
        raise NotImplementedError

    def local(self):
        """Our own socket address, or None."""
        raise NotImplementedError

    def tls(self):
        """The `ssl.SSLObject`, or None where there is no TLS."""
