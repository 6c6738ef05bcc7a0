from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyhessian.parser import Parser

from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.protocols.writer import ByteWriter
from tage.dataplane.protocols.xprotocol.dubbo import Dubbo
from tage.dataplane.protocols.xprotocol.edits import edited_frame
from tage.dataplane.protocols.xprotocol.frame import Kind
from tage.dataplane.protocols.xprotocol.hessian import Dialect
from tage.dataplane.protocols.xprotocol.hessian_text import encode_map, encode_string
from tage.dataplane.protocols.xprotocol.message import RpcRequest, RpcResponse, new_request
from tage.dataplane.protocols.xprotocol.reader import FrameReader, Progress
from tage.dataplane.protocols.xprotocol.shape import Shape, put_frame
from tests.dataplane.protocols.xprotocol.hessian_values import Values
from tests.dataplane.protocols.xprotocol.vectors import load

DUBBO = Dubbo()
JAVA = load("dubbo2")
SERVICE = b"com.tage.interop.Echo"
RNG = st.integers(0, 2**32 - 1).map(random.Random)


def frame(flags: int, body: bytes, status: int = 0, id: int = 7) -> bytes:
    return b"\xda\xbb" + bytes((flags, status)) + id.to_bytes(8, "big") + len(body).to_bytes(4, "big") + body


def call(
    *names: str | None, types: str = "", arguments: bytes = b"", attachments: bytes = b"HZ", flags: int = 0xC2
) -> bytes:
    """`names`: path, version and method, of the last some may be missing."""
    given = [*names, "1.0", "go"][:3] if len(names) == 1 else list(names)
    texts = ["2.0.2", *given, types]
    body = b"".join(b"N" if text is None else encode_string(text.encode()) for text in texts)
    return frame(flags, body + arguments + attachments)


def read(data: bytes, **limits: int) -> FrameReader:
    reader = FrameReader(DUBBO, **limits)
    reader.feed(data)
    assert reader.read() in (Progress.READY, Progress.BEGUN), reader.error
    return reader


def request(data: bytes) -> RpcRequest:
    return new_request(DUBBO, read(data))


def shape(data: bytes) -> Shape:
    return read(data).shape


def metadata(data: bytes) -> dict[bytes, bytes]:
    return dict(DUBBO.headers(data, shape(data)))


def edited(data: bytes, **changes: object) -> bytes:
    """Puts these headers; None: removes. `path`, `authority`: those."""
    edits = HeaderEdits()
    for name, value in changes.items():
        if name in ("path", "authority"):
            setattr(edits, name, value)
        elif value is None:
            edits.remove(name.encode())
        else:
            edits.put(name.encode(), value)
    head = request(data)
    assert head.names()
    return edited_frame(head, edits)


# -- frames ------------------------------------------------------------------------------------------------------------


KINDS = {"one-way": Kind.ONE_WAY, "heartbeat": Kind.HEARTBEAT, "heartbeat-ack": Kind.HEARTBEAT_ACK}


@pytest.mark.parametrize("name", JAVA)
def test_frames_of_java(name: str) -> None:
    """Whole and byte by byte, with another behind."""
    data = JAVA[name]
    kind = Kind.REQUEST if name.startswith("request") else Kind.RESPONSE
    kind = Kind.GO_AWAY if name == "readonly" else KINDS.get(name, kind)
    for pieces in ([data + data], [bytes((byte,)) for byte in data + data]):
        reader, seen = FrameReader(DUBBO), []
        for piece in pieces:
            reader.feed(piece)
            while reader.read() == Progress.READY:
                seen.append((reader.frame, reader.kind, reader.id))
        assert seen == [(data, kind, int.from_bytes(data[4:12], "big"))] * 2
        assert reader.error is None


def test_detected() -> None:
    assert DUBBO.discriminating
    assert [DUBBO.matches(prefix) for prefix in (b"", b"\xda", b"\xda\xbb", b"\xda\xbb\xc2", b"GET ")] == [
        1,
        1,
        1,
        2,
        0,
    ]
    assert DUBBO.matches(b"\xda\xbc\x80") == 0


