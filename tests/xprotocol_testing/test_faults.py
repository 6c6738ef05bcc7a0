"""Each check fails for a protocol that is wrong in what it looks at, and says where; a right one passes all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tage.cli.protocol import source
from tage.xprotocol import Frame, Kind, Protocol, u32
from tage.xprotocol_testing import CHECKS, NonconformanceError, Outcome, conformance, read

LEDGER = Path(__file__).parents[2] / "examples" / "protocols" / "ledger.py"
Ledger: Any = type(source.find(str(LEDGER)))


class NoResponse(Ledger):
    def example(self, kind):
        return None if kind == Kind.RESPONSE else super().example(kind)


class AnotherKind(Ledger):
    def example(self, kind):
        return super().example(Kind.ONE_WAY if kind == Kind.REQUEST else kind)


class Impatient(Protocol):
    """Takes what there is for a whole frame."""

    name = "impatient"
    request = Frame({0: b"IM\x01"}, header=8, id=u32(4), size="method")
    response = Frame({0: b"IM\x00"}, header=8, id=u32(4), size="method")

    def size(self, data, start, available, shape):
        return max(8, min(available, 8 + data[start + 3]))

    def reply(self, request, shape, status, message):
        return b"IM\x00\x00" + request[4:8]

    def response_status(self, frame, shape):
        return 200

    def example(self, kind):
        first = {Kind.REQUEST: b"IM\x01", Kind.RESPONSE: b"IM\x00"}
        return first[kind] + b"\x05" + bytes(4) + b"hello" if kind in first else None


class Insatiable(Impatient):
    """Waits for more than the frame."""

    name = "insatiable"

    def size(self, data, start, available, shape):
        return 8 + data[start + 3] if available > 8 + data[start + 3] else 0


class Careless(Ledger):
    """Believes in the lengths that a frame has."""

    def names(self, frame, shape):
        service, method = frame[24 : 24 + int.from_bytes(frame[12:14], "big")], b"m"
        if len(service) != int.from_bytes(frame[12:14], "big"):
            raise IndexError("beyond the frame")
        return service, method


class Nameless(Ledger):
    def names(self, frame, shape):
        return b"", b"method"


class WrongPair(Ledger):
    def names(self, frame, shape):
        return "service", "method"


class Unrenamed(Ledger):
    def with_names(self, frame, shape, service, method):
        return frame


class Forgetful(Ledger):
    """Drops the last of the metadata."""

    def with_headers(self, frame, shape, headers):
        return super().with_headers(frame, shape, headers[:-1] if len(headers) > 1 else headers)


class CutShort(Ledger):
    """A value that is too long is cut."""

    def with_headers(self, frame, shape, headers):
        return super().with_headers(frame, shape, [(name, value[:65_535]) for name, value in headers])


class Nobodys(Ledger):
    """Its answers have an id of their own."""

    def reply(self, request, shape, status, message):
        return super().reply(request[:4] + b"\0\0\0\7" + request[8:], shape, status, message)


class AllIsWell(Ledger):
    def reply(self, request, shape, status, message):
        answer = super().reply(request, shape, status, message)
        return answer[:8] + b"\0\0" + answer[10:]


class Busy(Ledger):
    """Says 503 whatever is meant."""

    def reply(self, request, shape, status, message):
        return super().reply(request, shape, 503, message)


class Mute(Ledger):
    def reply(self, request, shape, status, message):
        return None


class Echoing(Ledger):
    """Answers a heartbeat with a heartbeat."""

    def heartbeat_answer(self, frame, shape):
        return frame


class Shut(Ledger):
    """Knows nothing for its own."""

    def matches(self, prefix):
        return 0


class Greedy(Ledger):
    """Takes everything for its own."""

    def matches(self, prefix):
        return 2


class Bad(Ledger):
    def go_away_frame(self):
        return super().heartbeat_frame()


class Wandering(Protocol):
    """Where the id stands depends on the id."""

    name = "wandering"
    request = Frame({0: b"WA\x01"}, header=16, id=u32(None), length=u32(4))
    response = Frame({0: b"WA\x00"}, header=16, id=u32(None), length=u32(4))

    def id_at(self, frame, shape):
        return 8 if frame[8] == 0 else 12

    def reply(self, request, shape, status, message):
        return b"WA\x00\x00" + request[4:16]

    def response_status(self, frame, shape):
        return 200

    def example(self, kind):
        first = {Kind.REQUEST: b"WA\x01\0", Kind.RESPONSE: b"WA\x00\0"}
        return first[kind] + bytes(12) if kind in first else None


FAULTS: list[tuple[type[Any], str, str]] = [
    (NoResponse, "examples", "there is no example of a response"),
    (AnotherKind, "examples", "the example of a request is read as a one-way"),
    (Impatient, "split", "cut behind byte 8"),
    (Impatient, "truncated", "taken for a whole frame"),
    (Impatient, "random", "in pieces the same bytes are"),
    (Insatiable, "examples", "not read as one frame"),
    (Careless, "truncated", "names() raises IndexError: beyond the frame"),
    (Nameless, "names", "an empty service"),
    (WrongPair, "names", "neither two pieces of bytes nor None"),
    (Unrenamed, "names", "with other names, a request"),
    (Forgetful, "metadata", "are read back as [version=1.0]"),
    (Forgetful, "edits", "edited headers are"),
    (CutShort, "metadata", "a value of 70,000 bytes is not read back"),
    (Nobodys, "replies", "has the id 7"),
    (AllIsWell, "replies", "which is no failure"),
    (Busy, "replies", "is read as 503"),
    (Mute, "replies", "gives no bytes"),
    (Echoing, "heartbeat", "heartbeat_answer() is a heartbeat"),
    (Shut, "detection", "are not known for its own"),
    (Greedy, "detection", "taken for its own"),
    (Bad, "go-away", "go_away_frame() is a heartbeat"),
    (Wandering, "ids", ""),
]


@pytest.mark.parametrize(("faulty", "check", "what"), FAULTS, ids=lambda value: getattr(value, "__name__", None))
def test_a_fault_is_found_and_told(faulty: type[Any], check: str, what: str):
    report = conformance(faulty(), [check])
    [result] = report.results
    assert result.outcome is Outcome.FAILED, result
    assert what in result.what
    assert not report.ok
    with pytest.raises(NonconformanceError) as raised:
        report.verify()
    assert what in str(raised.value)
    if result.data is not None:
        assert result.data[:8].hex(" ") in str(raised.value)


def test_every_codec_check_is_among_them():
    from tage.xprotocol_testing import framing, meaning

    assert {*framing.CHECKS, *meaning.CHECKS} - {check for _, check, _ in FAULTS} <= {
        "concatenation",  # fails with "split", of which it is the reverse
        "oversize",  # the limits are the reader's own; the protocol has no part in them
        "unchanged",  # fails with "ids" and "edits"
    }


@pytest.mark.parametrize("check", CHECKS)
def test_a_right_one_passes(check: str):
    report = conformance(Ledger(), [check])
    report.verify()
    assert report.results[0].what


class Bare(Protocol):
    """The least that a protocol can be."""

    name = "bare"
    request = Frame({0: b"BA\x01"}, header=8, length=u32(4))
    response = Frame({0: b"BA\x00"}, header=8, length=u32(4))
    multiplexing = "ordered"

    def response_status(self, frame, shape):
        return 500 if frame[8:9] == b"!" else 200

    def reply(self, request, shape, status, message):
        return b"BA\x00\0" + (len(message) + 1).to_bytes(4, "big") + b"!" + message


def test_what_a_protocol_has_none_of_is_skipped_and_said():
    report = conformance(Bare())
    report.verify()
    skipped = {result.check: result.what for result in report.results if result.outcome is Outcome.SKIPPED}
    assert skipped["ids"] == "its frames have no id"
    assert "no names" in skipped["names"]
    assert "no metadata" in skipped["metadata"]
    assert "no heartbeats" in skipped["heartbeat"]
    assert "no example of one-way" in skipped["one-way"]


def test_the_same_seed_finds_the_same():
    first, second, other = (conformance(Careless(), ["random"], seed=seed).results[0] for seed in (3, 3, 4))
    assert first == second
    assert first != other


def test_frames_are_read():
    ledger = Ledger()
    request = ledger.example(Kind.REQUEST)
    seen = read(ledger, request + ledger.example(Kind.RESPONSE))
    assert [each.kind for each in seen] == [Kind.REQUEST, Kind.RESPONSE]
    with pytest.raises(ValueError, match="behind 1 frames: 10 bytes are not a whole frame"):
        read(ledger, request + request[:10])
    with pytest.raises(ValueError, match="behind 1 frames"):
        read(ledger, request + b"nonsense" * 9)
