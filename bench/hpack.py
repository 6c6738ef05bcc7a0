"""`python -m bench.hpack`: what the heads of HTTP/2 cost to read and to write.

The data plane's own codec, in this process: no frames, no sockets. A figure is the best of several rounds, in
nanoseconds of CPU time for one head. The calls from Python, which the worker does not make, are measured with nothing
to do and taken off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

from bench import micro
from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.protocols.http1.request import RequestDecoder
from tage.dataplane.protocols.http2.fields import BlockKind, Fields
from tage.dataplane.protocols.http2.heads import Http2ResponseHead, request_head, response_head, trailer_lines
from tage.dataplane.protocols.http2.hpack.decoder import HpackDecoder
from tage.dataplane.protocols.http2.hpack.encoder import HpackEncoder
from tage.dataplane.protocols.http2.write import write_request, write_response, write_trailers
from tage.dataplane.protocols.writer import ByteWriter

HEADINGS = ("head", "fields", "block", "ns to read", "ns to write")
HEADS = 1_024
"""Different heads of one kind, one after the other: what does not repeat in them must not look as if it did."""
_FIRST = 3
"""Blocks after which what repeats is in the table."""
Pairs = list[tuple[bytes, bytes]]
PSEUDO = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/api.Reviews/Get"), (b":authority", b"reviews:80")]


@dataclass(frozen=True)
class Kind:
    name: str
    block: BlockKind
    pairs: Pairs
    id_at: int = -1
    """Which field has another value in every head."""

    def head(self, number: int) -> Pairs:
        pairs = list(self.pairs)
        if self.id_at >= 0:
            name, value = pairs[self.id_at]
            pairs[self.id_at] = (name, b"%08x" % (number * 2_654_435_761 & 0xFFFFFFFF) + value[8:])
        return pairs


UUID = b"00000000-5f1c-4d0a-9c6e-2b7d1f3a8e90"
KINDS = (
    Kind("request of h2load", BlockKind.REQUEST, [
        (b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"h.example.com"),
        (b"user-agent", b"h2load nghttp2/1.52.0"), (b"accept", b"*/*"),
    ]),
    Kind("request in a mesh", BlockKind.REQUEST, [
        *PSEUDO, (b"content-type", b"application/grpc"), (b"te", b"trailers"), (b"user-agent", b"grpc-python/1.74.0"),
        (b"grpc-accept-encoding", b"identity, deflate, gzip"), (b"x-forwarded-proto", b"http"),
        (b"x-forwarded-for", b"10.1.2.3"), (b"x-request-id", UUID), (b"x-envoy-attempt-count", b"1"),
    ], id_at=10),
    Kind("response", BlockKind.RESPONSE, [
        (b":status", b"200"), (b"content-type", b"text/plain"), (b"content-length", b"100"),
        (b"server", b"nghttpd nghttp2/1.52.0"), (b"cache-control", b"max-age=3600"),
    ]),
    Kind("trailers of gRPC", BlockKind.TRAILERS, [(b"grpc-status", b"0"), (b"grpc-message", b"")]),
)  # fmt: skip


def blocks(kind: Kind) -> list[bytes]:
    """As a connection has them one after the other."""
    encoder, out = HpackEncoder(), ByteWriter()
    result = []
    for number in range(HEADS):
        encoder.begin(out)
        for name, value in kind.head(number):
            encoder.put_field(out, name, value)
        result.append(out.take())
    return result


def reading(kind: Kind, rounds: int) -> tuple[float, int]:
    """Nanoseconds, bytes of a block."""
    decoder, fields, into, read_as = HpackDecoder(), Fields(), Http2ResponseHead(), int(kind.block)
    all_of_them = blocks(kind)
    for block in all_of_them[:_FIRST]:
        fields.reset(read_as, 65_536, 100)
        if not decoder.decode(block, 0, len(block), fields):
            raise AssertionError(decoder.error)
    each = cycle([(block, len(block)) for block in all_of_them[_FIRST:]])
    make: Callable[[], object] = {
        BlockKind.REQUEST: lambda: request_head(fields, True),
        BlockKind.RESPONSE: lambda: response_head(fields, into, False, False),
        BlockKind.TRAILERS: lambda: trailer_lines(fields),
    }[kind.block]

    def one() -> None:
        block, size = next(each)
        fields.reset(read_as, 65_536, 100)
        decoder.decode(block, 0, size, fields)
        make()

    def nothing() -> None:
        _, _ = next(each)
        fields.reset(read_as, 65_536, 100)
        decoder.decode(b"", 0, 0, fields)
        make()  # the message is malformed, or has no lines

    return micro.measure(one, rounds) - micro.measure(nothing, rounds), len(next(each)[0])


def writing(kind: Kind, rounds: int) -> float:
    heads: list = []
    for number in range(HEADS):
        encoder, fields, into = HpackEncoder(), Fields(), Http2ResponseHead()
        out = ByteWriter()
        for name, value in kind.head(number):
            encoder.put_field(out, name, value)
        fields.reset(kind.block, 65_536, 100)
        block = out.take()
        if not HpackDecoder().decode(block, 0, len(block), fields) or fields.problem:
            raise AssertionError(fields.problem)
        if kind.block == BlockKind.REQUEST:
            heads.append(request_head(fields, True))
        elif kind.block == BlockKind.TRAILERS:
            heads.append(trailer_lines(fields))
        elif response_head(fields, into, False, False):
            heads.append(into)
    if kind.block == BlockKind.TRAILERS:
        return timed(cycle(heads), lambda encoder, out, lines, _: write_trailers(encoder, out, lines), rounds)
    return timed(cycle(heads), write_request if kind.block == BlockKind.REQUEST else write_response, rounds)


def timed(each: Iterator, write, rounds: int) -> float:
    encoder, out, edits = HpackEncoder(), ByteWriter(), HeaderEdits()

    def one() -> None:
        write(encoder, out, next(each), edits)
        out.take()

    def nothing() -> None:
        encoder.put_lines(out, b"")  # a call as well
        next(each)
        out.take()

    return micro.measure(one, rounds) - micro.measure(nothing, rounds)


def from_http1(rounds: int) -> float:
    """A request that came by HTTP/1.1."""
    heads = []
    for number in range(HEADS):
        lines = [b"GET / HTTP/1.1", b"Host: h.example.com"]
        lines += [name.title() + b": " + value for name, value in KINDS[1].head(number)[6:]]
        decoder = RequestDecoder()
        decoder.feed(b"\r\n".join(lines) + b"\r\n\r\n")
        if decoder.read_head() != 1:
            raise AssertionError(decoder.error)
        heads.append(decoder.head)
    return timed(cycle(heads), write_request, rounds)


def cells(rounds: int) -> Iterator[Sequence[str]]:
    for kind in KINDS:
        read, size = reading(kind, rounds)
        yield kind.name, str(len(kind.pairs)), f"{size} B", f"{read:,.0f}", f"{writing(kind, rounds):,.0f}"
    yield "request of HTTP/1.1", "10", "", "", f"{from_http1(rounds):,.0f}"


if __name__ == "__main__":
    micro.run("hpack", "Heads of HTTP/2", HEADINGS, cells)
