from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import pytest

from tage.dataplane.protocols.xprotocol.bolt import Bolt
from tage.dataplane.protocols.xprotocol.frame import Kind
from tests.dataplane.protocols.xprotocol.reading import damaged, one, read, several, with_id
from tests.dataplane.protocols.xprotocol.vectors import load

BOLT = Bolt()
VERSION_1 = load("bolt1")
VERSION_2 = load("bolt2")
REAL = [(f"{n}/{name}", frame) for n, frames in ((1, VERSION_1), (2, VERSION_2)) for name, frame in frames.items()]
KINDS = {
    "request": Kind.REQUEST, "one-way": Kind.ONE_WAY, "response": Kind.RESPONSE,
    "heartbeat": Kind.HEARTBEAT, "heartbeat-ack": Kind.HEARTBEAT_ACK,
}  # fmt: skip


@dataclass
class Message:
    """A bolt frame taken apart by the layout in sofa-bolt's RpcCommandDecoder and RpcCommandDecoderV2."""

    version: tuple[int, int]
    kind: int
    command: int
    id: int
    codec: int
    switch: int
    number: int
    clazz: bytes
    header: dict[str, str]
    content: bytes


def decoded(frame: bytes) -> Message:
    at = 1
    ver1 = 1
    if frame[0] == 2:
        ver1, at = frame[1], 2
    kind, command, ver2, id, codec = struct.unpack_from(">BHBIB", frame, at)
    assert ver2 == 1
    at += 9
    switch = 0
    if frame[0] == 2:
        switch = frame[at]
        at += 1
    number, lengths = struct.unpack_from(">iH" if kind else ">HH", frame, at)
    at += 4 if kind else 2
    lengths = struct.unpack_from(">HHI", frame, at)
    at += 8
    parts = []
    for length in lengths:
        parts.append(frame[at : at + length])
        assert len(parts[-1]) == length
        at += length
    if ver1 == 2 and switch & 1:
        assert struct.unpack_from(">I", frame, at)[0] == zlib.crc32(frame[:at])
        at += 4
    assert at == len(frame)
    return Message((frame[0], ver1), kind, command, id, codec, switch, number, parts[0], header_map(parts[1]), parts[2])


def header_map(data: bytes) -> dict[str, str]:
    """SimpleMapSerializer."""
    strings: list[str | None] = []
    while data:
        length = struct.unpack_from(">i", data)[0]
        strings.append(None if length < 0 else data[4 : 4 + length].decode())
        data = data[4 + max(length, 0) :]
    return {k: v for k, v in zip(strings[::2], strings[1::2], strict=True) if k is not None and v is not None}


def pairs(*strings: str | None) -> bytes:
    encoded = [None if s is None else s.encode() for s in strings]
    return b"".join(b"\xff" * 4 if s is None else len(s).to_bytes(4, "big") + s for s in encoded)


def request(header: bytes, version: tuple[int, int] = (1, 1), switch: int = 0, kind: int = 1, command: int = 1,
            id: int = 7, content: bytes = b"arguments", timeout: int = 3000) -> bytes:  # fmt: skip
    clazz = b"com.alipay.sofa.rpc.core.request.SofaRequest" if command == 1 else b""
    frame = bytes(version[: version[0]]) + struct.pack(">BHBIB", kind, command, 1, id, 1)
    frame += bytes([switch]) * (version[0] - 1)
    frame += struct.pack(">iHHI", timeout, len(clazz), len(header), len(content)) + clazz + header + content
    return frame + (zlib.crc32(frame).to_bytes(4, "big") if version == (2, 2) and switch & 1 else b"")


VERSIONS = [((1, 1), 0), ((2, 1), 0), ((2, 1), 1), ((2, 2), 0), ((2, 2), 1), ((2, 2), 0xFF)]
HEADER = pairs("service", "com.x.Y:1.0", "sofa_head_method_name", "say", "k", "v")


@pytest.mark.parametrize(("name", "frame"), REAL, ids=[name for name, _ in REAL])
def test_what_sofarpc_has_written(name: str, frame: bytes) -> None:
    what = name.partition("/")[2]
    got = one(BOLT, frame)
    assert got.kind == next(kind for prefix, kind in sorted(KINDS.items(), reverse=True) if what.startswith(prefix))
    assert got.id == decoded(frame).id
    changed = decoded(with_id(BOLT, got, 0xFFFF_FFFE))
    assert changed == Message(**{**vars(decoded(frame)), "id": 0xFFFF_FFFE})
    assert with_id(BOLT, got, got.id) == frame