@pytest.mark.parametrize("data", [b"\xda\xba", b"GET / HTTP/1.1\r\n", b"\xda\xbb\xc2\0" + bytes(8) + b"\xff" * 4])
def test_no_frame(data: bytes) -> None:
    reader = FrameReader(DUBBO)
    reader.feed(data)
    assert reader.read() == Progress.FAILED
    assert reader.error


@pytest.mark.parametrize("id", [0, 1, 2**32, 2**63, 2**64 - 1])
def test_ids(id: int) -> None:
    data = frame(0xC2, JAVA["request"][16:], id=id)
    reader = read(data)
    assert reader.id == id
    out = ByteWriter()
    put_frame(out, data, reader.shape, DUBBO, 2**64 - 2)
    assert out.take() == frame(0xC2, JAVA["request"][16:], id=2**64 - 2)


def test_a_mebibyte_of_arguments() -> None:
    argument = encode_string(b"x" * (1 << 20))
    data = call("a.B", "1.0", "go", types="Ljava/lang/String;", arguments=argument, attachments=b"H\1k\1vZ")
    reader = read(data)
    assert reader.left == len(data) - len(reader.frame) > 0
    begun = new_request(DUBBO, reader)
    assert begun.names()
    assert begun.path == b"/a.B/go"
    begun.complete()
    assert begun.malformed  # its attachments are yet to come
    whole = new_request(DUBBO, read(data, whole=16 << 20))
    assert whole.header(b"k") == b"v"
    renamed = DUBBO.with_names(reader.frame, reader.shape, b"a.B", b"longer")
    assert renamed + data[len(reader.frame) :] == call(
        "a.B", "1.0", "longer", types="Ljava/lang/String;", arguments=argument, attachments=b"H\1k\1vZ"
    )
    with pytest.raises(ValueError, match="arguments"):
        DUBBO.with_names(reader.frame, reader.shape, b"a.C", b"go")


# -- service and method ------------------------------------------------------------------------------------------------


def test_names_of_java() -> None:
    methods = {"request": b"echo", "request-object": b"order", "request-timeout": b"slow", "one-way": b"tell"}
    for name, method in methods.items():
        head = request(JAVA[name])
        assert head.names()
        assert (head.authority, head.path) == (SERVICE, b"/" + SERVICE + b"/" + method)
        assert head.one_way == (name == "one-way")


def test_equal_names_are_the_same_objects() -> None:
    first, second = request(JAVA["request"]), request(frame(0xC2, JAVA["request"][16:], id=99))
    assert first.names()
    assert second.names()
    assert first.path is second.path
    assert first.authority is second.authority


@pytest.mark.parametrize("path", ["a.B", "ü.Ψ水", "a.😀", "x" * 32, "x" * 1024, "😀" * 20])
@pytest.mark.parametrize("version", [None, "", "1.0"])
def test_names(path: str, version: str | None) -> None:
    data = call(path, version, "m😀")
    assert DUBBO.names(data, shape(data)) == (path.encode(), "m😀".encode())


def test_names_in_chunks() -> None:
    body = b"\x052.0.2" + b"R\0\x02a.\x01B" + b"N" + b"R\0\x00S\0\x02go" + b"\0HZ"
    data = frame(0xC2, body)
    assert DUBBO.names(data, shape(data)) == (b"a.B", b"go")


@pytest.mark.parametrize(
    "body",
    [b"", b"N", b"\x052.0.2", b"\x052.0.2NN\x01m\0HZ", b"\x052.0.2\x01aNN\0HZ", b"\x052.0.2\x90N\x01m\0HZ",
     b"\x052.0.2\x01aN\x02m", b"\x01v\0N\x01m\0HZ", b"\x01v\x01 N\x01m\0HZ"],
)  # fmt: skip
def test_names_that_are_none(body: bytes) -> None:
    head = request(frame(0xC2, body))
    assert not head.names()


def test_names_are_read_from_what_is_there() -> None:
    data = JAVA["request"]
    behind = data.index(b"\x12Ljava")
    for size in range(len(data)):
        assert (DUBBO.names(data[:size], shape(data)) is not None) == (size >= behind)


