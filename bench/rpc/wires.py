"""The protocols of the RPC rows as byte templates (sofa-bolt's RpcProtocol, Dubbo's ExchangeCodec, and `ledger`, which
Tage has from a declaration of a few lines). Backend and generator write ids and tokens into copies of them and know
nothing else of a protocol.

A request's payload ends with a token that no other request of the run has; the backend copies it into its answer. So
an answer that reaches another caller, under whatever id, is seen. An answer's payload begins with its cluster's letter.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

SERVICES = ("com.tage.bench.Orders", "com.tage.bench.Stocks")
"""Names of one length, so that a token stands equally far from the end of every request."""
METHOD = "find"
CLUSTERS = ("orders-1", "orders-2", "stocks-1", "stocks-2")
"""Two to a service, in the services' order."""
WEIGHTS = (80, 20)
"""Of a service's two clusters, in per cent."""
UNKNOWN = "com.tage.bench.Nobody"
"""A service that no proxy has a route for."""
PAYLOAD_BYTES = 100
TOKEN = b"________"
"""Where a request's token stands in a template: eight bytes of ASCII, which no serialization changes."""


@dataclass(frozen=True)
class Fixed:
    """A frame's fixed part: its bytes, and (offset, bytes) of each length that it declares, big-endian."""

    header: int
    lengths: tuple[tuple[int, int], ...]

    def size(self, frame: bytes) -> int:
        """Of the whole frame whose fixed part is there."""
        return self.header + sum(int.from_bytes(frame[at : at + size], "big") for at, size in self.lengths)


@dataclass(frozen=True)
class Wire:
    name: str
    request: Fixed
    response: Fixed
    id_at: int
    id_bytes: int
    """The generator counts in the last four of them; what comes before is as in the template."""
    heartbeat: tuple[int, int, int]
    """A request whose byte at the first, masked by the second, is the third."""
    status_at: int
    status_bytes: int
    ok: int
    heartbeats: tuple[bytes, bytes]
    """One, and the answer to it."""
    requests: tuple[bytes, ...] = field(repr=False)
    """One to a service."""
    answers: tuple[bytes, ...] = field(repr=False)
    """One to a cluster."""
    stray: bytes = field(repr=False)
    """A request for `UNKNOWN`."""

    def succeeded(self, frame: bytes) -> bool:
        status = frame[self.status_at : self.status_at + self.status_bytes]
        return int.from_bytes(status, "big") == self.ok

    def id_of(self, frame: bytes) -> bytes:
        return frame[self.id_at : self.id_at + self.id_bytes]


def _text(size: int) -> bytes:
    """A request's payload."""
    return b"." * (size - len(TOKEN)) + TOKEN


def _answer(number: int, size: int) -> bytes:
    """The payload of a cluster's answer."""
    marker = bytes([ord("A") + number]) + CLUSTERS[number].encode()
    return marker.ljust(size - len(TOKEN), b".") + TOKEN


def _string(text: bytes) -> bytes:
    """Hessian 2, up to 1023 bytes of ASCII."""
    short = bytes([len(text)]) if len(text) < 32 else bytes([0x30 + (len(text) >> 8), len(text) & 0xFF])
    return short + text


_INNER = PAYLOAD_BYTES - 2
"""Of a payload that is a Hessian string, whose length takes two bytes."""

# -- bolt v1 -----------------------------------------------------------------------------------------------------------

_BOLT_REQUEST = Fixed(22, ((14, 2), (16, 2), (18, 4)))
_BOLT_RESPONSE = Fixed(20, ((12, 2), (14, 2), (16, 4)))


def _bolt_request(service: str, payload: bytes, timeout_ms: int = 10_000) -> bytes:
    """As the Java SDK has it: service and method stand in the header map."""
    names = {"service": service, "sofa_head_method_name": METHOD, "sofa_head_target_service": service}
    headers = b"".join(struct.pack(">I", len(text)) + text.encode() for pair in names.items() for text in pair)
    name = b"com.alipay.sofa.rpc.core.request.SofaRequest"
    lengths = struct.pack(">iHHI", timeout_ms, len(name), len(headers), len(payload))
    return b"\x01\x01\x00\x01\x01" + bytes(4) + b"\x01" + lengths + name + headers + payload


def _bolt_answer(payload: bytes) -> bytes:
    name = b"com.alipay.sofa.rpc.core.response.SofaResponse"
    lengths = struct.pack(">HHHI", 0, len(name), 0, len(payload))
    return b"\x01\x00\x00\x02\x01" + bytes(4) + b"\x01" + lengths + name + payload


