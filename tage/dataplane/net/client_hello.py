"""A TLS ClientHello in a connection's first bytes -> server name, application protocols, versions.

`ClientHelloParser.read` is given the connection's bytes from the first one on, as MSG_PEEK shows them: each time the
same bytes and some more. It goes on at the record where it stopped, so a hello that comes in small pieces costs no more
than a whole one, and it says in `needed` how long the prefix must be before another look can tell more: what to set
SO_RCVLOWAT to, so that nobody is woken for less.

    record layer   RFC 8446, 5.1    handshake records of 1 to 16384 bytes; the hello may be cut anywhere between them
    ClientHello    RFC 8446, 4.1.2  and that of TLS 1.2 and before, which may have no extensions
    server_name    RFC 6066, 3      one host_name, in lower case; neither address nor trailing dot
    ALPN           RFC 7301, 3.1
    versions       RFC 8446, 4.2.1
    GREASE         RFC 8701         left out of what is reported

What two readers could understand differently is refused: extensions of one type twice, lengths that leave bytes over,
another message behind the hello within its record. Records behind it (early data) are not looked at. The rest of the
handshake is the TLS library's business: a hello that passes here may still be refused there.

A call answers from the prefix alone: whole, byte by byte or in any cut, the same bytes end in the same verdict.
"""

import cython

from tage.dataplane.net import errors

if not cython.compiled:
    from tage.dataplane.net.verdict import MALFORMED, MORE, OTHER, READY

MAX_HELLO = 65_536
"""Bytes of a ClientHello, its handshake header included. Those seen in practice have 200 to 2,000."""
MAX_RECORDS = 32
"""Over which a ClientHello may be spread."""

_HANDSHAKE = cython.declare(cython.int, 22)
_CLIENT_HELLO = cython.declare(cython.int, 1)
_MAX_FRAGMENT = cython.declare(cython.int, 16_384)
_SERVER_NAME = cython.declare(cython.int, 0)
_ALPN = cython.declare(cython.int, 16)
_SUPPORTED_VERSIONS = cython.declare(cython.int, 43)
# What a list may hold: far above what clients send; without a bound, 64 KiB would make some 30,000 objects.
_MAX_EXTENSIONS = cython.declare(cython.int, 128)
_MAX_PROTOCOLS = cython.declare(cython.int, 64)
_MAX_NAME = cython.declare(cython.int, 253)  # RFC 1035: 255 bytes with the lengths of the first label and the root


class ClientHello:
    """`server_name`: in lower case, empty without SNI. `alpn`: what the client offers, in its order. `versions`: what
    supported_versions lists, 0x0304 for TLS 1.3; without that extension `legacy_version` alone, the highest offered."""

    def __init__(self) -> None:
        self.server_name = ""
        self.alpn = ()
        self.versions = ()
        self.legacy_version = 0


