"""One message through the sidecar, and what is wrong with what came out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.dataplane.protocols.http1 import oracle
from tests.e2e.smuggling import verdict
from tests.e2e.smuggling.lane import End, Lane, pieces
from tests.e2e.smuggling.odd_responses import Script
from tests.e2e.smuggling.strict import Incomplete, Malformed, Message, read_request
from tests.e2e.smuggling.verdict import Reading

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass
class Got:
    """A request as the origin got it, byte for byte, and the serial number that answered it."""

    message: Message
    wire: bytes
    serial: int


class Requests:
    """An odd client's bytes to a strict origin, which answers each whole request with a serial number."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        lane.on_origin = self._look
        self._serial = 0
        self._continued: set[int] = set()
        self.got: list[Got] = []
        self._wrong: list[str] = []
        self.accepted = 0
        """Inputs of which at least one request arrived."""

    def _look(self, end: End) -> None:
        data = bytes(end.received)
        if end.ended:
            if not data:
                self._lane.drop(end)
            return
        try:
            message = read_request(data)
        except Incomplete as error:
            if error.message is not None and error.message.values(b"expect") and end.number not in self._continued:
                self._continued.add(end.number)
                self._lane.send(end, [CONTINUE])
            return
        except Malformed as error:
            self._wrong.append(f"the origin got a malformed request ({error}): {data[:300]!r}")
            self._lane.drop(end)
            return
        if message.end != len(data):
            self._wrong.append(f"the origin got more than a request: {data[message.end :][:300]!r}")
            self._lane.drop(end)
            return
        end.received.clear()
        self._continued.discard(end.number)
        self._serial += 1
        self.got.append(Got(message, data, self._serial))
        serial = b"%d" % self._serial
        body = b"" if message.line[0] == b"HEAD" else serial
        head = b"HTTP/1.1 200 OK\r\nx-serial: %b\r\ncontent-length: %d\r\n\r\n" % (serial, len(serial))
        self._lane.send(end, [head + body])

    def play(self, pieces: Sequence[bytes]) -> list[str]:
        """What is wrong, in words."""
        wire = b"".join(pieces)
        sent = verdict.read_requests(wire)
        self.got, self._wrong = [], []
        client = self._lane.connect()
        self._lane.send(client, pieces)
        methods = [message.line[0] for message in sent.messages]
        if sent.end == "incomplete":
            self._lane.finish(client)
        elif sent.end == "clean":
            # Nobody helps: the answers come while the client's side is open.
            if not self._lane.until(lambda: client.ended or _finals(client, methods) >= len(methods)):
                self._wrong.append(f"{_finals(client, methods)} of {len(methods)} answers")
            self._lane.finish(client)
        if not self._lane.until(lambda: client.ended):
            self._wrong.append("the client's connection was not closed")
        self._lane.drop(client)
        self._lane.settle()
        if len(self.got) > len(sent.messages):
            self._wrong.append(f"a request that nobody sent: {self.got[len(sent.messages)].wire[:300]!r}")
        else:
            self._judge(sent, client, _goes_on_behind_its_last(sent, wire))
            self._judge_parts(sent)
        self.accepted += bool(self.got)
        return self._wrong

    def _judge(self, sent: Reading, client: End, may_be_reset: bool) -> None:
        wrong = self._wrong
        for number, got in enumerate(self.got):
            if problem := verdict.wrong_request(sent.messages[number], got.message):
                wrong.append(f"request {number}: {problem}")
            if _second_opinion(got) is None:
                wrong.append(f"h11 refuses what the origin got: {got.wire[:300]!r}")
        statuses, serials = self._answers(sent, client)
        if serials != [got.serial for got in self.got]:
            wrong.append(f"answers {serials} to requests {[got.serial for got in self.got]}")
        errors = [status for status in statuses if status >= 400]
        refused = len(self.got) < len(sent.messages)
        if refused and not sent.messages[len(self.got)].optional:
            wrong.append(f"{len(self.got)} of {len(sent.messages)} requests arrived; answers: {statuses}")
        if len(errors) > 1 or statuses[: len(self.got)] != [200] * len(self.got):
            wrong.append(f"answers {statuses}")
        elif (refused or sent.end == "malformed") != bool(errors) and sent.end != "incomplete":
            wrong.append(f"{sent.end} {sent.reason}: answers {statuses}")
        if client.reset and not may_be_reset:
            wrong.append("the client's connection was reset")

    def _answers(self, sent: Reading, client: End) -> tuple[list[int], list[int]]:
        """Statuses, and the serial numbers of those that have one."""
        data, at = bytes(client.received), 0
        statuses: list[int] = []
        serials: list[int] = []
        known = [*sent.messages, sent.partial] if sent.partial is not None else sent.messages
        while at < len(data):
            method = known[len(statuses)].line[0] if len(statuses) < len(known) else b""
            reading, end = verdict.read_answer(data[at:], method, ended=True)
            if not method and reading.end != "clean":  # to a malformed head, which may have been that of a HEAD
                reading, end = verdict.read_answer(data[at:], b"HEAD", ended=True)
            if reading.end != "clean":
                self._wrong.append(f"the client got no well-formed answer ({reading.reason}): {data[at:][:300]!r}")
                break
            at += end
            final = reading.messages[-1]
            statuses.append(int(final.line[1]))
            serials += [int(value) for value in final.values(b"x-serial")]
            if statuses[-1] >= 400 and (at < len(data) or final.values(b"connection") != [b"close"]):
                self._wrong.append(f"an error that is not the end: {data[-300:]!r}")
        return statuses, serials

    def _judge_parts(self, sent: Reading) -> None:
        """What did not arrive whole is part of what was sent, and its connection ends."""
        candidate = [*sent.messages, sent.partial][len(self.got)]
        for end in list(self._lane.origins.values()):
            if not end.received:
                continue
            if not self._lane.until(lambda end=end: end.ended):
                self._wrong.append(f"the origin waits for the rest of {bytes(end.received[:300])!r}")
            try:
                read_request(bytes(end.received))
            except Incomplete as error:
                problem = "part of a head" if error.message is None else verdict.wrong_part(candidate, error.message)
                if problem:
                    self._wrong.append(problem)
            except Malformed as error:
                self._wrong.append(f"the origin got part of a malformed request ({error})")
            self._lane.drop(end)


