"""What a protocol does with its declarations, and what it leaves to the methods of a subclass."""

from __future__ import annotations

import gc
import random
from contextlib import suppress
from typing import Any

import pytest

from tage.dataplane.protocols.xprotocol.build import built
from tage.dataplane.protocols.xprotocol.reader import FrameReader, Progress
from tage.xprotocol import Frame, Kind, Protocol, ProtocolError, u16

from .protocols import DECLARED, Bolted, Flagged, Ledger, Little, Ordered, Varying, flagged

REQUEST = 0


def shape_of(protocol: Protocol, kind: Kind, index: int = 0) -> Any:
    return [shape for shape in protocol.shapes if shape.kind == kind][index]


def read(protocol: Protocol, frame: bytes) -> FrameReader:
    reader = FrameReader(protocol)
    reader.feed(frame)
    assert reader.read() == Progress.READY, reader.error
    assert reader.read() == Progress.MORE
    return reader


@pytest.mark.parametrize("cls", DECLARED)
def test_examples(cls: type[Protocol]):
    protocol = cls()
    for kind in Kind:
        frame = protocol.example(kind)
        if frame is None:
            assert kind not in [shape.kind for shape in protocol.shapes]
            continue
        reader = read(protocol, frame)
        assert reader.kind == kind
        if kind <= Kind.ONE_WAY:
            assert protocol.names(frame, reader.shape) == (b"com.example.Service", b"call")
        if reader.shape.metadata >= 0:
            assert protocol.headers(frame, reader.shape)[-1] == (b"version", b"1.0")


def test_no_examples_of_what_is_not_declared():
    assert Varying().example(Kind.REQUEST) is None
    assert Ordered().example(Kind.HEARTBEAT) is None
    assert Flagged().example(Kind.RESPONSE) is not None


# -- names -------------------------------------------------------------------------------------------------------------


def test_names_of_parts():
    protocol = Ledger()
    shape = protocol.shapes[0]
    frame = built(shape, 1, parts={"service": b"a.B", "method": b"m"})
    assert protocol.names(frame, shape) == (b"a.B", b"m")
    assert protocol.names(built(shape, 1, parts={"service": b"a.B"}), shape) == (b"a.B", b"")
    for end in range(24, len(frame)):
        assert protocol.names(frame[:end], shape) is None
    assert protocol.names(frame[:10], shape) is None


@pytest.mark.parametrize("name", [b"", b"a b", b"a\n", b"\0", b"a\x7f", b"x" * 4097])
def test_names_that_are_none(name: bytes):
    protocol = Ledger()
    shape = protocol.shapes[0]
    assert protocol.names(built(shape, 1, parts={"service": name, "method": b"m"}), shape) is None
    if name:
        assert protocol.names(built(shape, 1, parts={"service": b"s", "method": name}), shape) is None


def test_names_of_metadata():
    protocol = Bolted()
    shape = protocol.shapes[0]

    def names(*items: tuple[bytes, bytes], cut: int = 0) -> tuple[bytes, bytes] | None:
        metadata = protocol.metadata.write(list(items))
        return protocol.names(built(shape, 1, parts={"metadata": metadata[: len(metadata) - cut]}), shape)

    service, old = (b"service", b"a.B:1.0"), (b"sofa_head_target_service", b"old.A")
    method = (b"sofa_head_method_name", b"m")
    assert names(service, method) == (b"a.B:1.0", b"m")
    assert names(method, (b"x", b"y"), old) == (b"old.A", b"m")
    assert names(old, service, method) == (b"a.B:1.0", b"m")  # the first of the keys, not of the pairs
    assert names(service, (b"service", b"second"), method) == (b"second", b"m")
    assert names(service) == (b"a.B:1.0", b"")
    assert names(method) is None
    assert names((b"service2", b"x"), (b"servic", b"x"), method) is None
    assert names(service, method, cut=1) is None  # truncated, though what is looked for is there
    null = b"\0\0\0\x07service\xff\xff\xff\xff"
    assert protocol.names(built(shape, 1, parts={"metadata": null}), shape) is None


def test_equal_names_are_the_same_objects():
    protocol = Ledger()
    shape = protocol.shapes[0]
    frames = [built(shape, i, parts={"service": b"a.B%d" % (i % 3), "method": b"m"}) for i in range(9)]
    calls = []
    for frame in frames:
        reader = read(protocol, frame)
        from tage.dataplane.protocols.xprotocol.message import new_request

        head = new_request(protocol, reader)
        assert head.names()
        calls.append(head)
    for i in range(3, 9):
        assert calls[i].path is calls[i % 3].path
        assert calls[i].authority is calls[i % 3].authority
    assert calls[0].path == b"/a.B0/m"


