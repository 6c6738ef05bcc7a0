"""What the rows of HTTP/2 and gRPC ask and what they are answered: `bench.nghttpd` serves it, `bench.load.http2` asks
for it.

A gRPC message on the wire is a flag byte, its length in four bytes, and its bytes (gRPC over HTTP2, Length-Prefixed-
Message). nghttpd knows media types by a file's ending: so the methods' paths have one.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.backend import BODY_BYTES, body_of

HOST = "shop.bench.test"
CLUSTER = "items"
GRPC_HEADERS = (("content-type", "application/grpc"), ("te", "trailers"))
STREAM_MESSAGE_BYTES = 16379
"""With its prefix a message is 16 KiB, the largest DATA frame that both sides take by default."""
STREAM_MESSAGES = 640


def grpc_message(content: bytes) -> bytes:
    return b"\0" + len(content).to_bytes(4, "big") + content


@dataclass(frozen=True)
class Exchange:
    """One request and the answer to it: status 200, and `piece`, `pieces` times."""

    path: str
    piece: bytes
    pieces: int = 1
    headers: tuple[tuple[str, str], ...] = ()
    message: bytes = b""
    """The request's body, which is then a POST; empty: a GET."""
    grpc: bool = False
    """Trailers with grpc-status 0 follow the answer."""

    @property
    def method(self) -> str:
        return "POST" if self.message else "GET"

    @property
    def answer(self) -> bytes:
        return self.piece * self.pieces

    @property
    def answer_bytes(self) -> int:
        return len(self.piece) * self.pieces


PLAIN = Exchange("/api/items/42?lang=en", body_of(CLUSTER))
UNARY = Exchange(
    "/bench.Items/Get.grpc",
    grpc_message(body_of(CLUSTER)),
    headers=GRPC_HEADERS,
    message=grpc_message(b"q" * BODY_BYTES),
    grpc=True,
)
STREAM = Exchange(
    "/bench.Items/List.grpc",
    grpc_message(b"s" * STREAM_MESSAGE_BYTES),
    pieces=STREAM_MESSAGES,
    headers=GRPC_HEADERS,
    message=grpc_message(b"q" * BODY_BYTES),
    grpc=True,
)
"""A server-streaming call whose answer has 10 MiB."""
EXCHANGES = (PLAIN, UNARY, STREAM)