@pytest.mark.parametrize(("name", "frame"), [r for r in REAL if "request" in r[0] or "one-way" in r[0]])
def test_names_and_metadata_of_real_requests(name: str, frame: bytes) -> None:
    got = one(BOLT, frame)
    methods = {"request-object": b"order", "one-way": b"tell"}
    assert BOLT.names(got.frame, got.shape) == (
        b"com.tage.interop.Echo:1.0",
        methods.get(name.partition("/")[2], b"echo"),
    )
    headers = dict(BOLT.headers(got.frame, got.shape))
    assert headers.pop(b"version") == b"1.0"
    assert {k.decode(): v.decode() for k, v in headers.items()} == decoded(frame).header
    # What is only shown is not written.
    assert BOLT.with_headers(got.frame, got.shape, BOLT.headers(got.frame, got.shape)) == frame


def test_real_frames_together_and_damaged() -> None:
    frames = [frame for _, frame in REAL]
    several(BOLT, frames[:3] + frames[-6:])
    damaged(BOLT, frames)


@pytest.mark.parametrize(("version", "switch"), VERSIONS)
def test_every_version(version: tuple[int, int], switch: int) -> None:
    frame = request(HEADER, version, switch)
    got = one(BOLT, frame)
    assert (got.kind, got.id) == (Kind.REQUEST, 7)
    assert BOLT.names(got.frame, got.shape) == (b"com.x.Y:1.0", b"say")
    assert got.shape.timeout(frame) == 3000
    assert decoded(with_id(BOLT, got, 99)).id == 99
    edited = BOLT.with_headers(got.frame, got.shape, [(b"k", b"longer than before")])
    assert decoded(edited).header == {"k": "longer than before"}
    assert decoded(edited).content == b"arguments"
    renamed = BOLT.with_names(got.frame, got.shape, b"com.x.Z:2.0", b"sing")
    assert decoded(renamed).header == {"service": "com.x.Z:2.0", "sofa_head_method_name": "sing", "k": "v"}
    assert decoded(renamed).content == b"arguments"


@pytest.mark.parametrize(("version", "switch"), VERSIONS)
@pytest.mark.parametrize(
    ("kind", "command", "expected"),
    [(1, 1, Kind.REQUEST), (2, 1, Kind.ONE_WAY), (1, 0, Kind.HEARTBEAT), (1, 100, Kind.GO_AWAY)],
)
def test_kinds(version: tuple[int, int], switch: int, kind: int, command: int, expected: Kind) -> None:
    frame = request(b"", version, switch, kind, command, content=b"")
    assert one(BOLT, frame).kind == expected


@pytest.mark.parametrize(("version", "switch"), VERSIONS)
def test_heartbeats_are_answered_in_kind(version: tuple[int, int], switch: int) -> None:
    got = one(BOLT, request(b"", version, switch, 1, 0, content=b"", id=0xABCD))
    answer = BOLT.heartbeat_answer(got.frame, got.shape)
    assert one(BOLT, answer).kind == Kind.HEARTBEAT_ACK
    message = decoded(answer)
    assert (message.version, message.kind, message.command, message.id, message.number) == (version, 0, 0, 0xABCD, 0)


def test_what_tage_sends_itself() -> None:
    beat = decoded(BOLT.heartbeat_frame())
    assert (beat.version, beat.kind, beat.command) == ((1, 1), 1, 0)
    # SOFARPC's client closes a connection on which it finds a go-away, with all calls on it.
    assert BOLT.go_away_frame() is None


# What SOFARPC's Java client makes of each status: observed of 5.13.2, see the module's docstring.
REPLIES = {400: 9, 403: 2, 404: 6, 429: 4, 500: 2, 502: 2, 503: 4, 504: 7}