def test_slashes_do_not_confuse_names():
    protocol = Ledger()
    shape = protocol.shapes[0]
    for _ in range(2):
        for service, method in ((b"a", b"b/c"), (b"a/b", b"c"), (b"a", b""), (b"ab", b"c"), (b"a", b"bc")):
            frame = built(shape, 1, parts={"service": service, "method": method})
            assert protocol.names(frame, shape) == (service, method)


def test_remembered_names_are_bounded():
    from tage.dataplane.protocols.xprotocol.message import new_request

    protocol = Ledger()
    shape = protocol.shapes[0]
    before = len(gc.get_objects())
    for i in range(30_000):
        frame = built(shape, i, parts={"service": b"com.example.Service%d" % i, "method": b"m"})
        head = new_request(protocol, read(protocol, frame))
        assert head.names()
        assert head.path == b"/com.example.Service%d/m" % i
        assert head.authority == b"com.example.Service%d" % i
    gc.collect()
    assert len(gc.get_objects()) - before < 5000


def test_long_names_are_read_and_not_remembered():
    protocol = Ledger()
    shape = protocol.shapes[0]
    for size in (250, 255, 256, 257, 4000):
        frame = built(shape, 1, parts={"service": b"s" * (size - 1), "method": b"m"})
        assert protocol.names(frame, shape) == (b"s" * (size - 1), b"m")


def test_names_of_a_method():
    protocol = Flagged()
    shape = protocol.shapes[0]
    assert protocol.has_names
    assert protocol.names(flagged(0xC0, 1, b"a\nb\nrest"), shape) == (b"a", b"b")


