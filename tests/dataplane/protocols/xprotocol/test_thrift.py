"""With Apache Thrift's own library on both sides: its client and server speak through the codec, and read replies."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.protocol.TMultiplexedProtocol import TMultiplexedProtocol
from thrift.protocol.TProtocol import TProtocolBase
from thrift.Thrift import TApplicationException, TMessageType
from thrift.transport.TSocket import TSocket
from thrift.transport.TTransport import TFramedTransport, TMemoryBuffer

from tage.dataplane.protocols.xprotocol.frame import Kind
from tage.dataplane.protocols.xprotocol.reader import FrameReader
from tage.dataplane.protocols.xprotocol.thrift import Thrift
from tests.dataplane.protocols.xprotocol.reading import MORE, READY, Read, damaged, one, read, several, with_id
from tests.dataplane.protocols.xprotocol.thrift_library import answering, ask, write, written

THRIFT = Thrift()


def exception(frame: bytes) -> tuple[str, int, TApplicationException]:
    """How the library reads it: the name, the sequence id, what it raises."""
    protocol = TBinaryProtocol(TFramedTransport(TMemoryBuffer(frame)), strictRead=True)
    name, kind, sequence = protocol.readMessageBegin()
    assert kind == TMessageType.EXCEPTION
    error = TApplicationException()
    error.read(protocol)
    protocol.readMessageEnd()
    return name, sequence, error


def raised(number: int, text: str = "no") -> bytes:
    def by(protocol: TProtocolBase) -> None:
        protocol.writeMessageBegin("say", TMessageType.EXCEPTION, 3)
        TApplicationException(number, text).write(protocol)
        protocol.writeMessageEnd()
        protocol.trans.flush()

    return written(by)


def call(name: str = "say", kind: int = TMessageType.CALL, sequence: int = 7, text: str = "hello") -> bytes:
    return written(lambda p: write(p, name, kind, sequence, text))


CALL = call()
MULTIPLEXED = written(lambda p: write(TMultiplexedProtocol(p, "Echo"), "say", TMessageType.CALL, 7))
ONE_WAY = call(kind=TMessageType.ONEWAY)
REPLY = call(kind=TMessageType.REPLY)
ALL = [CALL, MULTIPLEXED, ONE_WAY, REPLY, raised(6)]


@pytest.mark.parametrize(
    ("frame", "kind", "names"),
    [
        (CALL, Kind.REQUEST, (b"thrift", b"say")),
        (MULTIPLEXED, Kind.REQUEST, (b"Echo", b"say")),
        (ONE_WAY, Kind.ONE_WAY, (b"thrift", b"say")),
        (call("a.b:c:say"), Kind.REQUEST, (b"a.b:c", b"say")),
        (call(""), Kind.REQUEST, (b"thrift", b"")),
    ],
)
def test_requests(frame: bytes, kind: Kind, names: tuple[bytes, bytes]) -> None:
    got = one(THRIFT, frame)
    assert got.kind == kind
    assert got.id == 7
    assert THRIFT.names(got.frame, got.shape) == names
    assert THRIFT.headers(got.frame, got.shape) == []


@pytest.mark.parametrize(
    ("frame", "status"),
    [(REPLY, 200), (raised(0), 500), (raised(1), 404), (raised(6), 500), (raised(7), 400), (raised(99), 500)],
)
def test_responses(frame: bytes, status: int) -> None:
    got = one(THRIFT, frame)
    assert got.kind == Kind.RESPONSE
    assert THRIFT.response_status(got.frame, got.shape) == status


def test_together_and_damaged() -> None:
    several(THRIFT, ALL)
    damaged(THRIFT, ALL)


def test_the_sequence_id_is_rewritten_and_nothing_else() -> None:
    for frame in ALL:
        got = one(THRIFT, frame)
        changed = with_id(THRIFT, got, 0xFFFF_FFF0)
        assert one(THRIFT, changed).id == 0xFFFF_FFF0
        assert with_id(THRIFT, one(THRIFT, changed), got.id) == frame


@pytest.mark.parametrize(
    ("name", "service", "method", "expected"),
    [
        ("say", b"thrift", b"sing", "sing"),
        ("say", b"Choir", b"sing", "Choir:sing"),
        ("Echo:say", b"Echo", b"sing", "Echo:sing"),
        ("Echo:say", b"Choir.of.many", b"say", "Choir.of.many:say"),
    ],
)
def test_other_names(name: str, service: bytes, method: bytes, expected: str) -> None:
    got = one(THRIFT, call(name))
    assert THRIFT.with_names(got.frame, got.shape, service, method) == call(expected)


@pytest.mark.parametrize(
    ("status", "number"),
    [
        (404, TApplicationException.UNKNOWN_METHOD),
        (400, TApplicationException.PROTOCOL_ERROR),
        (503, TApplicationException.INTERNAL_ERROR),
        (504, TApplicationException.INTERNAL_ERROR),
        (500, TApplicationException.INTERNAL_ERROR),
    ],
)
@pytest.mark.parametrize("name", ["say", "Echo:say"])
def test_local_replies_are_the_librarys_exceptions(status: int, number: int, name: str) -> None:
    got = one(THRIFT, call(name, sequence=-2))
    reply = THRIFT.reply(got.frame, got.shape, status, "no healthy upstream é".encode())
    read_name, sequence, error = exception(reply)
    assert (read_name, sequence, error.type, error.message) == (name, -2, number, "no healthy upstream é")
    answer = one(THRIFT, reply)
    assert (answer.kind, answer.id) == (Kind.RESPONSE, 0xFFFF_FFFE)


@pytest.mark.parametrize(
    "frame",
    [
        b"\0\0\0\x20" + b"\0\0\0\3say" + bytes(25),  # not strict: the name's length comes first
        b"\0\0\0\x10\x82\x21\1\3say" + bytes(20),  # compact protocol
        b"\0\0\0\x10\x0f\xff\0\0" + bytes(20),  # THeader
        b"\x80\1\0\1\0\0\0\3say\0\0\0\1\0\0\0\0\0\0",  # not framed
        b"\0\0\0\x10\x80\1\0\5" + bytes(20),  # no such type
        b"\0\0\0\7\x80\1\0\1\0\0\0\0",  # shorter than its own header
    ],
)
def test_other_transports_and_protocols_are_refused(frame: bytes) -> None:
    with pytest.raises(ValueError):
        read(THRIFT, [frame])


def test_a_name_beyond_the_frame_is_refused() -> None:
    with pytest.raises(ValueError):
        read(THRIFT, [b"\0\0\0\x10\x80\1\0\1\0\0\0\x09say\0\0\0\0\0"])


def test_it_is_not_detected() -> None:
    assert THRIFT.multiplexing == "ping_pong"
    assert THRIFT.heartbeat_interval == 0


# -- a client and a server of the library, and between them a relay that uses the codec -------------------------------


def relaying(downstream: socket.socket, upstream: socket.socket, seen: list[Read]) -> None:
    """Each request with an id of its own to the server, each answer back under the client's."""
    reader, answers = FrameReader(THRIFT), FrameReader(THRIFT)
    with downstream, upstream:
        while data := downstream.recv(7):
            reader.feed(data)
            while reader.read() == READY:
                request = Read(reader.kind, reader.id, bytes(reader.frame), reader.shape)
                seen.append(request)
                upstream.sendall(with_id(THRIFT, request, 1000 + len(seen)))
                if request.kind == Kind.ONE_WAY:
                    continue
                while answers.read() == MORE:
                    answers.feed(upstream.recv(5))
                answer = Read(answers.kind, answers.id, bytes(answers.frame), answers.shape)
                assert answer.id == 1000 + len(seen)
                downstream.sendall(with_id(THRIFT, answer, request.id))


