"""What is wrong with a class is said in words, when it is instantiated."""

from __future__ import annotations

from typing import Any

import pytest

from tage.xprotocol import Frame, Kind, Protocol, ProtocolError, pairs, u8, u16, u24, u32, u64

from .protocols import Bolted, Flagged, Ledger, Little, Ordered, Varying

REQUEST, RESPONSE = Ledger.request, Ledger.response


def refused(match: str, base: type[Protocol] = Ledger, **attributes: Any) -> None:
    with pytest.raises(ProtocolError, match=match):
        type("Mine", (base,), attributes)()


@pytest.mark.parametrize("cls", [Bolted, Flagged, Ledger, Little, Ordered, Varying])
def test_those_of_the_tests_are_in_order(cls: type[Protocol]):
    assert cls().shapes


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (REQUEST.but(timeout=u32(22)), r"timeout=u32\(22\) ends at 26, outside the header of 24 bytes"),
        (REQUEST.but({24: 1}), "the test of the byte at 24 is outside the header of 24 bytes"),
        (REQUEST.but(parts={"body": u32(30)}), r"parts\['body'\]=u32\(30\) ends at 34, outside the header"),
        (REQUEST.but(header=0), "header=0: a header has 1 to 4096 bytes"),
        (REQUEST.but(header=5000), "header=5000"),
        (REQUEST.but(id=u32(5).plus(1)), "an id is unsigned, as it stands"),
        (REQUEST.but(id=u32(5).masked(0xF0)), "its mask the lowest bits"),
        (REQUEST.but(id=u32(3)), "stands on the tested byte at 3, and ids are rewritten"),
        (REQUEST.but(id=u32(9)), r"stands where timeout=u32\(8\) does, and ids are rewritten"),
        (REQUEST.but(id=u32(None)), r"define id_at\(\), which tells where the id stands"),
        (REQUEST.but(timeout=u32(None)), r"timeout=u32\(None\) stands at no offset"),
        (REQUEST.but(timeout=u32(-4)), "stands at no offset"),
        (REQUEST.but(timeout=8), r"timeout=8 is no field: u8\(offset\), u16\(offset\) and so on"),
        (REQUEST.but(timeout=u8(8).masked(0x1FF)), "the mask is wider than the field"),
        (REQUEST.but(timeout=u8(8).plus(1 << 40)), r"at most 2\*\*32 more or less"),
        (REQUEST.but(parts={str(i): u8(i) for i in range(17)}), "17 parts; at most 16"),
        (REQUEST.but(size="method"), r"define size\(\), which tells where the frame ends"),
        (REQUEST.but(size="guess"), "size='guess' is neither 'declared' nor 'method'"),
        (REQUEST.but(crc=True), "a CRC-32 is a trailer of 4 bytes, so trailer=4"),
        (REQUEST.but(trailer=-1), "trailer=-1"),
        (REQUEST.but(kind=Kind.ONE_WAY), "kind= is for frames declared as `event`"),
        (REQUEST.but(id=None), "multiplexed calls need an id= to tell them apart"),
        ("frame", "'frame' is no Frame"),
        (Frame({0: 300}, header=4), "the test 0: 300 is neither a byte"),
    ],
)
def test_frames_that_cannot_be(frame: Any, words: str):
    refused(rf"^Mine\.request: .*{words}", request=frame, one_way=None)


def test_the_frame_is_named_by_its_place():
    refused(r"^Mine\.request\[1\]: .*outside the header", request=(REQUEST, REQUEST.but({3: 9}, timeout=u32(22))))


def test_a_response_says_how_the_call_went():
    refused(r"Mine\.response: .*give status=, or define response_status\(\)", response=RESPONSE.but(status=None))


def test_frames_that_the_same_bytes_may_be():
    refused(
        r"Mine\.request and Mine\.one_way: the same bytes may be either; test one more",
        one_way=REQUEST.but({3: (0x01, 1)}),
    )
    refused(r"Mine\.heartbeat\[0\] and Mine\.heartbeat\[1\]: the same", heartbeat=(Ledger.heartbeat, Ledger.heartbeat))