def test_with_names() -> None:
    """Path and method, and what the attachments say of the path; all else as it came."""
    data = JAVA["request"]
    changed = DUBBO.with_names(data, shape(data), b"com.Other", b"speak")
    assert changed[16:] == data[16:].replace(b"\x15" + SERVICE, b"\x09com.Other").replace(b"\x04echo", b"\x05speak")
    assert changed[:12] == data[:12]
    assert read(changed).size == len(changed)
    assert DUBBO.with_names(data, shape(data), SERVICE, b"echo") == data
    assert edited(data, authority=b"com.Other", path=b"/com.Other/speak") == changed
    only = DUBBO.with_names(data, shape(data), SERVICE, b"speak")
    assert only[16:] == data[16:].replace(b"\x04echo", b"\x05speak")


def test_with_names_where_the_path_has_a_context() -> None:
    """Dubbo 3 writes the interface, and the path that a provider looks up as an attachment."""
    data = call("a.B", "1.0", "go", attachments=encode_map([(b"path", b"ctx/a.B"), (b"x", b"y")]))
    changed = DUBBO.with_names(data, shape(data), b"a.C", b"go")
    assert changed == call("a.C", "1.0", "go", attachments=encode_map([(b"path", b"a.C"), (b"x", b"y")]))
    bare = call("a.B", "1.0", "go", attachments=b"N")
    assert DUBBO.with_names(bare, shape(bare), b"a.C", b"go") == call("a.C", "1.0", "go", attachments=b"N")


# -- metadata ----------------------------------------------------------------------------------------------------------


def test_metadata_of_java() -> None:
    assert metadata(JAVA["request-object"]) == {
        b"path": SERVICE, b"remote.application": b"caller", b"interface": SERVICE, b"version": b"1.0",
        b"timeout": b"10000", b"dubbo": b"2.0.2",
    }  # fmt: skip
    for name in ("response", "response-object", "response-exception", "response-null"):
        assert metadata(JAVA[name]) == {b"dubbo": b"2.0.2"}
    assert metadata(JAVA["response-unknown-service"]) == {}


@pytest.mark.parametrize(
    ("value", "timeout"), [(b"200", 200), (b"0", 0), (b"-1", 0), (b"1s", 0), (b"", 0), (b"9" * 20, 0), (None, 0)]
)
def test_the_timeout_counts_once_metadata_are_read(value: bytes | None, timeout: int) -> None:
    entries = [] if value is None else [(b"timeout", value)]
    head = request(call("a.B", "1.0", "go", attachments=encode_map(entries)))
    assert head.timeout == 0
    head.complete()
    assert head.timeout == timeout


def test_version_and_dubbo_stand_beside_the_attachments() -> None:
    assert metadata(call("a.B", "1.2", "go")) == {b"version": b"1.2", b"dubbo": b"2.0.2"}
    assert metadata(call("a.B", None, "go", attachments=b"N")) == {b"dubbo": b"2.0.2"}
    said = encode_map([(b"version", b"2"), (b"dubbo", b"3.3.6"), (b"group", b"g")])
    assert metadata(call("a.B", "1", "go", attachments=said)) == {
        b"version": b"2", b"dubbo": b"3.3.6", b"group": b"g",
    }  # fmt: skip