@pytest.fixture
def seen() -> list[Read]:
    return []


@pytest.fixture
def client(seen: list[Read]) -> Iterator[TBinaryProtocol]:
    near, downstream = socket.socketpair()
    upstream, far = socket.socketpair()
    for each in (near, downstream, upstream, far):
        each.settimeout(20)
    threads = [
        threading.Thread(target=answering, args=(far,)),
        threading.Thread(target=relaying, args=(downstream, upstream, seen)),
    ]
    for thread in threads:
        thread.start()
    transport = TSocket()
    transport.setHandle(near)
    yield TBinaryProtocol(TFramedTransport(transport))
    transport.close()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def test_the_librarys_client_and_server(client: TBinaryProtocol, seen: list[Read]) -> None:
    assert ask(client, "say", "hello", 0) == "say hello"
    assert ask(client, "say", "x" * 100_000, -1) == "say " + "x" * 100_000
    write(client, "tell", TMessageType.ONEWAY, 5)
    echo = TMultiplexedProtocol(client, "Echo")
    assert ask(echo, "say", "hello", 6) == "Echo:say hello"
    with pytest.raises(TApplicationException, match="no such thing"):
        ask(client, "fail", "no such thing", 7)
    assert [THRIFT.names(r.frame, r.shape) for r in seen] == [
        (b"thrift", b"say"), (b"thrift", b"say"), (b"thrift", b"tell"), (b"Echo", b"say"), (b"thrift", b"fail"),
    ]  # fmt: skip
