"""`Connection`: a byte stream to a peer, behind a narrow seam: write, pause, resume, close, abort, reset.

It has the names of an asyncio protocol's methods, for its transport to call. Subclasses implement `opened`, `received`,
`ended`, `lost`, `congested` and `drained`.

What was given to `write` is not changed afterwards. `congested` says that the transport holds more than its high-water
mark (64 KiB) for the peer; who feeds this connection stops until `drained`.

A peer that does not take what was written would keep a closing connection for ever: `await_flush` gives it time, and
`expire_closing` more of it while there is progress.
"""

import cython

from tage.dataplane.net.timers import Timer
from tage.dataplane.net.transport import Transport

_FLUSH_MS = cython.declare(cython.longlong, 10_000)


class Connection(Timer):
    def __init__(self) -> None:
        Timer.__init__(self)
        self.transport = None
        self.open = False
        self.closing = False
        self.write_paused = False
        self.read_paused = False
        self._peer = None
        self._local = None
        self._proxied = False
        self._unsent = 0

    # -- what the transport calls --------------------------------------------------------------------------------------

    def connection_made(self, transport: Transport) -> None:
        self.transport = transport
        self.open = True
        self.opened()

    def data_received(self, data: bytes) -> None:
        self.received(data)

    def eof_received(self) -> bool:
        keep: cython.bint = not self.closing and self.ended()
        if not keep:
            # The transport closes itself now, and says so later: until then nobody may take this connection for open.
            self.close()
        return keep

    def connection_lost(self, error) -> None:
        self.open = False
        self.closing = True
        try:
            self.lost(error)
        finally:
            self.transport = None

    def pause_writing(self) -> None:
        self.write_paused = True
        self.congested()

    def resume_writing(self) -> None:
        self.write_paused = False
        self.drained()

    # -- what the owner calls ------------------------------------------------------------------------------------------

    def write(self, data):
        """Ignored once closing."""
        if not self.closing:
            self.transport.write(data)

    def write_pieces(self, pieces):
        """As `write`; for what is large, and should not be copied together."""
        if not self.closing:
            self.transport.write_pieces(pieces)

    def pause_reading(self):
        if not self.read_paused and self.open and not self.closing:
            self.read_paused = True
            self.transport.pause_reading()

    def resume_reading(self):
        if self.read_paused and self.open and not self.closing:
            self.read_paused = False
            self.transport.resume_reading()

    def close(self):
        """After what was written has gone out."""
        if not self.closing:
            self.closing = True
            if self.transport is not None:
                self.transport.close()

    def close_flushing(self, wheel):
        """As `close`; `expire` has to lead to `expire_closing` from here on."""
        if not self.closing:
            Connection.close(self)
            if self.transport is not None:
                self.await_flush(wheel, _FLUSH_MS)

    def close_hearing_out(self, wheel, delay):
        """As `close_flushing`, for a peer that may still be sending: to close on unread bytes would reset the
        connection, and the peer could lose what it was told last. What it sends for `delay` ms goes nowhere."""
        if delay == 0:
            self.close_flushing(wheel)
        elif not self.closing and self.transport is not None:
            self.resume_reading()
            self.transport.write_eof()
            self.closing = True
            self.await_flush(wheel, delay)

    def await_flush(self, wheel, delay):
        """`expire_closing` is due in `delay` ms."""
        self._unsent = self.transport.unsent()
        wheel.arm(self, delay)

    def expire_closing(self, wheel):
        """Goes on waiting for a peer that has taken something, and aborts otherwise."""
        left: cython.Py_ssize_t = self.transport.unsent()
        if left and left < self._unsent:
            self.await_flush(wheel, _FLUSH_MS)
        else:
            self.abort()

    def write_eof(self):
        """Nothing more will be written; the peer may go on."""
        if not self.closing and self.transport is not None:
            self.transport.write_eof()

    def abort(self):
        """At once; what was not sent is lost."""
        self.closing = True
        if self.transport is not None:
            self.transport.abort()

    def reset(self):
        """As `abort`, and the peer is told that this was not the end (RST)."""
        self.closing = True
        if self.transport is not None:
            self.transport.reset()

    def replace(self, former):
        """Takes the transport of `former`, which is not a connection any more, and what is known of its peer."""
        self.transport = former.transport
        self.open = True
        self._peer = former._peer
        self._local = former._local
        self._proxied = former._proxied
        former.transport = None
        former.open = False
        former.closing = True
        self.transport.hand_over(self)

    def set_addresses(self, peer, local):
        """What a PROXY header says, (host, port) each: from here on these stand for the transport's own."""
        self._peer = peer
        self._local = local
        self._proxied = True

    def direct_address(self):
        """As `peer_address`, and never what a PROXY header says."""
        if not self._proxied:
            return self.peer_address()
        return self.transport.peer() if self.transport is not None else None

    def peer_host(self):
        """The peer's address without the port; empty if it is gone already."""
        peer = self.peer_address()
        return peer[0] if peer else ""

    def tls(self):
        """The `ssl.SSLObject` of an encrypted connection, else None."""
        return self.transport.tls() if self.transport is not None else None

    def peer_address(self):
        """What `getpeername` gives; asked for once. None where it is no tuple, or the peer was gone already."""
        if self._peer is None and self.transport is not None:
            address = self.transport.peer()
            self._peer = address if isinstance(address, tuple) else None
        return self._peer

    def local_address(self):
        """What `getsockname` gives; otherwise as `peer_address`."""
        if self._local is None and self.transport is not None:
            address = self.transport.local()
            self._local = address if isinstance(address, tuple) else None
        return self._local

    def flush(self):
        """Of those that put off what they write (`Reactor.put_off`): now."""

    # -- what subclasses say -------------------------------------------------------------------------------------------

    def opened(self):
        pass

    def received(self, data):
        raise NotImplementedError

    def ended(self):
        """The peer sends no more. True keeps the connection open for writing."""
        return False

    def lost(self, error):
        pass

    def congested(self):
        pass

    def drained(self):
        pass