@settings(deadline=None)
@given(rng=RNG, texts=st.dictionaries(st.text(max_size=9).map("_{}".format), st.text(max_size=9)))
def test_attachments_behind_anything(rng: random.Random, texts: dict[str, str]) -> None:
    """Whatever the arguments are, and whatever else the map holds: strings are shown, the rest stays."""
    values = Values(Dialect.FINAL, rng)
    types = rng.choices(["I", "[J", "Ljava/lang/Object;", "[[Lcom/tage/Ü;"], k=rng.randrange(4))
    arguments = b"".join(values.value() for _ in types)
    opening = rng.choice((b"H", b"M" + values.string()))
    entries = [values.string(key) + values.string(text) for key, text in texts.items()]
    odd = [values.integer(number) + values.value() for number in range(rng.randrange(3))]
    odd += [values.string(f"odd {number}") + values.integer() for number in range(rng.randrange(2))]
    mixed = list(odd)  # in their order: one may use a class of another
    for entry in entries:
        mixed.insert(rng.randrange(len(mixed) + 1), entry)
    data = call(
        "a.B", None, "go", types="".join(types), arguments=arguments, attachments=opening + b"".join(mixed) + b"Z"
    )
    shown = {key.encode(): text.encode() for key, text in texts.items()}
    assert metadata(data) == {b"dubbo": b"2.0.2", **shown}
    same = DUBBO.with_headers(data, shape(data), DUBBO.headers(data, shape(data)))
    assert same == data
    more = DUBBO.with_headers(data, shape(data), [*DUBBO.headers(data, shape(data)), (b"new one", "ü😀".encode())])
    assert metadata(more) == {**metadata(data), b"new one": "ü😀".encode()}
    assert more.startswith(data[:12])
    assert more.endswith(encode_string(b"new one") + encode_string("ü😀".encode()) + b"Z")
    assert more[16:].startswith(data[16:-1])
    less = DUBBO.with_headers(data, shape(data), [(b"dubbo", b"2.0.2")])
    odd_ones = b"".join(entry for entry in mixed if entry in odd)
    assert metadata(less) == {b"dubbo": b"2.0.2"}
    if not entries:
        assert less == data
    else:
        assert less[16:].endswith(opening + odd_ones + b"Z")


def test_headers_are_edited() -> None:
    data = JAVA["request"]
    assert edited(data, nothing=None) == data
    assert edited(data, version=b"1.0") == data
    assert edited(data, **{"remote.application": b"other"}) == _with(data, b"\x06caller", b"\x05other")
    assert edited(data, **{"remote.application": None}) == _with(data, b"\x12remote.application\x06caller", b"")
    assert edited(data, group=b"g") == _with(data, b"\x0510000Z", b"\x0510000\x05group\x01gZ")


def _with(data: bytes, old: bytes, new: bytes) -> bytes:
    body = data[16:].replace(old, new)
    return data[:12] + len(body).to_bytes(4, "big") + body


def test_the_version_is_edited_in_both_its_places() -> None:
    data = JAVA["request"]
    assert edited(data, version=b"2.0.0") == _with(data, b"\x031.0", b"\x052.0.0")
    gone = edited(data, version=None)
    assert gone == _with(_with(data, b"\x07version\x031.0", b""), b"\x031.0", b"N")
    bare = call("a.B", "1.0", "go")
    assert edited(bare, version=b"2") == call("a.B", "2", "go")
    assert edited(bare, version=None) == call("a.B", None, "go")
    assert edited(bare, dubbo=b"3") == call("a.B", "1.0", "go", attachments=encode_map([(b"dubbo", b"3")]))
    differing = call("a.B", "1", "go", attachments=encode_map([(b"version", b"2")]))
    assert edited(differing, x=b"y") == call(
        "a.B", "1", "go", attachments=encode_map([(b"version", b"2"), (b"x", b"y")])
    )


def test_a_string_in_place_of_what_is_none() -> None:
    """What was there stays, for the class in it; the last of a name counts."""
    odd = b"\x01aC\x01X\x91\x01x\x60\x91\x01b\x60\x92"
    data = call("a.B", "1.0", "go", attachments=b"H" + odd + b"Z")
    changed = edited(data, a=b"text")
    assert changed == call("a.B", "1.0", "go", attachments=b"H" + odd + b"\x01a\x04textZ")
    assert metadata(changed)[b"a"] == b"text"
    assert edited(changed, a=b"other") == call("a.B", "1.0", "go", attachments=b"H" + odd + b"\x01a\x05otherZ")
    assert edited(changed, a=None) == data


def test_the_last_of_a_name_counts() -> None:
    data = call("a.B", "1.0", "go", attachments=b"H\1a\1x\1a\1yZ")
    assert metadata(data)[b"a"] == b"y"
    assert edited(data, b=b"z") == call("a.B", "1.0", "go", attachments=b"H\1a\1y\1b\1zZ")


def test_headers_of_one_name_become_one() -> None:
    data = call("a.B", "1.0", "go")
    changed = DUBBO.with_headers(data, shape(data), [*DUBBO.headers(data, shape(data)), (b"x", b"1"), (b"x", b"2")])
    assert changed == call("a.B", "1.0", "go", attachments=b"H\x01x\x031,2Z")


