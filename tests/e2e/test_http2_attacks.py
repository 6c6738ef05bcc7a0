"""What a hostile HTTP/2 client may try: each attack ends its own connection or stream, costs the sidecar little memory,
and leaves other connections alone."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterator

import hpack
import pytest

from tests.e2e.backend import Answer, Backend, Request, mirror
from tests.e2e.bootstraps import bootstrap, cluster, listener, route, virtual_host
from tests.e2e.frames import (
    COMPRESSION_ERROR,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    LARGEST_WINDOW,
    PING,
    PRIORITY,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    SETTINGS,
    WINDOW,
    Peer,
    frame,
    rst_stream,
    settings,
    window_update,
)
from tests.e2e.ports import LOOPBACK, PATIENCE, free_port, until
from tests.e2e.processes import Memory
from tests.e2e.raw import ending
from tests.e2e.sidecar import Sidecar, sidecar

pytestmark = pytest.mark.processes

MIB = 1024
"""Of `Memory`, which counts KiB."""
ATTACK = 8 * MIB
"""What the sidecar's worker may grow by in an attack, its own buffers and freed pages of the allocator included."""
UNREAD = 192
"""For each answer that nobody takes: what waits in the stream, and the last reads of its upstream connection."""
CALMED = (ENHANCE_YOUR_CALM, None)
"""How a flood ends: a connection that is closed while bytes are still on their way to it may lose its GOAWAY."""
ENDLESS = 64 << 20
STREAMS = 100
"""At a time on a connection, as the listener allows."""


async def _endless(size: int) -> AsyncIterator[bytes]:
    for _ in range(size >> 16):
        yield bytes(1 << 16)


def _handler(request: Request) -> Answer:
    if request.target.startswith("/endless"):
        return Answer(body=_endless(ENDLESS))
    return mirror(request)


class Setup:
    def __init__(self) -> None:
        self.port = free_port()
        self.app = Backend(_handler)
        self.sidecar: Sidecar

    def bootstrap(self) -> dict[str, object]:
        hosts = [virtual_host("*", route("app", timeout="0s"))]
        options = {"max_concurrent_streams": STREAMS}
        return bootstrap(
            free_port(),
            [listener("l", self.port, hosts, codec_type="HTTP2", http2_protocol_options=options)],
            [cluster("app", self.app.port)],
        )

    def peer(self, values: dict[int, int] | None = None) -> Peer:
        return Peer(self.port, values)

    @contextlib.contextmanager
    def attacked(self, most: int = ATTACK) -> Iterator[Peer]:
        """A connection for the attack; the worker has not grown by more than `most` by its end, is the same, and serves
        the others."""
        memory, worker = Memory(self.sidecar.worker), self.sidecar.worker
        with self.peer() as bystander:
            assert bystander.get(path="/before").body == b"/before"
            with self.peer() as attacker:
                yield attacker
                assert bystander.get(path="/beside").body == b"/beside"
            assert bystander.get(path="/after").body == b"/after"
        assert self.sidecar.worker == worker
        growth = memory.growth()
        assert growth < most, f"the worker grew by {growth} KiB"


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    made = Setup()
    with contextlib.closing(made.app), sidecar(tmp_path_factory.mktemp("http2"), made.bootstrap()) as running:
        made.sidecar = running
        with made.peer() as peer:
            assert peer.get(path="/warm").body == b"/warm"
        yield made


# -- floods ------------------------------------------------------------------------------------------------------------


def test_rapid_reset(setup: Setup) -> None:
    """CVE-2023-44487: requests that are reset at once."""
    before = len(setup.app.requests)
    with setup.attacked() as peer:
        for _ in range(200):
            burst = b""
            for _ in range(100):
                stream = peer.next_stream()
                burst += frame(HEADERS, END_HEADERS | END_STREAM, stream, peer.block(_get("/reset"))) + rst_stream(
                    stream
                )
            if not peer.try_send(burst):
                break
        assert peer.ending() in CALMED
    assert len(setup.app.requests) - before < 2_000


