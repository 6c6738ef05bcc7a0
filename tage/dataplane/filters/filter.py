"""What stands between a client's request and its route, and what it may do.

A chain is a list of `HttpFilter`s, made when configuration changes and never changed: a request keeps the chain that it
began with. Each filter has the name under which a route may hold settings of its own for it (Envoy's
typed_per_filter_config); `DISABLED` there skips it.

    request:   first to last, then the route            answer:   last to first, answers made here included

A filter answers a `Verdict`. STOPPED holds the request (its body is kept, and the client read no further than the
stream's bound) until `Exchange.go_on`, which the filter calls later, never from within. REPLIED: it has called
`Exchange.reply`. `over` is called once for every filter that kept something (`Exchange.keep`), when the stream is over
for any reason; whoever waits for something gives it up there.
"""

import cython

from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.upstream.connection import Receiver

if not cython.compiled:
    # Compiled, this is the enumeration in the .pxd.
    import enum

    Verdict = enum.IntEnum("Verdict", ["CONTINUE", "STOPPED", "REPLIED"], start=0)
    CONTINUE, STOPPED, REPLIED = Verdict

DISABLED = object()
"""Per-route settings that switch a filter off."""


class HttpFilter:
    """One filter of a chain. One instance serves all requests of its listener: what belongs to one of them is kept with
    `Exchange.keep`. `settings` are the route's own for this filter, or None."""

    def __init__(self, name: str) -> None:
        self.name = name

    def request(self, exchange, settings):
        """A request's head has come. Answers a `Verdict`."""
        return CONTINUE

    def response(self, exchange, head, settings):
        """The head of an answer is to go to the client; what is changed goes into `exchange.answer()`. `head` is valid
        during the call; after a stop it is `exchange.answer_head`. Answers a `Verdict`."""
        return CONTINUE

    def over(self, exchange):
        """The stream is over; for filters that kept something."""


class Exchange(Receiver):
    """A request and its answer, as filters see them; `streams.Stream` is the only kind there is.

    `head` is the request as it came (after `reroute`: as edited until then), `edits` what will be changed in it,
    `answer_edits` what will be changed in the answer (None: nothing yet; `answer()` makes it), `answer_head` the answer
    as it came (another object once it was held). `route` is None where there is none. `flags` are Envoy's response
    flags, `peer` the client's address as text.
    """

    def __init__(self) -> None:
        Receiver.__init__(self)
        self.head = None
        self.edits = None
        self.answer_edits = None
        self.answer_head = None
        self.route = None
        self.flags = "-"
        self.peer = b""
        self.filters = None
        self.filter_at = 0
        self.answering = False
        self.paused = False
        self._kept = None

    # -- for filters ---------------------------------------------------------------------------------------------------

    def keep(self, filter, state):
        """For `kept`, until the stream is over; `filter.over` will be called."""
        kept: dict = self._kept
        if kept is None:
            kept = self._kept = {}
        kept[filter] = state

    def kept(self, filter):
        """What `filter` kept, or None."""
        return None if self._kept is None else self._kept.get(filter)

    def answer(self):
        """The edits of the answer."""
        if self.answer_edits is None:
            self.answer_edits = HeaderEdits()
        return self.answer_edits

    def flag(self, flag):
        """Adds a response flag; "-" is none."""
        if flag != "-":
            self.flags = flag if self.flags == "-" else f"{self.flags},{flag}"

    def go_on(self):
        """Ends a stop: the next filter's turn, or the route's. No harm when the stream is over."""
        if not self.paused:
            return
        self.paused = False
        if self.answering:
            self.answered()
        elif self.filter_request() == CONTINUE:
            self.filtered()

    def pause(self, delay):
        """Calls `go_on` after so many ms. Whoever calls this answers STOPPED."""
        raise NotImplementedError

    def reply(self, error, status, body, headers):
        """Answers in place of the upstream. `error` is an entry of `protocols.errors`: its flag and details are logged.
        From `response` too: what the upstream said is thrown away."""
        raise NotImplementedError

    def reroute(self):
        """Looks the route up anew, with the edits made so far. Filters that were asked already are not asked again."""
        raise NotImplementedError

    def cluster_named(self, name):
        """A cluster, or None."""
        raise NotImplementedError

    def timers(self):
        raise NotImplementedError

    def dice(self):
        """The worker's random numbers."""
        raise NotImplementedError

    # -- for the stream ------------------------------------------------------------------------------------------------

    def filtered(self):
        """All filters have let the request through."""
        raise NotImplementedError

    def answered(self):
        """A filter that held the answer lets it go on."""
        raise NotImplementedError

    def filter_request(self):
        """Asks the filters from `filter_at` on. Answers the verdict of the one that did not continue, or CONTINUE."""
        filters: list = self.filters
        filter: HttpFilter
        settings: object
        verdict: cython.int
        while self.filter_at < len(filters):
            filter = filters[self.filter_at]
            self.filter_at += 1
            settings = None
            if self.route is not None and self.route.filters is not None:
                settings = self.route.filters.get(filter.name)
                if settings is DISABLED:
                    continue
            verdict = filter.request(self, settings)
            if verdict != CONTINUE:
                self.paused = verdict == STOPPED
                return verdict
        return CONTINUE

    def filter_response(self, head):
        """The same for an answer, from the last filter on."""
        filters: list = self.filters
        filter: HttpFilter
        settings: object
        verdict: cython.int
        if not self.answering:
            self.answering = True
            self.paused = False
            self.filter_at = len(filters)
        self.answer_head = head
        while self.filter_at > 0:
            self.filter_at -= 1
            filter = filters[self.filter_at]
            settings = None
            if self.route is not None and self.route.filters is not None:
                settings = self.route.filters.get(filter.name)
                if settings is DISABLED:
                    continue
            verdict = filter.response(self, head, settings)
            if verdict != CONTINUE:
                self.paused = verdict == STOPPED
                return verdict
        return CONTINUE

    def filters_over(self):
        """Each filter that kept something is told, once."""
        filter: HttpFilter
        kept: dict = self._kept
        self.paused = False
        if kept is not None:
            for filter in list(kept):
                filter.over(self)
            self._kept = None
