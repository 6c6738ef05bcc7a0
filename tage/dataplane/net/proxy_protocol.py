"""The PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): who really called, told before the bytes.

Reading: `ProxyHeaderParser.read` is given the connection's bytes from the first one on, each time the same and some
more, as MSG_PEEK shows them. It keeps nothing between calls; `needed` says when another look can tell more. READY:
`header`, and `size` bytes to be taken off the connection.

    OTHER        the first bytes are no such header. The protocol forbids to guess whether one is there: a listener that
                 is configured for it closes such a connection
    addresses    none (`source` is None) where the connection's own stand: v2 LOCAL, v1 UNKNOWN, and what this side
                 cannot use: datagrams, UNIX sockets, unspecified families. LOCAL's and UNSPEC's block is skipped unread
    attributes   v2's TLVs must add up to the header's length and are not kept; a CRC32C among them must be right

Writing: `encode`, or one form of it: `encode_v1`, `encode_v2`, and `encode_v1_unknown`, `encode_v2_local` for a
connection of our own.
"""

import socket
import struct

import cython

from tage.dataplane.net import errors

if not cython.compiled:
    from tage.dataplane.net.crc32c import crc32c
    from tage.dataplane.net.verdict import MALFORMED, MORE, OTHER, READY

MAX_SIZE = 4096
"""Bytes of a version 2 header; the format allows 16 + 65535, senders stay below 600."""
MAX_LINE = 107
"""Bytes of a version 1 header with its CR LF: the longest there is (section 2.1)."""

_V1 = cython.declare(bytes, b"PROXY")
_V2 = cython.declare(bytes, b"\r\n\r\n\0\r\nQUIT\n")
_MAX_LINE = cython.declare(cython.Py_ssize_t, MAX_LINE)
_ADDRESS_CHARS = b"0123456789abcdefABCDEF:."

_LOCAL = cython.declare(cython.int, 0)
_INET = cython.declare(cython.int, 1)
_INET6 = cython.declare(cython.int, 2)
_UNIX = cython.declare(cython.int, 3)
_STREAM = cython.declare(cython.int, 1)
_DATAGRAM = cython.declare(cython.int, 2)
_CRC32C = cython.declare(cython.int, 3)


class ProxyHeader:
    """`source` and `destination` are (host, port), or both None: the connection's own addresses stand. `family` is
    socket.AF_INET, AF_INET6, or AF_UNSPEC without addresses. `local`: the sender speaks for itself, as in a health
    check (v2 LOCAL)."""

    def __init__(self) -> None:
        self.version = 0
        self.local = False
        self.family = 0
        self.source = None
        self.destination = None