BOLT = Wire(
    name="bolt",
    request=_BOLT_REQUEST,
    response=_BOLT_RESPONSE,
    id_at=5,
    id_bytes=4,
    heartbeat=(3, 0xFF, 0),
    status_at=10,
    status_bytes=2,
    ok=0,
    heartbeats=(
        b"\x01\x01\x00\x00\x01" + b"beat" + b"\x01" + struct.pack(">iHHI", 1000, 0, 0, 0),
        b"\x01\x00\x00\x00\x01" + b"beat" + b"\x01" + bytes(10),
    ),
    requests=tuple(_bolt_request(service, _string(_text(_INNER))) for service in SERVICES),
    answers=tuple(_bolt_answer(_string(_answer(number, _INNER))) for number in range(len(CLUSTERS))),
    stray=_bolt_request(UNKNOWN, _string(_text(_INNER))),
)

# -- Dubbo 2 -----------------------------------------------------------------------------------------------------------

_DUBBO = Fixed(16, ((12, 4),))
_DUBBO_HIGH = b"\x00\x00\x00\x07"
"""Of the id: a proxy that keeps only the low half would lose it."""


def _dubbo(flags: int, status: int, body: bytes, low: bytes = bytes(4)) -> bytes:
    return bytes([0xDA, 0xBB, flags, status]) + _DUBBO_HIGH + low + struct.pack(">I", len(body)) + body


def _map(pairs: dict[str, str]) -> bytes:
    return b"H" + b"".join(_string(text.encode()) for pair in pairs.items() for text in pair) + b"Z"


def _dubbo_request(service: str, payload: bytes) -> bytes:
    texts = ("2.0.2", service, "1.0.0", METHOD, "Ljava/lang/String;")
    attachments = {"path": service, "interface": service, "version": "1.0.0", "timeout": "10000"}
    return _dubbo(0xC2, 0, b"".join(_string(text.encode()) for text in texts) + payload + _map(attachments))


def _dubbo_answer(payload: bytes) -> bytes:
    return _dubbo(0x02, 20, b"\x94" + payload + _map({"dubbo": "2.0.2"}))


DUBBO = Wire(
    name="dubbo",
    request=_DUBBO,
    response=_DUBBO,
    id_at=4,
    id_bytes=8,
    heartbeat=(2, 0x20, 0x20),
    status_at=3,
    status_bytes=1,
    ok=20,
    heartbeats=(_dubbo(0xE2, 0, b"N", b"beat"), _dubbo(0x22, 20, b"N", b"beat")),
    requests=tuple(_dubbo_request(service, _string(_text(_INNER))) for service in SERVICES),
    answers=tuple(_dubbo_answer(_string(_answer(number, _INNER))) for number in range(len(CLUSTERS))),
    stray=_dubbo_request(UNKNOWN, _string(_text(_INNER))),
)

# -- ledger (examples/bookshop/ledger.py) ------------------------------------------------------------------------------

_LEDGER = Fixed(24, ((12, 2), (14, 2), (16, 4), (20, 4)))


def _ledger(kind: int, at_8: bytes, service: str, method: str, body: bytes, number: bytes = bytes(4)) -> bytes:
    lengths = struct.pack(">HHII", len(service), len(method), 0, len(body))
    return b"LG\x01" + bytes([kind]) + number + at_8 + lengths + (service + method).encode() + body


LEDGER = Wire(
    name="ledger",
    request=_LEDGER,
    response=_LEDGER,
    id_at=4,
    id_bytes=4,
    heartbeat=(3, 0xFF, 3),
    status_at=8,
    status_bytes=2,
    ok=0,
    heartbeats=(_ledger(3, bytes(4), "", "", b"", b"beat"), _ledger(4, bytes(4), "", "", b"", b"beat")),
    requests=tuple(
        _ledger(1, struct.pack(">I", 10_000), service, METHOD, _text(PAYLOAD_BYTES)) for service in SERVICES
    ),
    answers=tuple(_ledger(0, bytes(4), "", "", _answer(number, PAYLOAD_BYTES)) for number in range(len(CLUSTERS))),
    stray=_ledger(1, struct.pack(">I", 10_000), UNKNOWN, METHOD, _text(PAYLOAD_BYTES)),
)

WIRES = {wire.name: wire for wire in (BOLT, DUBBO, LEDGER)}
"""Each has another first byte, by which the backend knows what a connection speaks."""
