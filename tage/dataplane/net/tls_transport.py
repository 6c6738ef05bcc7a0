"""TLS on the reactor: OpenSSL reads and writes the socket itself, by way of `ssl.SSLSocket`; here is only what it waits
for. docs/decisions/0003 has the measurement.

    handshake --greet says yes--> connection made --> records, as a plain socket's bytes
        `--- fails, or greet says no ---> the socket is closed; the connection was never made

A record (at most 16 KiB) is read whole once it is there, so nothing decrypted is ever left inside OpenSSL and epoll's
word is enough. `greet(error)` is called once: with None when the handshake is done, to say whether the peer may be
served; with what went wrong otherwise.

A peer's end without close_notify may be an attacker's cut: it counts as a reset, not as an end. TLS 1.3 lets either
side end alone, so a half-closed connection stays one; but `ssl` looks for the peer's close_notify as soon as it has
sent ours, and what it finds instead at that very moment ends the connection.
"""

import errno
import select
import ssl

import cython

from tage.dataplane.net.reactor import Reactor, SocketTransport

_IN = cython.declare(cython.uint, select.EPOLLIN)
_OUT = cython.declare(cython.uint, select.EPOLLOUT)
_EAGAIN = cython.declare(cython.Py_ssize_t, -errno.EAGAIN)
_EPROTO = cython.declare(cython.Py_ssize_t, -errno.EPROTO)
_RECORD = cython.declare(cython.Py_ssize_t, 16_384)
_RECORDS = cython.declare(cython.Py_ssize_t, 4)
"""Read in one go where they are there; the rest waits for the next event, for others wait too."""


def attach_tls(reactor: Reactor, sock, connection, context, greet, *, server: bool, server_name: str = ""):
    """`Reactor.attach` with TLS on it: `connection` is made when the handshake is done and `greet` agrees.
    `server_name` is what a client asks for, empty: nothing. Gives the transport; to `abort` it before gives the
    handshake up. Raises `OSError` where the peer has gone already."""
    tls = context.wrap_socket(
        sock,
        server_side=server,
        server_hostname=server_name or None,
        do_handshake_on_connect=False,
        suppress_ragged_eofs=False,
    )
    transport: TlsTransport = TlsTransport(reactor, tls, connection, greet)
    reactor.register(transport, _IN)
    transport.ready(0)
    return transport


class TlsTransport(SocketTransport):
    def __init__(self, reactor: Reactor, sock, connection, greet) -> None:
        SocketTransport.__init__(self, reactor, sock, connection)
        self._greet = greet
        self._recv = sock.read
        self._write = sock.write
        self._problem = None
        self._made = False
        self._over = False
        self._half_closes = False

    def ready(self, mask):
        if not self._made:
            self._handshake()
            return
        SocketTransport.ready(self, mask)

    def _handshake(self):
        wanted: cython.uint = _IN
        try:
            self._socket.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLWantWriteError:
            wanted = _OUT
        except OSError as error:
            self._greeted(error)
            self._die(error)
            return
        else:
            if self._greeted(None):
                self._made = True
                self._half_closes = self._socket.version() == "TLSv1.3"
                if self._mask != _IN:
                    self._mask = _IN
                    self.reactor.change(self.descriptor, _IN)
                self.connection.connection_made(self)
            else:
                self._die(None)
            return
        if wanted != self._mask:
            self._mask = wanted
            self.reactor.change(self.descriptor, wanted)

    def _greeted(self, error):
        greet, self._greet = self._greet, None
        return greet(self, error) if greet is not None else False

    def bury(self) -> None:
        if self._made:
            SocketTransport.bury(self)
            return
        # It ended before its handshake did.
        self._socket.close()
        self._greeted(self._error or ConnectionAbortedError(errno.ECONNABORTED, "the handshake was given up"))

    # -- what differs from a plain socket ------------------------------------------------------------------------------

    def receive(self):
        """As many records as are there, up to `_RECORDS`: a short one is the last."""
        total: cython.Py_ssize_t = 0
        count: cython.Py_ssize_t = 0
        if self._over:
            return 0
        try:
            while total < _RECORDS * _RECORD:
                count = self._recv(_RECORD, self.reactor.view[total:] if total else self.reactor.view)
                total += count
                if count < _RECORD:
                    break
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return total if total else _EAGAIN
        except OSError as error:
            # What came before it is passed on; the error shows again with the next read.
            if total:
                return total
            self._problem = error
            return _EPROTO
        return total

    def send(self, data, start, size):
        """OpenSSL takes a record at a time, and remembers one that the kernel did not take: it gets the same again."""
        total: cython.Py_ssize_t = 0
        rest = memoryview(data)[start : start + size] if start or size != len(data) else data
        try:
            while total < size:
                total += self._write(rest[total:] if total else rest)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return total if total else _EAGAIN
        except OSError as error:
            self._problem = error
            return _EPROTO
        return total

    def write_pieces(self, pieces):
        self.write(b"".join(pieces))  # a record holds 16 KiB, whatever they are

    def failure(self, number):
        return self._problem or SocketTransport.failure(self, number)

    def _shut(self):
        """close_notify. The peer's own is not waited for; where it has come already, nothing follows it."""
        try:
            self._socket.unwrap()
            self._over = True
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except (OSError, ValueError) as error:
            self._die(error)

    def farewell(self):
        if self._made and not self._ending and not self._dead:
            self._shut()

    def write_eof(self):
        """Up to TLS 1.2 a close_notify ends both directions (RFC 5246, 7.2.1)."""
        if self._half_closes:
            SocketTransport.write_eof(self)
        else:
            self.close()

    def tls(self):
        return self._socket