class ProxyHeaderParser:
    """`read` until its verdict is not MORE. MALFORMED: `error` says why, and the connection has to be closed."""

    def __init__(self, max_size: cython.Py_ssize_t = MAX_SIZE) -> None:
        self.header = ProxyHeader()
        self.error = None
        self.needed = 1
        self.size = 0
        self._max_size = max_size
        self._verdict = MORE

    def read(self, data):
        """A Verdict. `data` begins with the connection's first byte; no more than max(max_size, 107) bytes of it are
        ever needed, and what stands behind the header is not looked at."""
        if self._verdict == MORE and len(data) >= self.needed:
            if data[0] == 13:
                self._verdict = self._block(data)
            else:
                self._verdict = self._line(data)
        return self._verdict

    def _wait(self, needed):
        self.needed = needed
        return MORE

    def _fail(self, error):
        self.error = error
        return MALFORMED

    # -- version 1 -----------------------------------------------------------------------------------------------------

    def _line(self, data):
        """The line is decoded once it is whole. Neither CR nor LF may stand in it but as its end."""
        p: cython.p_uchar = data
        have: cython.Py_ssize_t = len(data)
        at: cython.Py_ssize_t = 0
        if have > _MAX_LINE:
            have = _MAX_LINE
        while at < 5 and at < have:
            if p[at] != _V1[at]:
                return OTHER
            at += 1
        while at < have and p[at] != 13 and p[at] != 10:
            at += 1
        if at < have and p[at] == 10:
            return self._fail(errors.BAD_LINE)
        if at + 1 >= have:
            return self._fail(errors.LINE_TOO_LONG) if have == _MAX_LINE else self._wait(have + 1)
        if p[at + 1] != 10:
            return self._fail(errors.BAD_LINE)
        self.size = at + 2
        self.header.version = 1
        return self._fields(data[5:at].split(b" "))

    def _fields(self, fields):
        """What stands between PROXY and the line's end, split at each space."""
        header: ProxyHeader = self.header
        if len(fields) > 1 and fields[0] == b"" and fields[1] == b"UNKNOWN":
            return READY  # whatever follows
        if len(fields) != 6 or fields[0] != b"":
            return self._fail(errors.BAD_LINE)
        if fields[1] == b"TCP4":
            header.family = socket.AF_INET
        elif fields[1] == b"TCP6":
            header.family = socket.AF_INET6
        else:
            return self._fail(errors.BAD_LINE)
        source = _host(fields[2], header.family)
        destination = _host(fields[3], header.family)
        source_port: cython.int = _port(fields[4])
        destination_port: cython.int = _port(fields[5])
        if source is None or destination is None or source_port < 0 or destination_port < 0:
            return self._fail(errors.BAD_LINE)
        header.source = (source, source_port)
        header.destination = (destination, destination_port)
        return READY

    # -- version 2 -----------------------------------------------------------------------------------------------------

    def _block(self, data):
        p: cython.p_uchar = data
        have: cython.Py_ssize_t = len(data)
        at: cython.Py_ssize_t = 0
        while at < 12 and at < have:
            if p[at] != _V2[at]:
                return OTHER
            at += 1
        if have < 16:
            return self._wait(have + 1 if have < 12 else 16)
        if p[12] >> 4 != 2:
            return self._fail(errors.BAD_VERSION)
        if p[12] & 15 > 1:
            return self._fail(errors.BAD_COMMAND)
        self.size = 16 + _u16(p, 14)
        if self.size > self._max_size:
            return self._fail(errors.HEADER_TOO_LARGE)
        if have < self.size:
            return self._wait(self.size)
        self.header.version = 2
        self.header.local = p[12] & 15 == _LOCAL
        if self.header.local:
            return READY  # the family means nothing then
        return self._addresses(data)

    def _addresses(self, data):
        """data[16:size] has `size` - 16 bytes, and they are there: compared before any is read."""
        p: cython.p_uchar = data
        header: ProxyHeader = self.header
        family: cython.int = p[13] >> 4
        transport: cython.int = p[13] & 15
        length: cython.Py_ssize_t
        host: cython.Py_ssize_t
        if family > _UNIX or transport > _DATAGRAM:
            return self._fail(errors.BAD_FAMILY)
        if family == 0 or transport == 0:
            return READY  # where attributes would begin is unknown
        host = 4 if family == _INET else 16 if family == _INET6 else 108
        length = 2 * host if family == _UNIX else 2 * host + 4
        if self.size - 16 < length:
            return self._fail(errors.BAD_LENGTH)
        if family != _UNIX and transport == _STREAM:
            header.family = socket.AF_INET if family == _INET else socket.AF_INET6
            source = socket.inet_ntop(header.family, data[16 : 16 + host])
            destination = socket.inet_ntop(header.family, data[16 + host : 16 + 2 * host])
            header.source = (source, _u16(p, 16 + 2 * host))
            header.destination = (destination, _u16(p, 18 + 2 * host))
        return self._attributes(data, 16 + length)

    def _attributes(self, data, at):
        """Type, length, value, up to the header's end."""
        p: cython.p_uchar = data
        end: cython.Py_ssize_t = self.size
        length: cython.Py_ssize_t
        checksum: cython.Py_ssize_t = -1  # where it stands
        while at < end:
            if end - at < 3:
                return self._fail(errors.BAD_LENGTH)
            length = _u16(p, at + 1)
            if length > end - at - 3:
                return self._fail(errors.BAD_LENGTH)
            if p[at] == _CRC32C:
                if length != 4 or checksum >= 0:
                    return self._fail(errors.BAD_CHECKSUM)
                checksum = at + 3
            at += 3 + length
        if checksum < 0 or _header_crc(data, checksum, end) == int.from_bytes(data[checksum : checksum + 4], "big"):
            return READY
        return self._fail(errors.BAD_CHECKSUM)


def _u16(p, at):
    return (p[at] << 8) | p[at + 1]


