"""What the judges see: behind a relay that forwards blindly, and in messages that were changed."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.e2e.ports import LOOPBACK
from tests.e2e.smuggling import verdict
from tests.e2e.smuggling.exchange import Requests, Responses
from tests.e2e.smuggling.lane import Lane
from tests.e2e.smuggling.odd import HELLO, HIDDEN
from tests.e2e.smuggling.odd_requests import build
from tests.e2e.smuggling.odd_responses import STOLEN, Script
from tests.e2e.smuggling.odd_responses import build as response
from tests.e2e.smuggling.strict import read_request, read_response


class Relay:
    """Copies bytes in both directions on a thread of its own."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._serve, LOOPBACK, 0))
        self.port = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_connection(LOOPBACK, self._target)
        await asyncio.gather(_copy(reader, other_writer), _copy(other_reader, writer))
        writer.close()
        other_writer.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.write_eof()


@pytest.fixture
def blind() -> Iterator[Lane]:
    """A lane through a relay that understands nothing."""
    lane = Lane()
    relay = Relay(lane.port)
    lane.sidecar_port = relay.port
    yield lane
    lane.close()
    relay.close()


def test_a_blind_relay_passes_what_is_well_formed(blind: Lane) -> None:
    requests = Requests(blind)
    assert requests.play([build(b"Content-Length: 5", method=b"PUT", body=b"hello")]) == []
    assert requests.accepted == 1


def test_a_request_that_is_ambiguous_reaches_the_origin(blind: Lane) -> None:
    wrong = Requests(blind).play([build(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=HELLO + HIDDEN)])
    assert any("malformed request (Transfer-Encoding and Content-Length)" in each for each in wrong)


def test_bytes_behind_a_request_reach_the_origin(blind: Lane) -> None:
    wrong = Requests(blind).play([build(method=b"GET") + HIDDEN])
    assert any("more than a request" in each for each in wrong)


def test_an_answer_of_somebody_else_reaches_the_client(blind: Lane) -> None:
    wrong = Responses(blind).play(Script(b"GET", response(b"Content-Length: 5", body=b"hello") + STOLEN, "open"), [])
    assert any("bytes behind the answer" in each for each in wrong)
    assert any("reused" in each for each in wrong)


def test_an_answer_that_is_malformed_reaches_the_client(blind: Lane) -> None:
    wrong = Responses(blind).play(Script(b"GET", response(b"Content-Length : 5", body=b"hello"), "end"), [])
    assert any("malformed answer" in each for each in wrong)


SENT = build(b"X: y", b"Cookie: c", b"Connection: x-own", b"X-Own: 1", b"Content-Length: 5", body=b"hello")


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        (b"", b"", ""),
        (b"Connection: x-own\r\nX-Own: 1\r\n", b"x-request-id: 1\r\n", ""),
        (b"POST", b"PUT", "where"),
        (b"/t", b"/u", "where"),
        (b"HTTP/1.1", b"HTTP/1.0", "where"),
        (b"Host: a", b"Host: b", "for host"),
        (b"hello", b"hellO", "body"),
        (b"X: y\r\n", b"", "headers"),
        (b"X: y\r\n", b"X: y\r\nX: y\r\n", "headers"),
        (b"X: y", b"X: Y", "headers"),
        (b"X: y\r\nCookie: c", b"Cookie: c\r\nX: y", "headers"),
        (b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n" + HELLO, "framed"),
    ],
)  # fmt: skip
def test_a_request_that_was_changed(old: bytes, new: bytes, wrong: str) -> None:
    found = verdict.wrong_request(read_request(SENT), read_request(SENT.replace(old, new, 1)))
    assert (wrong in found) if wrong else not found


def test_an_answer_that_was_changed() -> None:
    sent = read_response(response(b"X: y", b"Transfer-Encoding: chunked", body=HELLO), 0, b"GET", ended=False)
    assert not verdict.wrong_response(sent, sent)
    for change in ({"body": b"hell"}, {"framing": "length"}, {"line": (b"1.1", b"201")}, {"headers": []}):
        assert verdict.wrong_response(sent, replace(sent, **change))
