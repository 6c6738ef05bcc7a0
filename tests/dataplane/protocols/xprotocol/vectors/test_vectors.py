"""The committed frames are whole: their own length fields, and bolt v2's checksum, say so."""

from __future__ import annotations

import zlib

import pytest

from tests.dataplane.protocols.xprotocol.vectors import load


def _bolt(frame: bytes, start: int) -> int:
    """The length that the header says. `start`: of a request's timeout (4 bytes) or an answer's status (2)."""
    kind = frame[frame[0]]  # it stands at 1 in version 1, at 2 in version 2
    at = start + (4 if kind else 2)
    lengths = (frame[at : at + 2], frame[at + 2 : at + 4], frame[at + 4 : at + 8])
    return at + 8 + sum(int.from_bytes(each, "big") for each in lengths)


@pytest.mark.parametrize("name", load("bolt1"))
def test_bolt1(name: str) -> None:
    frame = load("bolt1")[name]
    assert frame[0] == 1
    assert _bolt(frame, 10) == len(frame)


@pytest.mark.parametrize("name", load("bolt2"))
def test_bolt2(name: str) -> None:
    frame = load("bolt2")[name]
    assert frame[:2] == b"\2\2"
    summed = frame[11] & 1
    assert _bolt(frame, 12) == len(frame) - 4 * summed
    if summed:
        assert frame[-4:] == zlib.crc32(frame[:-4]).to_bytes(4, "big")


@pytest.mark.parametrize("name", load("dubbo2"))
def test_dubbo2(name: str) -> None:
    frame = load("dubbo2")[name]
    assert frame[:2] == b"\xda\xbb"
    assert 16 + int.from_bytes(frame[12:16], "big") == len(frame)