@pytest.mark.parametrize("answer", [None, (None, b"m"), (b"s", None), (b"", b"m"), (b"a b", b"m"), ValueError("no")])
def test_names_that_a_method_cannot_read(answer: Any):
    from tage.dataplane.protocols.xprotocol.message import new_request

    def names(self: Any, frame: bytes, shape: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    protocol = type("Mine", (Ledger,), {"names": names})()
    head = new_request(protocol, read(protocol, protocol.example(Kind.REQUEST)))
    assert not head.names()
    assert (head.authority, head.path) == (b"", b"")


def test_what_else_a_method_raises_reaches_the_connection():
    from tage.dataplane.protocols.xprotocol.message import new_request

    def names(self: Any, frame: bytes, shape: Any) -> Any:
        raise KeyError("oops")

    protocol = type("Mine", (Ledger,), {"names": names})()
    head = new_request(protocol, read(protocol, protocol.example(Kind.REQUEST)))
    with pytest.raises(KeyError):
        head.names()


def test_whether_there_are_names():
    assert [cls().has_names for cls in (Ledger, Little, Bolted, Flagged, Varying, Ordered)] == [True] * 5 + [False]
    assert Ordered().names(b"\0\0\0\1\1x", Ordered().shapes[0]) is None


# -- headers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", DECLARED)
@pytest.mark.parametrize("kind", [Kind.REQUEST, Kind.RESPONSE])
def test_other_headers(cls: type[Protocol], kind: Kind):
    protocol = cls()
    frame = protocol.example(kind)
    shape = read(protocol, frame).shape
    items = protocol.headers(frame, shape)
    assert protocol.with_headers(frame, shape, items) == frame
    for changed in ([], items[1:], [*items, (b"more", b"x" * 100)], [(b"a", b""), (b"a", b"b")]):
        other = protocol.with_headers(frame, shape, changed)
        assert protocol.headers(other, read(protocol, other).shape) == changed
        assert protocol.with_headers(other, shape, items) == frame


def test_headers_that_do_not_fit():
    protocol = Ledger()
    frame = protocol.example(Kind.REQUEST)
    with pytest.raises(ValueError, match="metadata: 65,536 bytes, of which a length of 2 says 65,535"):
        protocol.with_headers(frame, protocol.shapes[0], [(b"k", bytes(65_536))])
    bolted = Bolted()
    frame = bolted.example(Kind.REQUEST)
    with pytest.raises(ValueError, match=r"the part metadata: .* does not fit the field u16\(16\)"):
        bolted.with_headers(frame, bolted.shapes[0], [(b"k", bytes(65_536))])


def test_where_there_is_no_place_for_headers():
    protocol = Ordered()
    shape = protocol.shapes[0]
    assert protocol.headers(b"\0\0\0\1\1x", shape) == []
    assert protocol.with_headers(b"\0\0\0\1\1x", shape, []) == b"\0\0\0\1\1x"
    with pytest.raises(ValueError, match="a request of the protocol ordered-1 has no place for metadata"):
        protocol.with_headers(b"\0\0\0\1\1x", shape, [(b"a", b"b")])


def test_headers_that_are_not_all_there():
    protocol = Ledger()
    frame = protocol.example(Kind.REQUEST)
    shape = protocol.shapes[0]
    end = shape.part(frame, "metadata")[1]
    assert protocol.headers(frame[:end], shape) == [(b"version", b"1.0")]
    for cut in (0, 10, 24, 30, end - 1):
        with pytest.raises(ValueError):
            protocol.headers(frame[:cut], shape)
    broken = built(shape, 1, parts={"metadata": b"\0\1a"})
    with pytest.raises(ValueError):
        protocol.headers(broken, shape)


# -- other names -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", DECLARED)
def test_other_names(cls: type[Protocol]):
    protocol = cls()
    for shape in [s for s in protocol.shapes if s.kind <= Kind.ONE_WAY]:
        frame = protocol.example(Kind.REQUEST) if shape.index == 0 and shape.kind == 0 else None
        if frame is None:
            continue
        assert protocol.with_names(frame, shape, b"com.example.Service", b"call") is frame
        for names in ((b"a", b"call"), (b"com.example.Service", b"m"), (b"a.longer.Service.than.it.was", b"other")):
            other = protocol.with_names(frame, shape, *names)
            assert protocol.names(other, read(protocol, other).shape) == names
            assert protocol.with_names(other, shape, b"com.example.Service", b"call") == frame


def test_names_under_several_keys_change_together():
    protocol = Bolted()
    shape = protocol.shapes[0]
    items = [(b"sofa_head_target_service", b"a"), (b"x", b"a"), (b"service", b"a")]
    frame = built(shape, 1, parts={"metadata": protocol.metadata.write(items), "body": b"body"})
    other = protocol.with_names(frame, shape, b"b", b"m")
    assert protocol.headers(other, shape) == [
        (b"sofa_head_target_service", b"b"), (b"x", b"a"), (b"service", b"b"), (b"sofa_head_method_name", b"m")
    ]  # fmt: skip


def test_names_that_have_no_place():
    protocol = Ledger()
    frame = protocol.example(Kind.REQUEST)
    with pytest.raises(ValueError, match="the part service: 65,536 does not fit"):
        protocol.with_names(frame, protocol.shapes[0], bytes(65_536), b"m")
    with pytest.raises(ValueError, match="the service of a request cannot be read"):
        protocol.with_names(built(protocol.shapes[0], 1), protocol.shapes[0], b"s", b"m")
    flags = Flagged()
    with pytest.raises(ValueError, match="the service of a request has no place that is known"):
        flags.with_names(flagged(0xC0, 1, b"a\nb\nc"), flags.shapes[0], b"x", b"b")


# -- statuses and local answers ----------------------------------------------------------------------------------------


def test_statuses():
    protocol = Ledger()
    assert [protocol.http_status(i) for i in (0, 1, 2, 3, 4, 5, 255, 256, 70_000, -1)] == [
        200, 500, 504, 503, 404, 500, 500, 500, 500, 500
    ]  # fmt: skip
    assert type("Mine", (Ledger,), {"statuses": {1000: 200, 1: 503}})().http_status(1000) == 200


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        ({404: 4, 503: 3, 504: 2, 500: 1}, {404: 4, 503: 3, 504: 2, 500: 1, 502: 1, 400: 1, 403: 1, 200: 0, 204: 0}),
        ({404: 4, 400: 9, 500: 1}, {404: 4, 400: 9, 403: 9, 429: 9, 503: 1, 599: 1, 200: 0}),
        ({}, {404: 4, 504: 2, 500: 1, 502: 1, 400: 1, 200: 0}),
        ({200: 7, 500: 1}, {200: 7, 201: 0}),
    ],
)
def test_which_of_its_statuses_a_local_answer_has(replies: dict[int, int], expected: dict[int, int]):
    protocol = type("Mine", (Ledger,), {"replies": replies})()
    request = protocol.example(Kind.REQUEST)
    shape = protocol.shapes[0]
    for http, own in expected.items():
        reader = read(protocol, protocol.reply(request, shape, http, b"why"))
        assert reader.kind == Kind.RESPONSE
        assert reader.id == 1
        assert reader.shape.status(reader.frame) == own, http
        assert reader.frame.endswith(b"why")


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_local_answer_is_of_the_requests_version(index: int):
    protocol = Bolted()
    shape = shape_of(protocol, Kind.REQUEST, index)
    request = built(shape, 0xABCDEF01, parts={"metadata": b"", "body": b"x"})
    reader = read(protocol, protocol.reply(request, shape, 504, b"upstream request timeout"))
    assert (reader.shape.name, reader.id) == (f"response[{index}]", 0xABCDEF01)
    assert reader.shape.status(reader.frame) == 7
    assert protocol.reply(request, shape_of(protocol, Kind.ONE_WAY, index), 504, b"") is None


