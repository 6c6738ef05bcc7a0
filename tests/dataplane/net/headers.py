"""PROXY protocol headers: the tables that tests and fuzz target share."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from tage.dataplane.net import errors
from tage.dataplane.net.errors import Violation
from tage.dataplane.net.proxy_protocol import ProxyHeaderParser
from tage.dataplane.net.verdict import Verdict

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V4, V6, NONE = socket.AF_INET, socket.AF_INET6, socket.AF_UNSPEC

Address = tuple[str, int]


class Accepted(NamedTuple):
    name: str
    wire: bytes
    family: int = NONE
    source: Address | None = None
    destination: Address | None = None
    local: bool = False


class Refused(NamedTuple):
    name: str
    wire: bytes
    error: Violation


# -- version 1 ---------------------------------------------------------------------------------------------------------


def line(rest: bytes) -> bytes:
    return b"PROXY " + rest + b"\r\n"


FULL = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"

LINES = [
    Accepted("v1, IPv4", line(b"TCP4 192.168.0.1 192.168.0.11 56324 443"), V4, ("192.168.0.1", 56324),
             ("192.168.0.11", 443)),
    Accepted("v1, IPv4, longest", line(b"TCP4 255.255.255.255 255.255.255.255 65535 65535"), V4,
             ("255.255.255.255", 65535), ("255.255.255.255", 65535)),
    Accepted("v1, IPv4, shortest", line(b"TCP4 0.0.0.0 1.2.3.4 0 1"), V4, ("0.0.0.0", 0), ("1.2.3.4", 1)),
    Accepted("v1, IPv6", line(b"TCP6 2001:DB8::1 ::1 1 2"), V6, ("2001:db8::1", 1), ("::1", 2)),
    Accepted("v1, IPv6, longest", line(f"TCP6 {FULL} {FULL} 65535 65535".encode()), V6, (FULL, 65535), (FULL, 65535)),
    Accepted("v1, IPv6, no zeros left out", line(b"TCP6 0:0:0:0:0:0:0:0 0001:0:0:2:0:0:0:3 1 2"), V6, ("::", 1),
             ("1:0:0:2::3", 2)),
    Accepted("v1, IPv6, mapped", line(b"TCP6 ::ffff:1.2.3.4 ::ffff:102:304 1 2"), V6, ("::ffff:1.2.3.4", 1),
             ("::ffff:1.2.3.4", 2)),
    Accepted("v1, unknown", line(b"UNKNOWN")),
    Accepted("v1, unknown, longest", line(f"UNKNOWN {FULL} {FULL} 65535 65535".encode())),
    Accepted("v1, unknown, whatever", line(b"UNKNOWN  \0\xff\t TCP4 ")),
]  # fmt: skip

REFUSED_LINES = [
    Refused(f"v1 {rest!r}", line(rest), errors.BAD_LINE)
    for rest in (
        b"", b" ", b"TCP4", b"TCP5 1.1.1.1 2.2.2.2 1 2", b"tcp4 1.1.1.1 2.2.2.2 1 2", b"unknown", b"UNKNOWNS",
        b" UNKNOWN", b"TCP4 1.1.1.1 2.2.2.2 1", b"TCP4 1.1.1.1 2.2.2.2 1 2 3", b"TCP4 1.1.1.1 2.2.2.2 1 2 ",
        b"TCP4  1.1.1.1 2.2.2.2 1 2", b" TCP4 1.1.1.1 2.2.2.2 1 2", b"TCP4 1.1.1.1\t2.2.2.2 1 2",
        b"TCP4 1.1.1.1 2.2.2.2 1  2", b"TCP4 1.1.1.1  1 2", b"TCP4 1.1.1 2.2.2.2 1 2", b"TCP4 1.1.1.1.1 2.2.2.2 1 2",
        b"TCP4 1.1.1.256 2.2.2.2 1 2", b"TCP4 1.1.1.01 2.2.2.2 1 2", b"TCP4 00.1.1.1 2.2.2.2 1 2",
        b"TCP4 1..1.1 2.2.2.2 1 2", b"TCP4 1.1.1.1. 2.2.2.2 1 2", b"TCP4 0x1.1.1.1 2.2.2.2 1 2",
        b"TCP4 1.1.1.1 2.2.2.+2 1 2", b"TCP4 1.1.1.1 2.2.2.2\0 1 2", b"TCP4 1.1.1.1 localhost 1 2",
        b"TCP4 16843009 2.2.2.2 1 2", b"TCP4 ::1 2.2.2.2 1 2", b"TCP4 1.1.1.1 ::1 1 2", b"TCP6 1.1.1.1 ::1 1 2",
        b"TCP6 ::1 1.1.1.1 1 2", b"TCP6 ::1::2 ::1 1 2", b"TCP6 1:2:3:4:5:6:7 ::1 1 2",
        b"TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2", b"TCP6 :1 ::1 1 2", b"TCP6 12345:: ::1 1 2", b"TCP6 g:: ::1 1 2",
        b"TCP6 [::1] ::1 1 2", b"TCP6 fe80::1%1 ::1 1 2", b"TCP6 ::1/64 ::1 1 2", b"TCP4 1.1.1.1 2.2.2.2 65536 2",
        b"TCP4 1.1.1.1 2.2.2.2 1 99999", b"TCP4 1.1.1.1 2.2.2.2 01 2", b"TCP4 1.1.1.1 2.2.2.2 1 00",
        b"TCP4 1.1.1.1 2.2.2.2 -1 2", b"TCP4 1.1.1.1 2.2.2.2 +1 2", b"TCP4 1.1.1.1 2.2.2.2 1a 2",
        b"TCP4 1.1.1.1 2.2.2.2 1_0 2", b"TCP4 1.1.1.1 2.2.2.2 1 ", b"TCP4 1.1.1.1 2.2.2.2 0000001 2",
        b"TCP4 1.1.1.1 2.2.2.2 \xb2 2",
    )
] + [
    Refused("v1, no space", b"PROXYTCP4 1.1.1.1 2.2.2.2 1 2\r\n", errors.BAD_LINE),
    Refused("v1, a tab", b"PROXY\tTCP4 1.1.1.1 2.2.2.2 1 2\r\n", errors.BAD_LINE),
    Refused("v1, nothing else", b"PROXY\r\n", errors.BAD_LINE),
    Refused("v1, LF", b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n", errors.BAD_LINE),
    Refused("v1, CR", b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rG", errors.BAD_LINE),
    Refused("v1, CR CR LF", b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\r\n", errors.BAD_LINE),
    Refused("v1, unknown and LF", b"PROXY UNKNOWN\n\r\n", errors.BAD_LINE),
    Refused("v1, unknown, a CR within", b"PROXY UNKNOWN a\rb\r\n", errors.BAD_LINE),
    Refused("v1, a byte too long", line(b"UNKNOWN " + b"x" * (108 - 16)), errors.LINE_TOO_LONG),
    Refused("v1, without end", b"PROXY UNKNOWN " + b"x" * 200, errors.LINE_TOO_LONG),
]  # fmt: skip

# -- version 2 ---------------------------------------------------------------------------------------------------------


def block(body: bytes = b"", command: int = 0x21, family: int = 0x11, length: int | None = None) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(body) if length is None else length) + body


def attribute(kind: int, value: bytes, length: int | None = None) -> bytes:
    return struct.pack("!BH", kind, len(value) if length is None else length) + value


BODY4 = bytes([127, 0, 0, 1, 10, 1, 2, 3]) + struct.pack("!HH", 40_000, 443)
BODY6 = bytes(15) + b"\1" + b"\x20\x01\x0d\xb8" + bytes(11) + b"\2" + struct.pack("!HH", 65_535, 0)
ENDS4 = (V4, ("127.0.0.1", 40_000), ("10.1.2.3", 443))
ENDS6 = (V6, ("::1", 65_535), ("2001:db8::2", 0))
# From a bitwise CRC.
CRC4 = attribute(3, bytes.fromhex("8c882c4e"))

BLOCKS = [
    Accepted("v2, IPv4", block(BODY4), *ENDS4),
    Accepted("v2, IPv6", block(BODY6, family=0x21), *ENDS6),
    Accepted("v2, attributes", block(BODY4 + attribute(1, b"h2") + attribute(4, b"") + attribute(0xEA, bytes(300))),
             *ENDS4),
    Accepted("v2, attributes, IPv6", block(BODY6 + attribute(0x20, b"\1\0\0\0\0"), family=0x21), *ENDS6),
    Accepted("v2, checksum", block(BODY4 + CRC4), *ENDS4),
    Accepted("v2, local", block(command=0x20, family=0), local=True),
    Accepted("v2, local with addresses", block(BODY4, command=0x20), local=True),
    Accepted("v2, local of no known family", block(b"abc", command=0x20, family=0xFF), local=True),
    Accepted("v2, unspecified", block(family=0)),
    Accepted("v2, unspecified with something", block(b"abc", family=0)),
    Accepted("v2, IPv4, unspecified transport", block(BODY4, family=0x10)),
    Accepted("v2, unspecified family, stream", block(family=0x01)),
    Accepted("v2, UDP", block(BODY4, family=0x12)),
    Accepted("v2, UDP, IPv6", block(BODY6 + attribute(4, b"x"), family=0x22)),
    Accepted("v2, UNIX", block(bytes(216), family=0x31)),
    Accepted("v2, UNIX datagram", block(bytes(216) + attribute(4, b""), family=0x32)),
    Accepted("v2, largest", block(BODY4 + attribute(4, bytes(4096 - 16 - 12 - 3))), *ENDS4),
]  # fmt: skip

REFUSED_BLOCKS = [
    Refused("v2, version 1", block(BODY4, command=0x11), errors.BAD_VERSION),
    Refused("v2, version 3", block(BODY4, command=0x31), errors.BAD_VERSION),
    Refused("v2, command 2", block(BODY4, command=0x22), errors.BAD_COMMAND),
    Refused("v2, command 15", block(BODY4, command=0x2F), errors.BAD_COMMAND),
    Refused("v2, family 4", block(BODY4, family=0x41), errors.BAD_FAMILY),
    Refused("v2, family 15", block(BODY4, family=0xF0), errors.BAD_FAMILY),
    Refused("v2, transport 3", block(BODY4, family=0x13), errors.BAD_FAMILY),
    Refused("v2, transport 15", block(BODY4, family=0x0F), errors.BAD_FAMILY),
    Refused("v2, IPv4, too short", block(BODY4[:-1]), errors.BAD_LENGTH),
    Refused("v2, IPv4, nothing", block(), errors.BAD_LENGTH),
    Refused("v2, IPv6, too short", block(BODY6[:-1], family=0x21), errors.BAD_LENGTH),
    Refused("v2, IPv6, length of IPv4", block(BODY4, family=0x21), errors.BAD_LENGTH),
    Refused("v2, UDP, too short", block(BODY4[:-1], family=0x12), errors.BAD_LENGTH),
    Refused("v2, UNIX, too short", block(bytes(215), family=0x31), errors.BAD_LENGTH),
    Refused("v2, a byte behind", block(BODY4 + b"\4"), errors.BAD_LENGTH),
    Refused("v2, two bytes behind", block(BODY4 + b"\4\0"), errors.BAD_LENGTH),
    Refused("v2, an attribute beyond the end", block(BODY4 + attribute(4, b"abc", 4)), errors.BAD_LENGTH),
    Refused("v2, a byte behind attributes", block(BODY4 + attribute(4, b"abc", 2)), errors.BAD_LENGTH),
    Refused("v2, too large", block(BODY4 + attribute(4, bytes(4096 - 16 - 12 - 2))), errors.HEADER_TOO_LARGE),
    Refused("v2, as large as it can be said", block(length=65_535), errors.HEADER_TOO_LARGE),
    Refused("v2, local, too large", block(command=0x20, length=65_535), errors.HEADER_TOO_LARGE),
    Refused("v2, checksum wrong", block(BODY4 + attribute(3, bytes(4))), errors.BAD_CHECKSUM),
    Refused("v2, checksum short", block(BODY4 + attribute(3, b"abc")), errors.BAD_CHECKSUM),
    Refused("v2, checksum long", block(BODY4 + attribute(3, b"abcde")), errors.BAD_CHECKSUM),
    Refused("v2, two checksums", block(BODY4 + CRC4 + CRC4), errors.BAD_CHECKSUM),
    Refused("v2, checksum of UDP wrong", block(BODY4 + attribute(3, bytes(4)), family=0x12), errors.BAD_CHECKSUM),
]

ABSENT = [
    b"GET / HTTP/1.1\r\n\r\n",
    b"P",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"POST /",
    b"proxy TCP4",
    b"PROX\r\n",
    b" PROXY UNKNOWN\r\n",
    b"\r\nPROXY UNKNOWN\r\n",
    b"\n",
    b"\r\n\r\n\r\n",
    SIGNATURE[:-1] + b"\r",
    b"\x16\x03\x01\x02\x00\x01",
    b"\0",
]


# -- comparing ---------------------------------------------------------------------------------------------------------


def told(verdict: int, parser: ProxyHeaderParser) -> tuple:
    """All that a parser tells: equal for each way to ask."""
    header = parser.header
    if verdict == Verdict.READY:
        return verdict, parser.size, header.version, header.local, header.family, header.source, header.destination
    return verdict, parser.error