@pytest.mark.parametrize(("version", "switch"), VERSIONS)
@pytest.mark.parametrize("status", REPLIES)
def test_local_replies(version: tuple[int, int], switch: int, status: int) -> None:
    got = one(BOLT, request(HEADER, version, switch, id=0xDEAD))
    reply = BOLT.reply(got.frame, got.shape, status, "no way: é\U0001f3b6".encode())
    message = decoded(reply)
    assert (message.version, message.kind, message.command, message.id) == (version, 0, 2, 0xDEAD)
    assert message.switch == (switch if version[0] == 2 else 0)
    assert message.number == REPLIES[status]
    assert message.codec == 1
    assert message.header == {"tage-message": "no way: é\U0001f3b6"}
    if message.number == 2:
        # The client deserialises it: an object of that class, in SOFARPC's Hessian, with its text.
        clazz = b"com.alipay.remoting.rpc.exception.RpcServerException"
        assert message.clazz == clazz
        text = b"\x0bno way: \xc3\xa9\xed\xa0\xbc\xed\xbe\xb6"
        assert message.content == b"O\xc8\x34" + clazz + b"\x91\x0ddetailMessageo\x90" + text
    else:
        assert message.clazz == message.content == b""
    answer = one(BOLT, reply)
    assert (answer.kind, answer.id) == (Kind.RESPONSE, 0xDEAD)
    assert BOLT.response_status(answer.frame, answer.shape) == {403: 500, 429: 503, 502: 500}.get(status, status)


@pytest.mark.parametrize(
    ("service", "shown"),
    [
        ("com.x.Y", {}),
        ("com.x.Y:1.0", {b"version": b"1.0"}),
        ("com.x.Y:1.0:blue", {b"version": b"1.0", b"uniqueId": b"blue"}),
        ("com.x.Y::blue", {b"uniqueId": b"blue"}),
        ("com.x.Y:", {}),
    ],
)
def test_version_and_unique_id(service: str, shown: dict[bytes, bytes]) -> None:
    got = one(BOLT, request(pairs("service", service, "sofa_head_method_name", "say")))
    headers = BOLT.headers(got.frame, got.shape)
    rest = [h for h in headers if h[0] not in (b"version", b"uniqueId")]
    assert rest == [(b"service", service.encode()), (b"sofa_head_method_name", b"say")]
    assert dict(headers[2:]) == shown
    assert BOLT.names(got.frame, got.shape)[0] == service.encode()
    # An edit elsewhere leaves the header map's own entries alone, and writes nothing that was only shown.
    edited = BOLT.with_headers(got.frame, got.shape, [*headers, (b"added", b"1")])
    assert decoded(edited).header == {"service": service, "sofa_head_method_name": "say", "added": "1"}


def test_a_version_of_its_own_is_not_hidden() -> None:
    got = one(BOLT, request(pairs("service", "com.x.Y:1.0", "sofa_head_method_name", "say", "version", "7")))
    assert [v for k, v in BOLT.headers(got.frame, got.shape) if k == b"version"] == [b"7"]
    same = BOLT.with_headers(got.frame, got.shape, BOLT.headers(got.frame, got.shape))
    assert same == got.frame


def test_null_and_empty_strings() -> None:
    header = pairs("a", None, "service", "com.x.Y", None, "b", "sofa_head_method_name", "say", "e", "")
    got = one(BOLT, request(header))
    assert BOLT.names(got.frame, got.shape) == (b"com.x.Y", b"say")
    assert (b"e", b"") in BOLT.headers(got.frame, got.shape)


def test_older_clients_name_the_service_otherwise() -> None:
    got = one(BOLT, request(pairs("sofa_head_target_service", "com.x.Y:1.0", "sofa_head_method_name", "say")))
    assert BOLT.names(got.frame, got.shape) == (b"com.x.Y:1.0", b"say")


SOFA_REQUEST = b"com.alipay.sofa.rpc.core.request.SofaRequest"


@pytest.mark.parametrize("leading", [[b"N"], [b"\x06caller"], [b"\xe1", b"T"]])
def test_a_method_that_only_the_content_names(leading: list[bytes]) -> None:
    fields = [b"\x05first", b"\x06second"][: len(leading)]
    fields += [b"\x0amethodName", b"\x17targetServiceUniqueName"]
    content = b"O\xbc" + SOFA_REQUEST + bytes([0x90 + len(fields)]) + b"".join(fields) + b"o\x90"
    content += b"".join(leading) + b"\x03say\x0bcom.x.Y:1.0"
    got = one(BOLT, request(pairs("service", "com.x.Y:1.0"), content=content))
    assert BOLT.names(got.frame, got.shape) == (b"com.x.Y:1.0", b"say")