def _second_opinion(got: Got) -> oracle.Seen | None:
    seen = oracle.read_requests(got.wire)
    return seen[0] if seen and len(seen) == 1 and seen[0].body == got.message.body else None


def _goes_on_behind_its_last(sent: Reading, wire: bytes) -> bool:
    """Whether the client says itself that a request is its last, and sends more: what comes after the answer is reset,
    unless it was there before (RFC 9112, 9.6)."""
    last = sent.messages[-1] if sent.messages else None
    return last is not None and not last.persistent and last.end < len(wire)


def _finals(client: End, methods: list[bytes]) -> int:
    """How many answers have arrived whole."""
    data, at = bytes(client.received), 0
    for number, method in enumerate(methods):
        reading, end = verdict.read_answer(data[at:], method, ended=False)
        if reading.end != "clean":
            return number
        at += end
    return len(methods)


class Responses:
    """A hostile origin's bytes to a strict client, whose next requests, on the same connection and on another, have to
    get their own answers."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        lane.on_origin = self._look
        self._script = Script(b"GET", b"", "open")
        self._cuts: Sequence[int] = ()
        self._serial = 0
        self._wrong: list[str] = []
        self._hostile: set[int] = set()
        """The origin's connections on which the script was played."""
        self._reused: set[int] = set()
        self.accepted = 0
        """Responses that the client got whole."""

    def _look(self, end: End) -> None:
        data = bytes(end.received)
        if end.ended:
            self._lane.drop(end)
            return
        try:
            message = read_request(data)
        except Incomplete:
            return
        except Malformed as error:
            self._wrong.append(f"the origin got a malformed request ({error}): {data[:300]!r}")
            self._lane.drop(end)
            return
        end.received.clear()
        if message.line[1] == b"/first":
            self._hostile.add(end.number)
            self._play(end)
        else:
            if end.number in self._hostile:
                self._reused.add(end.number)
            self._serial += 1
            serial = b"%d" % self._serial
            self._lane.send(end, [b"HTTP/1.1 200 OK\r\nX-Serial: %b\r\nContent-Length: 0\r\n\r\n" % serial])

    def _play(self, end: End) -> None:
        self._lane.send(end, pieces(self._script.data, self._cuts))
        if self._script.ending == "open":
            return
        self._lane.taken(end)  # or a reset would take along what is on its way
        if self._script.ending == "end":
            self._lane.finish(end)
        else:
            self._lane.drop(end, reset=True)

    def play(self, script: Script, cuts: Sequence[int]) -> list[str]:
        """What is wrong, in words."""
        ended = script.ending == "end"
        sent, size = verdict.read_answer(script.data, script.method, ended=ended)
        if sent.end == "incomplete" and script.ending == "open":
            script = Script(script.method, script.data, "reset")  # or it would wait as long as the timeouts say
        self._script, self._cuts, self._wrong = script, cuts, []
        self._hostile.clear()
        self._reused.clear()
        client = self._lane.connect()
        body = b"5\r\nhello\r\n0\r\n\r\n" if script.method == b"POST" else b""
        coding = b"Transfer-Encoding: chunked\r\n" if body else b""
        self._lane.send(client, [b"%b /first HTTP/1.1\r\nHost: a\r\n%b\r\n" % (script.method, coding) + body])
        self._lane.until(lambda: client.ended or _finals(client, [script.method]) == 1)
        got, end = verdict.read_answer(bytes(client.received), script.method, ended=client.ended and not client.reset)
        whole = got.end == "clean"
        self._judge(sent, got, whole=whole)
        if whole and got.messages[-1].persistent:
            del client.received[:end]
            if client.received:
                self._wrong.append(f"bytes behind the answer: {bytes(client.received[:300])!r}")
            # What lies behind the answer has reached the sidecar before the next request does.
            for origin in list(self._lane.origins.values()):
                self._lane.taken(origin)
            self._next(client, "same")
        self._lane.drop(client)
        other = self._lane.connect()
        self._next(other, "another")
        self._lane.drop(other)
        self._lane.settle()
        clean = sent.end == "clean" and size == len(script.data) and sent.messages[-1].persistent
        if not clean or script.ending != "open":
            if self._reused:
                self._wrong.append("a connection was reused after an answer that was not the end of it")
            if script.ending == "open" and not self._lane.until(lambda: not self._hostile & self._lane.origins.keys()):
                self._wrong.append("a connection is kept after an answer that was not the end of it")
        for number in self._hostile & self._lane.origins.keys():
            self._lane.drop(self._lane.origins[number])
        self.accepted += whole and got.messages[-1].line[1] != b"502"
        return self._wrong

    def _judge(self, sent: Reading, got: Reading, *, whole: bool) -> None:
        wrong = self._wrong
        final = got.messages[-1] if whole else None
        error = final is not None and final.values(b"x-tage-response-flags") in ([b"UPE"], [b"UC"])
        if sent.end == "clean":
            ours = [message for message in sent.messages if not error]
            if error and not sent.optional:
                wrong.append(f"a well-formed answer is refused: {final.line} {final.body[:100]!r}")
            elif not error and final is None and not sent.optional:
                wrong.append(f"a well-formed answer does not arrive whole: {got.reason}")
            elif not error and final is not None:
                if len(got.messages) != len(ours):
                    wrong.append(f"{len(got.messages)} answers where {len(ours)} were sent")
                for one, other in zip(ours, got.messages, strict=False):
                    if problem := verdict.wrong_response(one, other):
                        wrong.append(f"answer: {problem}")
        elif final is not None and not error:
            wrong.append(f"an answer that is {sent.end} ({sent.reason}) arrives as a whole one: {final}")
        if final is not None and error and final.line[1] not in (b"502", b"503"):
            wrong.append(f"an error with status {final.line}")
        if got.end == "malformed":
            wrong.append(f"the client got a malformed answer ({got.reason})")
        if got.partial is not None and not whole:
            part = sent.partial or (sent.messages[-1] if sent.messages else None)
            if part is None or got.partial.line[1] != part.line[1] or not part.body.startswith(got.partial.body):
                wrong.append(f"part of an answer that was not sent: {got.partial}")

    def _next(self, client: End, which: str) -> None:
        self._lane.send(client, [b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"])
        self._lane.until(lambda: client.ended or _finals(client, [b"GET"]) == 1)
        got, end = verdict.read_answer(bytes(client.received), b"GET", ended=client.ended)
        if got.end != "clean" or end != len(client.received):
            self._wrong.append(f"the next request on {which} connection gets {bytes(client.received[:300])!r}")
        elif got.messages[-1].values(b"x-serial") != [b"%d" % self._serial] or len(got.messages) > 1:
            self._wrong.append(f"the next request on {which} connection is answered with {got.messages}")
