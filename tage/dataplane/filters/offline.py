"""`OfflineExchange`: a request and its answer without connections, to try filters on: for tests of one's own filters
(`tage.filter_testing`), for those of Tage, and for the benchmark."""

from collections.abc import Iterable, Sequence

import cython

from tage.dataplane.filters.filter import Exchange, HttpFilter
from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.protocols.message import HeaderBlock, RequestHead, ResponseHead
from tage.dataplane.protocols.writer import ByteWriter

if not cython.compiled:
    # Compiled, this name comes from the .pxd.
    from tage.dataplane.protocols.edits import edited_request


class OfflineExchange(Exchange):
    """`headers` are pairs of bytes. `find_route(head)` is asked when a filter has the request routed anew; `wheel` is
    there where a filter may wait. `replied` is what a filter has given to `reply`, None without; `went_on` tells
    whether the request has passed all filters, `answer_went_on` the answer."""

    def __init__(
        self,
        method: bytes = b"GET",
        path: bytes = b"/",
        authority: bytes = b"example.com",
        headers: Sequence[tuple[bytes, bytes]] = (),
        *,
        peer: bytes = b"127.0.0.1",
        filters: Iterable[HttpFilter] = (),
        wheel: TimerWheel | None = None,
    ) -> None:
        Exchange.__init__(self)
        head: RequestHead = RequestHead()
        head.method = method
        head.path = path
        head.authority = authority
        _fill(head.block, headers)
        self.head = head
        self.edits = HeaderEdits()
        self.peer = peer
        self.filters = list(filters)
        self.wheel = wheel
        self.find_route = None
        self.cluster = None
        self.replied = None
        self.went_on = False
        self.answer_went_on = False

    def ask(self) -> int:
        """Has the request pass the filters; a `Verdict`."""
        verdict: cython.int = self.filter_request()
        self.went_on = verdict == 0
        return verdict

    def tell(self, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = ()) -> int:
        """The same for an answer."""
        head: ResponseHead = ResponseHead()
        head.status = status
        _fill(head.block, headers)
        verdict: cython.int = self.filter_response(head)
        self.answer_went_on = verdict == 0
        return verdict

    def repeat(self, times: int, answers: bool = False) -> None:
        """As many requests as that, one after the other, with an answer each or without: for measuring what the filters
        cost."""
        left: cython.longlong = times
        head: ResponseHead = ResponseHead()
        head.status = 200
        _fill(head.block, self.head.headers())
        while left > 0:
            left -= 1
            self.edits = HeaderEdits.__new__(HeaderEdits) if cython.compiled else HeaderEdits()
            self.edits.extra = b"x-forwarded-proto: http\r\n"
            self.filter_at = 0
            self.filter_request()
            if answers:
                self.answer_edits = None
                self.answering = False
                self.filter_response(head)
            self.filters_over()

    def end(self) -> None:
        """The stream is over."""
        self.filters_over()

    def reply(self, error, status, body, headers):
        self.replied = (error, status, body, headers)

    def reroute(self):
        self.head = edited_request(self.head, self.edits, ByteWriter())
        self.edits = HeaderEdits()
        self.route = self.find_route(self.head) if self.find_route is not None else None

    def timers(self):
        return self.wheel

    def filtered(self):
        self.went_on = True

    def answered(self):
        self.answer_went_on = self.filter_response(self.answer_head) == 0


def _fill(block: HeaderBlock, headers):
    raw = b"".join([name + b": " + value + b"\r\n" for name, value in headers])
    at: cython.Py_ssize_t = 0
    block.reset(raw)
    for name, value in headers:
        colon: cython.Py_ssize_t = at + len(name)
        end: cython.Py_ssize_t = colon + 2 + len(value)
        block.add(at, colon, colon + 2, end, end + 2)
        at = end + 2