class ClientHelloParser:
    """`read` until its verdict is not MORE. READY: `hello` is there, and `size` bytes are the records it came in.
    MALFORMED: `error` says why."""

    def __init__(self, max_hello: cython.Py_ssize_t = MAX_HELLO, max_records: cython.Py_ssize_t = MAX_RECORDS) -> None:
        self.hello = ClientHello()
        self.error = None
        self.needed = 1
        self.size = 0
        self._max_hello = max_hello
        self._max_records = max_records
        self._verdict = MORE
        self._record = 0  # where the record begins that is not complete
        self._records = 0  # those before it
        self._total = 0  # of the handshake message, once its header is there
        self._gathered = bytearray()  # what the records before it held

    def read(self, data):
        """A Verdict. `data` begins with the connection's first byte. At most max_hello + 5 * max_records bytes of it
        are ever needed, and none behind the hello's last record is looked at."""
        while self._verdict == MORE and len(data) >= self.needed:
            self._verdict = self._read_record(data)
        return self._verdict

    def _read_record(self, data):
        """The record at `_record`. MORE: it is dealt with, or `needed` is set to what it takes."""
        p: cython.p_uchar = data
        at: cython.Py_ssize_t = self._record
        have: cython.Py_ssize_t = len(data) - at
        gathered: bytearray = self._gathered
        held: cython.Py_ssize_t = len(gathered)
        length: cython.Py_ssize_t
        stop: cython.Py_ssize_t
        if at == 0 and (p[0] != _HANDSHAKE or (have > 1 and p[1] != 3)):
            return OTHER
        if have < 5:
            return self._wait(2 if at == 0 and have < 2 else at + 5)
        length = _u16(p, at + 3)
        if p[at] != _HANDSHAKE or p[at + 1] != 3 or length == 0 or length > _MAX_FRAGMENT:
            return self._fail(errors.BAD_RECORD)
        at += 5
        stop = at + length
        if self._total == 0:
            if held + length >= 4 and held + len(data) - at < 4:
                return self._wait(at + 4 - held)
            if held + length >= 4 and self._handshake_header(data, at, held) < 0:
                return MALFORMED
        if self._total > 0 and held + length > self._total:
            return self._fail(errors.HELLO_NOT_ALONE)
        if len(data) < stop:
            return self._wait(stop)
        self.size = stop
        if held == 0 and length == self._total:
            return self._parse(data, at + 4, stop)
        gathered += data[at:stop]
        if held + length == self._total:
            self._gathered = bytearray()
            return self._parse(bytes(gathered), 4, self._total)
        self._records += 1
        if self._records >= self._max_records:
            return self._fail(errors.TOO_MANY_RECORDS)
        self._record = stop
        return self._wait(stop + 5)

    def _handshake_header(self, data, start, have):
        """The message's type and length -> `_total`. `have` bytes of it came in the records before; the caller has seen
        that its four bytes are there."""
        gathered: bytearray = self._gathered
        head: bytes = bytes(gathered) + data[start : start + 4 - have]
        p: cython.p_uchar = head
        if p[0] != _CLIENT_HELLO:
            return self._fail(errors.NO_CLIENT_HELLO)
        self._total = 4 + ((p[1] << 16) | (p[2] << 8) | p[3])
        if self._total > self._max_hello:
            return self._fail(errors.HELLO_TOO_LARGE)
        return READY

    def _wait(self, needed):
        self.needed = needed
        return MORE

    def _fail(self, error):
        self.error = error
        self._gathered = bytearray()
        return MALFORMED

    # -- the message: data[at:end], whole ------------------------------------------------------------------------------

    def _parse(self, data, at, end):
        """Every length is compared with what is left before it is used."""
        p: cython.p_uchar = data
        size: cython.Py_ssize_t
        if end - at < 35:  # legacy_version, random, the length of the session id
            return self._fail(errors.BAD_HELLO)
        self.hello.legacy_version = _u16(p, at)
        self.hello.versions = (self.hello.legacy_version,)
        size = p[at + 34]
        at += 35
        if size > 32 or end - at < size + 2:
            return self._fail(errors.BAD_HELLO)
        at += size
        size = _u16(p, at)  # of the cipher suites
        at += 2
        if size == 0 or size & 1 or end - at < size + 1:
            return self._fail(errors.BAD_HELLO)
        at += size
        size = p[at]  # of the compression methods
        at += 1
        if size == 0 or end - at < size:
            return self._fail(errors.BAD_HELLO)
        at += size
        if at == end:
            return READY
        if end - at < 2 or _u16(p, at) != end - at - 2:
            return self._fail(errors.BAD_HELLO)
        return self._extensions(data, at + 2, end)

    def _extensions(self, data, at, end):
        p: cython.p_uchar = data
        kind: cython.int
        size: cython.Py_ssize_t
        verdict: cython.int = READY
        seen: set = set()
        while at < end:
            if end - at < 4:
                return self._fail(errors.BAD_HELLO)
            kind = _u16(p, at)
            size = _u16(p, at + 2)
            at += 4
            if size > end - at:
                return self._fail(errors.BAD_HELLO)
            if kind in seen:
                return self._fail(errors.DUPLICATE_EXTENSION)
            if len(seen) == _MAX_EXTENSIONS:
                return self._fail(errors.TOO_MANY_EXTENSIONS)
            seen.add(kind)
            if kind == _SERVER_NAME:
                verdict = self._server_name(data, at, at + size)
            elif kind == _ALPN:
                verdict = self._alpn(data, at, at + size)
            elif kind == _SUPPORTED_VERSIONS:
                verdict = self._supported_versions(data, at, at + size)
            if verdict < 0:
                return verdict
            at += size
        return READY

    def _server_name(self, data, at, end):
        """A list with one entry, a host_name: no other type was ever defined, and a type may not repeat."""
        p: cython.p_uchar = data
        if end - at < 5 or _u16(p, at) != end - at - 2 or p[at + 2] != 0 or _u16(p, at + 3) != end - at - 5:
            return self._fail(errors.BAD_SERVER_NAME)
        if not _valid_host_name(data, at + 5, end):
            return self._fail(errors.BAD_SERVER_NAME)
        self.hello.server_name = data[at + 5 : end].lower().decode("ascii")
        return READY

    def _alpn(self, data, at, end):
        p: cython.p_uchar = data
        size: cython.Py_ssize_t
        names: list = []
        if end - at < 4 or _u16(p, at) != end - at - 2:
            return self._fail(errors.BAD_ALPN)
        at += 2
        while at < end:
            size = p[at]
            at += 1
            if size == 0 or size > end - at or len(names) == _MAX_PROTOCOLS:
                return self._fail(errors.BAD_ALPN)
            if not (size == 2 and _is_grease(p[at], p[at + 1])):
                names.append(data[at : at + size])
            at += size
        self.hello.alpn = tuple(names)
        return READY

    def _supported_versions(self, data, at, end):
        p: cython.p_uchar = data
        versions: list = []
        if end - at < 3 or (end - at) & 1 == 0 or p[at] != end - at - 1:
            return self._fail(errors.BAD_VERSIONS)
        at += 1
        while at < end:
            if not _is_grease(p[at], p[at + 1]):
                versions.append(_u16(p, at))
            at += 2
        self.hello.versions = tuple(versions)
        return READY


def _u16(p, at):
    return (p[at] << 8) | p[at + 1]


def _is_grease(high, low):
    """0x0A0A, 0x1A1A, ... 0xFAFA"""
    return high == low and low & 0x0F == 0x0A


def _valid_host_name(data, at, end):
    """Labels of 1 to 63 letters, digits, hyphens and underscores (Istio's names between gateways have them), with a dot
    between two; not four labels of nothing but digits."""
    p: cython.p_uchar = data
    label: cython.Py_ssize_t = 0
    labels: cython.int = 1
    c: cython.int
    numeric: cython.bint = True
    if end - at < 1 or end - at > _MAX_NAME:
        return False
    while at < end:
        c = p[at]
        at += 1
        if c == 46:
            if label == 0:
                return False
            label = 0
            labels += 1
            continue
        label += 1
        if label > 63:
            return False
        if not 48 <= c <= 57:
            numeric = False
            if not (97 <= c | 0x20 <= 122 or c == 45 or c == 95):
                return False
    return label > 0 and not (numeric and labels == 4)