def test_other_names_go_into_the_content_too() -> None:
    frame = VERSION_2["request"]
    got = one(BOLT, frame)
    renamed = BOLT.with_names(got.frame, got.shape, b"com.x.Other:2.0", b"sing" * 20)
    before, after = decoded(frame), decoded(renamed)
    assert (after.header["service"], after.header["sofa_head_method_name"]) == ("com.x.Other:2.0", "sing" * 20)
    content = before.content.replace(b"\x04echo", b"S\0\x50" + b"sing" * 20)
    assert after.content == content.replace(b"\x19com.tage.interop.Echo:1.0", b"\x0fcom.x.Other:2.0")
    assert after.content != before.content
    again = one(BOLT, renamed)
    assert BOLT.with_names(again.frame, again.shape, b"com.tage.interop.Echo:1.0", b"echo") == frame


@pytest.mark.parametrize("content", [b"", b"O", b"O\xbc" + SOFA_REQUEST, b"\x0a\x03say", b"\xff" * 40, b"o\x90"])
def test_content_that_names_no_method(content: bytes) -> None:
    got = one(BOLT, request(pairs("service", "com.x.Y:1.0"), content=content))
    assert BOLT.names(got.frame, got.shape) == (b"com.x.Y:1.0", b"")


def test_header_maps_that_cannot_be_read() -> None:
    for header in (b"\0\0\0", b"\0\0\0\x09service", pairs("service"), b"\x7f\xff\xff\xff" + b"service"):
        got = one(BOLT, request(header))
        with pytest.raises(ValueError):
            BOLT.headers(got.frame, got.shape)


def test_a_header_map_beyond_its_length_field_is_refused() -> None:
    got = one(BOLT, request(HEADER))
    fits = [(b"k", b"v" * (0xFFFF - 9))]
    assert decoded(BOLT.with_headers(got.frame, got.shape, fits)).header["k"] == "v" * (0xFFFF - 9)
    with pytest.raises(ValueError, match="65,535"):
        BOLT.with_headers(got.frame, got.shape, [(b"k", b"v" * (0xFFFF - 8))])


def test_sizes_beyond_the_limit() -> None:
    with pytest.raises(ValueError, match="at most 16777216"):
        read(BOLT, [request(HEADER, content=b"")[:18] + b"\xff\xff\xff\xff"])


def test_a_large_frame_streams() -> None:
    frame = request(HEADER, (2, 2), 1, content=b"x" * 1_000_000)
    got = read(BOLT, [frame[i : i + 70_000] for i in range(0, len(frame), 70_000)])
    assert [r.frame for r in got] == [frame]


@pytest.mark.parametrize(
    "start", [b"\0", b"\3", b"GET / HTTP/1.1", b"\1\3", b"\1\1\0\7", b"\2\3\1", b"\2\1\3", b"\xda\xbb"]
)
def test_other_things_are_refused(start: bytes) -> None:
    with pytest.raises(ValueError):
        read(BOLT, [start + bytes(40)])


def test_detection() -> None:
    assert BOLT.discriminating
    for frame in (VERSION_1["request"], VERSION_2["request"], VERSION_1["heartbeat"]):
        assert BOLT.matches(frame) == 2
        assert BOLT.matches(frame[:1]) in (1, 2)
    for other in (b"GET / HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n", b"\x16\x03\x01\x02\0\x01\0", b"\xda\xbb\xc2\0"):
        assert BOLT.matches(other) == 0


def test_what_is_said_to_the_user_has_a_bound() -> None:
    got = one(BOLT, request(HEADER))
    message = decoded(BOLT.reply(got.frame, got.shape, 404, b"a" + "é".encode() * 50_000))
    assert message.header == {"tage-message": "a" + "é" * 2047}


@pytest.mark.parametrize("vectors", [VERSION_1, VERSION_2])
def test_heartbeats_are_answered_as_sofarpc_answers_them(vectors):
    beat = vectors["heartbeat"]
    shape = next(shape for shape in BOLT.shapes if shape.matches(beat, 0, len(beat)) == 2)
    assert BOLT.heartbeat_answer(beat, shape) == vectors["heartbeat-ack"]