def test_resets_that_the_server_is_made_to_send(setup: Setup) -> None:
    """CVE-2025-8671: each request has a fault for which the server resets it."""
    with setup.attacked() as peer:
        for _ in range(200):
            burst = b""
            for _ in range(100):
                stream = peer.next_stream()
                block = peer.block(_get("/reset"))
                burst += frame(HEADERS, END_HEADERS, stream, block) + window_update(stream, LARGEST_WINDOW)
            if not peer.try_send(burst):
                break
        assert peer.ending() in CALMED


def test_more_streams_than_allowed_are_refused(setup: Setup) -> None:
    with setup.attacked() as peer:
        open_streams = [peer.request(path="/open", method="POST", end=False) for _ in range(STREAMS)]
        peer.ping()
        extra = [peer.request(path="/extra") for _ in range(20)]
        assert [peer.answer(stream).reset for stream in extra] == [REFUSED_STREAM] * 20
        for stream in open_streams:
            peer.send(frame(DATA, END_STREAM, stream, b"late"))
        assert {peer.answer(stream).body for stream in open_streams} == {b"late"}
        assert peer.get(path="/again").body == b"/again"


FLOODS = {
    "settings": settings({INITIAL_WINDOW_SIZE: WINDOW}),
    "settings of much": settings({INITIAL_WINDOW_SIZE: WINDOW, 0xABCD: 1} | dict.fromkeys(range(0x100, 0x180), 7)),
    "ping": frame(PING, 0, 0, b"12345678"),
    "priority": frame(PRIORITY, 0, 1, struct.pack(">IB", 0, 16)),
    "unknown": frame(0xBE, 0, 0, b"x" * 16),
    "window": window_update(0, 1),
}


@pytest.mark.parametrize("read", [True, False], ids=["read", "unread"])
@pytest.mark.parametrize("flood", FLOODS)
def test_frames_that_only_cost(setup: Setup, flood: str, read: bool) -> None:
    """Also where the client does not read what it causes to be sent (CVE-2019-9512, -9515)."""
    with setup.attacked() as peer:
        burst = FLOODS[flood] * 500
        for _ in range(400):
            try:
                if not (peer.try_send(burst) if read else _blind(peer, burst)):
                    break
            except TimeoutError:
                break  # it is not read any more until what waits has been taken
        assert peer.ending() in CALMED


def test_empty_data(setup: Setup) -> None:
    with setup.attacked() as peer:
        stream = peer.request(path="/upload", method="POST", end=False)
        burst = frame(DATA, 0, stream) * 500
        for _ in range(400):
            if not peer.try_send(burst):
                break
        assert peer.ending() in CALMED


@pytest.mark.parametrize("size", [0, 1, 16_384])
def test_a_header_block_without_end(setup: Setup, size: int) -> None:
    """CVE-2024-27316. Never indexed literals, so that the block is well-formed for as long as it goes on."""
    with setup.attacked() as peer:
        stream = peer.next_stream()
        peer.send(frame(HEADERS, END_STREAM, stream, peer.block(_get("/long"))))
        piece = (b"\x10\x01a\x01b" * 4096)[:size]
        burst = frame(CONTINUATION, 0, stream, piece) * (2000 if size < 2 else 20)
        for _ in range(400):
            if not peer.try_send(burst):
                break
        assert peer.ending() in (*CALMED, PROTOCOL_ERROR, COMPRESSION_ERROR)


def test_hpack_bomb(setup: Setup) -> None:
    """One large entry of the table, referred to ten thousand times: 40 MB of headers in 10 kB."""
    with setup.attacked() as peer:
        first = peer.answer(peer.request(path="/bomb", fields=[("x-bomb", "b" * 4000)]))
        assert first.body == b"/bomb"
        block = peer.block(_get("/bomb"))
        bomb = block + b"\xbe" * (16_000 - len(block))  # index 62: the newest entry
        for _ in range(20):
            stream = peer.next_stream()
            if not peer.try_send(frame(HEADERS, END_HEADERS | END_STREAM, stream, bomb)):
                break
            _over(peer, stream)
            answer = peer.answers[stream]
            assert peer.closed or answer.reset is not None or answer.status in (400, 431), answer