def _header_crc(data: bytes, checksum: cython.Py_ssize_t, end: cython.Py_ssize_t) -> int:
    """Of the header data[:end], with zeros where its checksum stands (section 2.2.3)."""
    crc: cython.uint = crc32c(data, 0, checksum)
    crc = crc32c(b"\0\0\0\0", 0, 4, crc)
    return crc32c(data, checksum + 4, end, crc)


def _host(text: bytes, family: int) -> str | None:
    """A version 1 address in its usual spelling, or None. IPv6 with an IPv4 tail is taken too, though the grammar does
    not have it: it is how HAProxy itself writes a mapped address."""
    if not text or text.translate(None, _ADDRESS_CHARS):
        return None
    if family == socket.AF_INET and any(len(part) > 1 and part[:1] == b"0" for part in text.split(b".")):
        return None  # not left to the C library: not every one refuses it
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, text.decode("ascii")))
    except OSError:
        return None


def _port(text: bytes) -> int:
    """Or -1."""
    if not text.isdigit() or len(text) > 5 or (text[:1] == b"0" and len(text) > 1) or int(text) > 65535:
        return -1
    return int(text)


# -- writing -----------------------------------------------------------------------------------------------------------


def encode(version: int, source: tuple | None, destination: tuple | None) -> bytes:
    """The header of version 1 or 2; without one of the addresses it is UNKNOWN's or LOCAL's."""
    if source is None or destination is None:
        return encode_v1_unknown() if version == 1 else encode_v2_local()
    return encode_v1(source, destination) if version == 1 else encode_v2(source, destination)


def encode_v1(source: tuple, destination: tuple) -> bytes:
    """The line for a TCP connection. Addresses are (host, port, ...) as sockets tell them, hosts numeric; where one is
    IPv4 and the other IPv6, the former is written as a mapped IPv6 address. ValueError: not such an address."""
    family, packed_source, packed_destination = _pack(source, destination)
    name = "TCP4" if family == socket.AF_INET else "TCP6"
    hosts = f"{_text(family, packed_source)} {_text(family, packed_destination)}"
    return f"PROXY {name} {hosts} {source[1]} {destination[1]}\r\n".encode("ascii")


def encode_v1_unknown() -> bytes:
    """The line for a connection whose addresses cannot be told. Some receivers refuse it (section 2.1)."""
    return b"PROXY UNKNOWN\r\n"


def encode_v2(source: tuple, destination: tuple, checksum: bool = False) -> bytes:
    """As `encode_v1`, in binary; `checksum` adds the CRC32C attribute."""
    family, packed_source, packed_destination = _pack(source, destination)
    body = packed_source + packed_destination + struct.pack("!HH", source[1], destination[1])
    family_byte = 0x11 if family == socket.AF_INET else 0x21
    size = len(body) + (7 if checksum else 0)
    header = _V2 + struct.pack("!BBH", 0x21, family_byte, size) + body
    if not checksum:
        return header
    header += b"\x03\x00\x04"
    return header + crc32c(header + bytes(4), 0, len(header) + 4).to_bytes(4, "big")


def encode_v2_local() -> bytes:
    """For a connection that the proxy opens for itself, as a health check."""
    return _V2 + b"\x20\0\0\0"


def _pack(source: tuple, destination: tuple) -> tuple[int, bytes, bytes]:
    """The family and both hosts, in that family's bytes."""
    packed = []
    for address in (source, destination):
        host, port = str(address[0]).partition("%")[0], address[1]  # without an IPv6 scope: it means nothing elsewhere
        if not 0 <= port <= 65535:
            raise ValueError(f"PROXY protocol: {port} is not a TCP port; it must be 0 to 65535")
        try:
            packed.append(socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host))
        except (OSError, ValueError):
            raise ValueError(f"PROXY protocol: {host!r} is not an IPv4 or IPv6 address") from None
    if len(packed[0]) == len(packed[1]):
        return socket.AF_INET if len(packed[0]) == 4 else socket.AF_INET6, packed[0], packed[1]
    first, second = (b"\0" * 10 + b"\xff\xff" + p if len(p) == 4 else p for p in packed)
    return socket.AF_INET6, first, second


def _text(family: int, packed: bytes) -> str:
    """In the version 1 grammar, where IPv6 has no IPv4 tail."""
    text = socket.inet_ntop(family, packed)
    if family == socket.AF_INET6 and "." in text:
        return f"{text[: text.rindex(':')]}:{packed[12] << 8 | packed[13]:x}:{packed[14] << 8 | packed[15]:x}"
    return text