def test_attachments_where_there_were_none() -> None:
    data = call("a.B", "1.0", "go", attachments=b"N")
    assert edited(data, x=b"y") == call("a.B", "1.0", "go", attachments=b"H\x01x\x01yZ")


def test_what_stands_behind_the_attachments_stays() -> None:
    data = call("a.B", "1.0", "go", attachments=b"HZ\x01?")
    assert edited(data, x=b"y") == call("a.B", "1.0", "go", attachments=b"H\x01x\x01yZ\x01?")


def test_answers_are_edited() -> None:
    data = JAVA["response-object"]
    changed = DUBBO.with_headers(data, shape(data), [(b"dubbo", b"2.0.2"), (b"x", b"y")])
    assert changed == _with(data, b"\x052.0.2Z", b"\x052.0.2\x01x\x01yZ")
    assert DUBBO.with_headers(data, shape(data), []) == _with(data, b"H\x05dubbo\x052.0.2Z", b"HZ")


@pytest.mark.parametrize(
    "data",
    [
        frame(2, b"\x91\x05hello", 20),  # its client asked for no attachments
        frame(2, b"\x92", 20),
        JAVA["response-unknown-service"],
        frame(6, b"\x94\x05helloHZ", 20),  # fastjson
        frame(2, b"", 20),
    ],
)
def test_answers_without_a_place_for_attachments(data: bytes) -> None:
    assert DUBBO.headers(data, shape(data)) == []
    assert DUBBO.with_headers(data, shape(data), [(b"x", b"y")]) == data


@pytest.mark.parametrize(
    "data",
    [
        call("a.B", "1", "go", types="I"),
        call("a.B", "1", "go", types="I", arguments=b"Z"),
        call("a.B", "1", "go", types="?", arguments=b"N"),
        call("a.B", "1", "go", types="Ljava/lang/String", arguments=b"N"),
        call("a.B", "1", "go", attachments=b""),
        call("a.B", "1", "go", attachments=b"\x90"),
        call("a.B", "1", "go", attachments=b"H"),
        call("a.B", "1", "go", attachments=b"H\x01kZ"),
        call("a.B", "1", "go", attachments=b"H\x01k\x02v"),
        frame(2, b"\x94\x05hello", 20)[:-1],
        frame(2, b"\x94\x05hello", 20),
        frame(2, b"\x95\x90", 20),
    ],
)
def test_malformed(data: bytes) -> None:
    """Answers in ValueError, here and for whoever asks for the headers."""
    which = read(JAVA["request" if data[2] & 0x80 else "response"]).shape
    with pytest.raises(ValueError):
        DUBBO.headers(data, which)


def test_headers_are_read_from_what_is_there() -> None:
    data = JAVA["request-object"]
    which = shape(data)
    for size in range(len(data)):
        with pytest.raises(ValueError):
            DUBBO.headers(data[:size], which)
        with pytest.raises(ValueError):
            DUBBO.with_headers(data[:size], which, [(b"x", b"y")])


@settings(deadline=None)
@given(data=st.binary(max_size=120), rng=RNG)
def test_whatever_comes(data: bytes, rng: random.Random) -> None:
    """Only ValueError, and what is read can be written."""
    good = JAVA[rng.choice(["request", "request-object", "response", "response-exception"])]
    at = rng.randrange(16, len(good))
    body = rng.choice((data, good[16:at] + data, good[16:at] + data[:3] + good[at + 3 :]))
    for wire in (frame(0xC2, body), frame(0x02, body, 20)):
        which = shape(wire)
        try:
            headers = DUBBO.headers(wire, which)
            changed = DUBBO.with_headers(wire, which, [*headers, (b"x-new", b"v")])
        except ValueError:
            continue
        if changed != wire:
            assert dict(DUBBO.headers(changed, which)) == {**dict(headers), b"x-new": b"v"}