def test_words_that_are_too_long_are_cut_at_a_character():
    cls = type("Mine", (Ordered,), {
        "response": Frame({4: b"\2"}, header=7, status=u16(5), length=u16(0), parts=None),
    })  # fmt: skip
    protocol = cls()
    shape = protocol.shapes[0]
    reader = read(protocol, protocol.reply(b"\0\0\0\1\1x", shape, 500, "ä".encode() * 40_000))
    assert reader.frame[7:] == "ä".encode() * 32_767


def test_heartbeats():
    protocol = Ledger()
    reader = read(protocol, protocol.heartbeat_frame())
    assert (reader.kind, reader.id) == (Kind.HEARTBEAT, 0)
    asked = built(shape_of(protocol, Kind.HEARTBEAT), 99)
    answer = read(protocol, protocol.heartbeat_answer(asked, shape_of(protocol, Kind.HEARTBEAT)))
    assert (answer.kind, answer.id) == (Kind.HEARTBEAT_ACK, 99)
    assert protocol.can_answer_heartbeats
    assert not Ordered().can_answer_heartbeats
    assert Ordered().heartbeat_frame() is None
    for index in range(3):
        bolted = Bolted()
        shape = shape_of(bolted, Kind.HEARTBEAT, index)
        answer = read(bolted, bolted.heartbeat_answer(built(shape, 5), shape))
        assert (answer.shape.name, answer.id) == (f"heartbeat_ack[{index}]", 5)


def test_go_away():
    protocol = Ledger()
    assert read(protocol, protocol.go_away_frame()).kind == Kind.GO_AWAY
    assert Ordered().go_away_frame() is None


# -- detection ---------------------------------------------------------------------------------------------------------


def test_a_prefix():
    protocol = Ledger()
    no, more, yes = 0, 1, 2
    frame = protocol.example(Kind.REQUEST)
    assert [protocol.matches(frame[:n]) for n in range(6)] == [more] * 4 + [yes] * 2
    assert protocol.matches(frame + b"more") == yes
    for other in (b"GET / HTTP/1.1\r\n", b"PRI * HTTP/2.0", b"\x16\x03\x01", b"LX", b"LG\1\x09"):
        assert protocol.matches(other) == no
    bolted = Bolted()
    assert bolted.matches(b"\1") == more
    assert bolted.matches(b"\3") == no


def test_which_protocols_are_told_by_their_first_bytes():
    assert [cls().discriminating for cls in (Ledger, Bolted, Flagged, Varying)] == [True] * 4
    assert not Little().discriminating
    assert not Ordered().discriminating


# -- the class ---------------------------------------------------------------------------------------------------------


def test_what_a_subclass_defines_is_noted():
    assert Ledger().overridden == frozenset()
    assert Flagged().overridden == {"names", "classify"}
    assert type("Mine", (Flagged,), {})().overridden == {"names", "classify"}


def test_the_base_is_no_protocol():
    with pytest.raises(ProtocolError, match=r"Protocol\.name"):
        Protocol()


def test_one_id_space():
    assert Ledger().id_most == 0xFFFFFFFF
    assert Little().id_most == 0xFFFFFF
    assert Flagged().id_most == (1 << 64) - 1
    assert Ordered().id_most == 0


def test_random_frames_never_escape():
    """Whatever a frame holds, names are None or text, headers a list or a ValueError."""
    draw = random.Random(3)
    for cls in DECLARED:
        protocol = cls()
        for _ in range(2000):
            frame = bytearray(protocol.example(draw.choice([Kind.REQUEST, Kind.RESPONSE])))
            shape = next(s for s in protocol.shapes if s.matches(bytes(frame), 0, len(frame)) == 2)
            for _ in range(draw.randrange(1, 6)):
                frame[draw.randrange(len(frame))] = draw.choice((0, 1, 3, 127, 128, 255))
            data = bytes(frame[: draw.randrange(len(frame) + 1)])
            names = protocol.names(data, shape)
            assert names is None or all(isinstance(name, bytes) for name in names)
            with suppress(ValueError):
                assert isinstance(protocol.headers(data, shape), list)
