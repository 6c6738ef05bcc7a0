"""Protocol detection: an answer never changes, 24 bytes decide, and it agrees with the parsers it leads to."""

from __future__ import annotations

from collections.abc import Hashable

from fuzz.target import Target
from tage.dataplane.net.client_hello import ClientHelloParser
from tage.dataplane.net.detect import LIMIT, Protocol, detect
from tage.dataplane.net.verdict import Verdict
from tests.dataplane.net import hellos
from tests.dataplane.protocols.http1 import cases


def seeds() -> list[bytes]:
    wires = [case.wire for case in cases.REQUESTS] + [case.wire for case in cases.REFUSED]
    return [wire[:64] for wire in wires + [sample.wire for sample in hellos.made()]]


def check(data: bytes) -> Hashable:
    answer: int = Protocol.UNDECIDED
    for end in range(min(len(data), LIMIT + 8) + 1):
        before, answer = answer, detect(data[:end])
        assert before in (Protocol.UNDECIDED, answer), "the answer changed"
    assert detect(data) == answer
    assert len(data) < LIMIT or answer != Protocol.UNDECIDED
    verdict = ClientHelloParser().read(data)
    if answer != Protocol.UNDECIDED:
        assert (verdict == Verdict.OTHER) == (answer != Protocol.TLS), "the ClientHello's parser sees it otherwise"
    return answer, data[:1]


def consume(data: bytes) -> None:
    detect(data)


TARGET = Target(
    name="detect",
    seeds=seeds,
    check=check,
    consume=consume,
    max_memory=4096,
    tokens=[
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT ",
        b"HTTP/1.",
        b"http://",
        b"https://",
        b" /",
        b" * ",
        b"\r\n",
    ],
    max_size=64,
)
