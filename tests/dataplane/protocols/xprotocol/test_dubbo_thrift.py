from __future__ import annotations

import struct

import pytest
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.Thrift import TApplicationException, TMessageType
from thrift.transport.TTransport import TMemoryBuffer

from tage.dataplane.protocols.xprotocol.dubbo_thrift import DubboThrift
from tage.dataplane.protocols.xprotocol.frame import Kind
from tests.dataplane.protocols.xprotocol.reading import damaged, one, read, several, with_id
from tests.dataplane.protocols.xprotocol.thrift_library import write

PROTOCOL = DubboThrift()


def message(kind: int = TMessageType.CALL, name: str = "say", sequence: int = 9) -> bytes:
    memory = TMemoryBuffer()
    write(TBinaryProtocol(memory), name, kind, sequence)
    return bytes(memory.getvalue())


def frame(
    content: bytes, service: str = "com.x.Echo", path: str | None = None, id: int = 0x0102_0304_0506_0708
) -> bytes:
    """As ThriftCodec writes it: Dubbo 2.6 without the path, 2.7 with it."""
    strings = [s.encode() for s in (service, path) if s is not None]
    head = b"\1" + b"".join(struct.pack(">i", len(s)) + s for s in strings) + struct.pack(">q", id)
    size = 8 + len(head) + len(content)
    return struct.pack(">IHIH", size, 0xDABC, size, 8 + len(head)) + head + content


def raised(number: int) -> bytes:
    memory = TMemoryBuffer()
    protocol = TBinaryProtocol(memory)
    protocol.writeMessageBegin("say", TMessageType.EXCEPTION, 9)
    TApplicationException(number, "no").write(protocol)
    protocol.writeMessageEnd()
    return bytes(memory.getvalue())


REQUEST = frame(message())
PATH = frame(message(), path="com.x.EchoPath")
ONE_WAY = frame(message(TMessageType.ONEWAY))
REPLY = frame(message(TMessageType.REPLY))
ALL = [REQUEST, PATH, ONE_WAY, REPLY, frame(raised(6))]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (REQUEST, Kind.REQUEST), (PATH, Kind.REQUEST), (ONE_WAY, Kind.ONE_WAY),
        (REPLY, Kind.RESPONSE), (frame(raised(6)), Kind.RESPONSE),
    ],
)  # fmt: skip
def test_kinds_and_names(data: bytes, kind: Kind) -> None:
    got = one(PROTOCOL, data)
    assert (got.kind, got.id) == (kind, 0x0102_0304_0506_0708)
    assert PROTOCOL.names(got.frame, got.shape) == (b"com.x.Echo", b"say")


@pytest.mark.parametrize(("number", "status"), [(None, 200), (0, 500), (1, 404), (6, 500), (7, 400)])
def test_statuses(number: int | None, status: int) -> None:
    got = one(PROTOCOL, REPLY if number is None else frame(raised(number)))
    assert PROTOCOL.response_status(got.frame, got.shape) == status


def test_together_and_damaged() -> None:
    several(PROTOCOL, ALL)
    damaged(PROTOCOL, ALL)


@pytest.mark.parametrize("path", [None, "com.x.EchoPath"])
def test_rewriting(path: str | None) -> None:
    got = one(PROTOCOL, frame(message(), path=path))
    assert with_id(PROTOCOL, got, 2**64 - 3) == frame(message(), path=path, id=-3)
    assert PROTOCOL.with_names(got.frame, got.shape, b"com.x.Choir", b"sing") == frame(
        message(name="sing"), "com.x.Choir", path
    )
    with pytest.raises(ValueError, match="too long"):
        PROTOCOL.with_names(got.frame, got.shape, b"x" * 70_000, b"sing")


@pytest.mark.parametrize("path", [None, "com.x.EchoPath"])
@pytest.mark.parametrize(("status", "number"), [(404, 1), (400, 7), (503, 6), (504, 6)])
def test_local_replies(path: str | None, status: int, number: int) -> None:
    got = one(PROTOCOL, frame(message(), path=path))
    reply = PROTOCOL.reply(got.frame, got.shape, status, b"no healthy upstream")
    memory = TMemoryBuffer()
    protocol = TBinaryProtocol(memory)
    protocol.writeMessageBegin("say", TMessageType.EXCEPTION, 9)
    TApplicationException(number, "no healthy upstream").write(protocol)
    protocol.writeMessageEnd()
    # Dubbo reads an answer's header as it reads a request's: with a path where it writes one.
    assert reply == frame(bytes(memory.getvalue()), path=path)


@pytest.mark.parametrize(
    "data",
    [
        REQUEST[:4] + b"\xda\xbb" + REQUEST[6:],
        REQUEST[:10] + b"\0\x11" + REQUEST[12:],  # the header ends before the id
        REQUEST[:10] + b"\xff\xff" + REQUEST[12:],
        REQUEST[:13] + b"\0\0\0\xff" + REQUEST[17:],
        frame(b"\x80\1\0\7" + message()[4:]),
        frame(b""),
    ],
)
def test_what_does_not_fit_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        read(PROTOCOL, [data])


def test_sizes_beyond_the_limit() -> None:
    with pytest.raises(ValueError):
        read(PROTOCOL, [b"\xff\xff\xff\xff" + REQUEST[4:]])


def test_detection() -> None:
    assert PROTOCOL.matches(REQUEST) == 2
    assert PROTOCOL.matches(b"GET / HTTP/1.1\r\n") == 0