def test_what_a_protocol_has_to_have():
    refused(r"Mine\.request: no frame is declared: a protocol has requests", request=None, one_way=None)
    refused(r"Mine\.response: no frame is declared: requests have responses", response=None)
    type("Mine", (Ledger,), {"request": None, "response": None})()  # one way only


@pytest.mark.parametrize("name", ["", "Ledger", "a b", "-a", "a--b", "a_b", None, "1a"])
def test_names(name: Any):
    refused(r"Mine\.name: .*lower-case letters, digits and single dashes", name=name)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"multiplexing": "some"}, "Mine.multiplexing: 'some' is none of multiplexed, ping_pong, ordered"),
        ({"heartbeat_interval": -1}, "Mine.heartbeat_interval: -1: milliseconds, 0: none"),
        ({"heartbeat_interval": "15s"}, "Mine.heartbeat_interval: '15s'"),
        ({"statuses": {0: 99}}, "Mine.statuses: 99 is no HTTP status"),
        ({"statuses": {"OK": 200}}, "does not map a status of the protocol to an HTTP status"),
        ({"replies": {700: 1}}, "Mine.replies: 700 is no HTTP status"),
        ({"replies": {500: 70_000}}, r"70000 does not fit Mine.response's status=u16\(8\)"),
        ({"replies": None}, "does not map an HTTP status"),
        ({"metadata": "pairs"}, "Mine.metadata: 'pairs' is no encoding"),
        ({"service_keys": "service"}, "Mine.service_keys: 'service' is no tuple of names"),
        ({"metadata": None, "method_keys": ("m",)}, r"names in the metadata need `metadata = pairs\(...\)`"),
        ({"response": RESPONSE.but(id=u16(4))}, "the ids of requests and responses have different widths"),
        (
            {"event": Frame({0: b"EV"}, header=4)},
            r"Mine.event: define classify\(\), which tells what kind an event is, or give the frame a kind=",
        ),
    ],
)
def test_attributes_that_cannot_be(attributes: dict[str, Any], words: str):
    refused(words, **attributes)


def test_metadata_needs_its_part():
    refused("Mine.metadata: no frame has a part `metadata`", Ordered, metadata=pairs(u16))


def test_methods_that_are_needed():
    refused(r"define reply\(\): with size\(\) no answer can be built from it", Varying, reply=Protocol.reply)
    refused(r"size='method' leaves no parts=", Varying, request=Varying.request.but(length=u16(1)))
    refused(r"define id_at\(\)", Varying, id_at=Protocol.id_at)
    refused(r"define classify\(\)", Flagged, classify=Protocol.classify)
    refused(
        r"Mine.response: define reply\(\): without a status= none can be built",
        response=RESPONSE.but(status=None),
        response_status=lambda self, frame, shape: 200,
    )


def test_too_many_frames():
    frame = Frame({0: 1}, header=8, id=u24(4), status=u64(0))
    refused("65 frames are declared; at most 64", request=REQUEST, one_way=None, response=RESPONSE,
            heartbeat=None, heartbeat_ack=None, go_away=None,
            event=tuple(frame.but({0: i}, kind=Kind.IGNORED, status=None) for i in range(100, 163)))  # fmt: skip


def test_an_events_kind_may_be_declared():
    cls = type("Mine", (Ledger,), {"event": Frame({0: b"EV"}, header=4, kind=Kind.IGNORED)})
    assert [Kind(s.kind) for s in cls().shapes][-1] is Kind.IGNORED


def test_a_class_that_forgets_the_base():
    from tage.dataplane.protocols.xprotocol.reader import FrameReader

    forgetful = type("Mine", (Ledger,), {"__init__": lambda self: None})
    with pytest.raises((ValueError, AttributeError)):
        FrameReader(forgetful())