def test_many_small_fields(setup: Setup) -> None:
    """Two bytes each on the wire, an object each for whoever keeps them."""
    with setup.attacked() as peer:
        assert peer.answer(peer.request(path="/many", fields=[("a", "b")])).body == b"/many"
        block = peer.block(_get("/many"))
        stream = peer.next_stream()
        peer.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, block + b"\xbe" * (16_000 - len(block))))
        _over(peer, stream)
        answer = peer.answers[stream]
        assert peer.closed or answer.reset is not None or answer.status in (400, 431), answer


def test_table_sizes_back_and_forth(setup: Setup) -> None:
    """Updates at the beginning of each block; the table is emptied and filled all the time."""
    with setup.attacked() as peer:
        for number in range(300):
            stream = peer.next_stream()
            block = b"\x20\x3f\xe1\x1f" + hpack.Encoder().encode(_get(f"/{number}"))
            peer.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, block))
            assert peer.answer(stream).body == f"/{number}".encode()


# -- flow control ------------------------------------------------------------------------------------------------------


def test_a_stream_that_is_not_read_holds_up_no_other(setup: Setup) -> None:
    with setup.attacked() as peer:
        slow = peer.next_stream()
        peer.stopped.add(slow)
        peer.send(frame(HEADERS, END_HEADERS | END_STREAM, slow, peer.block(_get("/endless"))))
        until(lambda: peer.ping() or len(peer.answers[slow].body) == WINDOW, "the window is used up")
        for number in range(50):
            assert peer.get(path=f"/quick/{number}").body == f"/quick/{number}".encode()
        assert len(peer.answers[slow].body) == WINDOW
        peer.send(rst_stream(slow))
        assert peer.get(path="/again").body == b"/again"


def test_windows_of_nothing(setup: Setup) -> None:
    """CVE-2019-9511: large answers asked for, none of them taken; then a byte at a time."""
    with setup.attacked(ATTACK + 50 * UNREAD) as peer:
        peer.send(settings({INITIAL_WINDOW_SIZE: 0}))
        streams = [peer.request(path="/endless") for _ in range(50)]
        peer.ping()
        time.sleep(0.5)  # that which is buffered has been buffered by then
        peer.ping()
        assert [peer.answers[stream].body for stream in streams] == [b""] * 50
        for stream in streams[:10]:
            peer.stopped.add(stream)
            peer.send(window_update(stream, 1))
        until(lambda: peer.ping() or all(peer.answers[s].body == b"\0" for s in streams[:10]), "a byte on each")


def test_an_answer_by_single_bytes(setup: Setup) -> None:
    """A window that is opened by one, thousands of times: it is ended, or goes on and costs no memory."""
    with setup.attacked() as peer:
        peer.send(settings({INITIAL_WINDOW_SIZE: 0}))
        stream = peer.request(path="/endless")
        peer.stopped.add(stream)
        for _ in range(200):
            if not peer.try_send(window_update(stream, 1) * 100):
                break
        assert peer.ending() in CALMED


def test_a_connection_that_is_not_read(setup: Setup) -> None:
    """All windows wide open; only the socket's buffers say that nobody reads."""
    with setup.attacked(ATTACK + 20 * UNREAD) as peer:
        peer.send(settings({INITIAL_WINDOW_SIZE: LARGEST_WINDOW}) + window_update(0, LARGEST_WINDOW - WINDOW))
        for _ in range(20):
            peer.request(path="/endless")
        time.sleep(2.0)


@pytest.mark.parametrize("stream", [0, 1], ids=["connection", "stream"])
def test_a_window_beyond_its_limit(setup: Setup, stream: int) -> None:
    with setup.attacked() as peer:
        request = peer.request(path="/upload", method="POST", end=False)
        peer.send(window_update(stream, LARGEST_WINDOW) * 2)
        if stream:
            assert peer.answer(request).reset == FLOW_CONTROL_ERROR
            assert peer.get().body == b"/"
        else:
            assert peer.ending() == FLOW_CONTROL_ERROR