# -- other serializations ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("serialization", [3, 6, 8, 9, 23])
def test_other_serializations(serialization: int) -> None:
    data = frame(0xC0 | serialization, b'"2.0.2"\n"a.B"\n')
    head = request(data)
    assert not head.names()
    words = f"serialization {serialization} is carried at depth FRAME only".encode()
    answer = DUBBO.reply(data, head.shape, 400, b"malformed request")
    assert answer == frame(2, encode_string(b"malformed request: " + words), 40)
    assert DUBBO.reply(data, head.shape, 503, b"no") == frame(2, b"\x02no", 100)
    with pytest.raises(ValueError, match=words.decode()):
        DUBBO.headers(data, head.shape)
    ping = frame(0xE0 | serialization, b"null")
    assert read(ping).kind == Kind.HEARTBEAT
    assert DUBBO.heartbeat_answer(ping, shape(ping)) == frame(0x20 | serialization, b"null", 20)
    assert read(frame(0xA0 | serialization, b'"R"\n')).kind == Kind.GO_AWAY
    assert read(frame(0xA0 | serialization, b'"W"\n')).kind == Kind.IGNORED


# -- answers and events ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("http", "own"),
    [(400, 40), (403, 40), (404, 60), (408, 30), (429, 100), (500, 80), (502, 80), (503, 100), (504, 31)],
)
def test_replies(http: int, own: int) -> None:
    data = frame(0xC2, JAVA["request"][16:], id=2**64 - 1)
    answer = DUBBO.reply(data, shape(data), http, "no provider for ü😀".encode())
    reader = read(answer)
    assert (reader.kind, reader.id) == (Kind.RESPONSE, 2**64 - 1)
    assert answer[2:4] == bytes((2, own))
    assert _parsed(answer[16:]) == "no provider for ü😀"
    assert DUBBO.reply(JAVA["one-way"], shape(JAVA["one-way"]), http, b"no") is None


def _parsed(data: bytes) -> object:
    """By another implementation: as the result in a reply of Hessian 2."""
    return Parser().parse_string(b"H\x02\x00R" + data).value


def test_an_answer_of_success_is_null() -> None:
    assert DUBBO.reply(JAVA["request"], shape(JAVA["request"]), 200, b"ignored")[16:] == b"\x92"


@pytest.mark.parametrize(
    ("own", "http"),
    [(20, 200), (25, 500), (30, 504), (31, 504), (35, 503), (40, 400), (50, 500), (60, 404), (70, 500), (80, 500),
     (90, 400), (100, 503), (0, 500), (255, 500)],
)  # fmt: skip
def test_statuses(own: int, http: int) -> None:
    response = RpcResponse()
    response.load(DUBBO, read(frame(2, b"\x02no", own)))
    assert response.status == http
    assert response.header(b"rpc-status") == str(own).encode()


def test_an_exception_of_the_service_is_an_answer() -> None:
    response = RpcResponse()
    response.load(DUBBO, read(JAVA["response-exception"]))
    assert response.status == 200


def test_heartbeats() -> None:
    ping, pong = JAVA["heartbeat"], JAVA["heartbeat-ack"]
    assert DUBBO.heartbeat_answer(ping, shape(ping)) == pong
    assert DUBBO.heartbeat_frame() == ping[:4] + bytes(8) + ping[12:]
    assert read(frame(0xE2, b"\x01?")).kind == Kind.IGNORED
    assert read(frame(0xA2, b"N")).kind == Kind.IGNORED  # no answer is wanted


def test_readonly() -> None:
    wire = JAVA["readonly"]
    assert DUBBO.go_away_frame() == wire[:4] + bytes(8) + wire[12:]
    assert read(frame(0xA2, b"\x01W")).kind == Kind.IGNORED
    assert read(frame(0xA2, b"\x02RR")).kind == Kind.IGNORED


@pytest.mark.parametrize("kind", [Kind.REQUEST, Kind.ONE_WAY, Kind.RESPONSE, Kind.HEARTBEAT, Kind.HEARTBEAT_ACK,
                                  Kind.GO_AWAY])  # fmt: skip
def test_examples(kind: Kind) -> None:
    example = DUBBO.example(kind)
    assert read(example).kind == kind
    if kind <= Kind.ONE_WAY:
        assert DUBBO.names(example, shape(example)) == (b"com.example.Service", b"call")
        assert metadata(example)[b"version"] == b"1.0"


def test_no_example() -> None:
    assert DUBBO.example(Kind.IGNORED) is None