def test_more_data_than_the_window_allows(setup: Setup) -> None:
    with setup.attacked() as peer:
        peer.ping()
        window = peer.settings.get(INITIAL_WINDOW_SIZE, WINDOW)
        stream = peer.request(path="/upload", method="POST", end=False)
        taken = True
        for _ in range(4 * window // 16_384 + 100):
            taken = peer.try_send(frame(DATA, 0, stream, bytes(16_384)))
            if not taken or peer.answers[stream].over:
                break
        # The backend reads as fast as it comes: then the window was opened in time, and all of it was allowed.
        assert not taken or peer.answers[stream].reset in (None, FLOW_CONTROL_ERROR)
        if not taken:
            assert peer.ending() == FLOW_CONTROL_ERROR


# -- frames where they may not be --------------------------------------------------------------------------------------

MISPLACED = {
    "DATA on stream 0": (frame(DATA, 0, 0, b"x"), PROTOCOL_ERROR),
    "DATA on a stream that was never begun": (frame(DATA, 0, 99, b"x"), PROTOCOL_ERROR),
    "HEADERS on an even stream": (frame(HEADERS, END_HEADERS | END_STREAM, 2, b"\x82"), PROTOCOL_ERROR),
    "CONTINUATION of nothing": (frame(CONTINUATION, END_HEADERS, 1, b"\x82"), PROTOCOL_ERROR),
    "RST_STREAM of a stream that was never begun": (rst_stream(99), PROTOCOL_ERROR),
    "PUSH_PROMISE by a client": (frame(5, END_HEADERS, 1, b"\0\0\0\2\x82"), PROTOCOL_ERROR),
    "PING of seven bytes": (frame(PING, 0, 0, b"1234567"), 6),
    "SETTINGS of five bytes": (frame(SETTINGS, 0, 0, b"12345"), 6),
    "a frame that is too large": (frame(0xBE, 0, 0, bytes(20_000)), 6),
    "an index that no table has": (frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\xff\xff\x7f"), COMPRESSION_ERROR),
    "an integer without end": (frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\xff" + b"\xff" * 64), COMPRESSION_ERROR),
    "a table larger than allowed": (
        frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x3f\xe1\xff\x03"),
        COMPRESSION_ERROR,
    ),
}


@pytest.mark.parametrize("case", MISPLACED)
def test_misplaced(setup: Setup, case: str) -> None:
    data, code = MISPLACED[case]
    with setup.attacked() as peer:
        peer.send(data)
        assert peer.ending() == code


def test_no_preface(setup: Setup) -> None:
    with setup.attacked() as peer:
        peer.ping()
        with socket.create_connection((LOOPBACK, setup.port), PATIENCE) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nhost: a.test\r\n\r\n")
            assert ending(sock) in ("end", "reset")


def test_the_connection_ends_amid_everything(setup: Setup) -> None:
    """Nothing is left of it: the gauge of active streams says so."""
    for number in range(20):
        with setup.peer() as peer:
            for _ in range(50):
                peer.request(path="/endless" if number % 2 else "/short")
            peer.send(frame(HEADERS, 0, peer.next_stream(), peer.block(_get("/half"))))
    active = "listener.l.downstream_rq_active"
    until(lambda: setup.sidecar.stats()[active] == 0, "no stream is active")


def _get(path: str) -> list[tuple[str, str]]:
    return [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", path)]


def _over(peer: Peer, stream: int) -> None:
    """Waits for the end of the stream or of the connection."""
    answer = peer.answers[stream]
    peer.wait(lambda: answer.over, f"the end of stream {stream}")


def _blind(peer: Peer, data: bytes) -> bool:
    """Sends without reading; whether the connection took it. Raises TimeoutError when it does not within a second."""
    peer.socket.settimeout(1.0)
    try:
        peer.socket.sendall(data)
    except TimeoutError:
        raise
    except OSError:
        return False
    return True
