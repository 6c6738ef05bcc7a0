"""Upstream connections that carry many requests at a time: their room, their age and their end, whatever the protocol.

Room. A connection takes as many requests as its protocol says (`most`) less those that are `under_way`; none while the
peer does not take what is written, and none any more once it is `leaving`: requests go to another connection or wait.
The host is offered a connection that has room again.

What is written goes out at the end of a batch of events (`net.flushes`), so that requests of several clients leave
together.

The end. A connection ends when it has idled or lived too long, or its peer does not answer whether it is there
(`ask`); one that is leaving when all that is under way on it is complete.
"""

import cython

from tage.dataplane.net.flushes import Flushes
from tage.dataplane.streams.output import Output
from tage.dataplane.telemetry.layout import CLUSTER
from tage.dataplane.upstream.cluster_info import ClusterInfo
from tage.dataplane.upstream.connection import Receiver, UpstreamConnection
from tage.dataplane.upstream.pool import Pool

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.upstream.connection import TERMINATED, reason_of

_TX_BYTES = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_tx_bytes_total"))
_IDLE_TIMEOUT = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_idle_timeout"))
_MAX_DURATION = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_max_duration_reached"))
_MAX_REQUESTS = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_max_requests"))


class SharedUpstreamConnection(UpstreamConnection):
    """`leaving`: it takes no further requests. Times (ms of the wheel's clock): `heard` when the peer last said
    anything, `asked` since when it has not answered whether it is there (0: it has). `ask_every` and `patience` (ms, 0:
    never): how long a peer may be silent before it is asked, and how long it may then not answer."""

    def __init__(self, host: Pool, flushes: Flushes) -> None:
        UpstreamConnection.__init__(self)
        self.host = host
        self.cluster = host.cluster
        self.shared = True
        self.output = Output(self, flushes, self.cluster.stats, _TX_BYTES)
        self.leaving = False
        self.heard = 0
        self.asked = 0
        self.ask_every = 0
        self.patience = 0
        self._opened_at = 0
        self._busy = 0

    # -- what protocols say --------------------------------------------------------------------------------------------

    def under_way(self):
        """How many requests are."""
        raise NotImplementedError

    def most(self):
        """How many may be."""
        raise NotImplementedError

    def ask(self):
        """Whether the peer is there. Whatever it says then sets `asked` to 0."""
        raise NotImplementedError

    def give_up(self):
        """All who wait for something here; nothing is under way for them any more."""
        raise NotImplementedError

    def bound_elsewhere(self):
        """Whether it is not its host's to give to anybody."""
        return self.alone

    # -- room ----------------------------------------------------------------------------------------------------------

    def room(self):
        if self.leaving or self.write_paused:
            return 0
        return self.most() - self.under_way()

    def took(self):
        """A request more is under way."""
        self.requests += 1
        self.slots = self.room()

    def count_limit(self):
        """After a request went out: whether it was the last that this connection may carry."""
        limit: cython.longlong = self.cluster.max_requests_per_connection
        if limit and self.requests >= limit and not self.leaving:
            self.cluster.stats.up(_MAX_REQUESTS)
            self.retire()

    def freed(self):
        """A request less is under way."""
        self._busy = self.cluster.wheel.latest
        if self.leaving:
            if self.under_way() == 0:
                self.finish()
            return
        self.look_for_room()

    def look_for_room(self):
        had: cython.Py_ssize_t = self.slots
        self.slots = self.room()
        if had <= 0 and self.slots > 0 and not self.bound_elsewhere() and not self.closing:
            self.host.release(self)

    # -- the end -------------------------------------------------------------------------------------------------------

    def retire(self):
        """No further requests; those under way are answered."""
        self.leaving = True
        self.slots = 0
        if self.under_way() == 0:
            self.finish()

    def finish(self):
        """All is answered: what was written goes out, and that is the end."""
        self.flush()
        self.close_flushing(self.cluster.wheel)

    def break_off(self, failure, reason):
        """The end, for every request on it."""
        receiver: Receiver
        waiting: list = self.give_up()
        self.receiver = None
        self.leaving = True
        self.slots = 0
        self.abort()
        for receiver in waiting:
            receiver.reset(failure, reason)

    def ended(self):
        self.break_off(TERMINATED, "")
        return False

    def lost(self, error):
        self.cluster.wheel.disarm(self)
        self.host.lost(self)
        self.break_off(TERMINATED, reason_of(error))

    def flush(self):
        self.output.flush()

    # -- time ----------------------------------------------------------------------------------------------------------

    def begin(self):
        """It is open."""
        self._opened_at = self.heard = self._busy = self.cluster.wheel.now()
        self._watch()

    def expire(self):
        if self.closing:
            self.expire_closing(self.cluster.wheel)
        else:
            self._watch()

    def _watch(self):
        """Ends what has idled, lived too long or fallen silent; asks the silent; looks again when the next of these may
        be due."""
        cluster: ClusterInfo = self.cluster
        now: cython.longlong = cluster.wheel.now()
        due: cython.longlong = 0
        left: cython.longlong
        if cluster.max_connection_duration and not self.leaving:
            due = self._opened_at + cluster.max_connection_duration - now
            if due <= 0:
                cluster.stats.up(_MAX_DURATION)
                self.retire()
                due = 0
        if cluster.idle_timeout and not self.closing and self.under_way() == 0:
            left = self._busy + cluster.idle_timeout - now
            if left <= 0:
                cluster.stats.up(_IDLE_TIMEOUT)
                self.finish()
            elif due == 0 or left < due:
                due = left
        elif cluster.idle_timeout and (due == 0 or cluster.idle_timeout < due):
            due = cluster.idle_timeout
        if self.ask_every and not self.closing:
            left = self._until_asked(now)
            if due == 0 or left < due:
                due = left
        if due and not self.closing:
            cluster.wheel.arm(self, due)

    def _until_asked(self, now):
        """How long the peer may still be silent, ms. It is asked, or given up, if it has been for too long."""
        left: cython.longlong = self.heard + self.ask_every - now
        if left > 0:
            return left
        if self.asked and now - self.asked >= self.patience:
            self.break_off(TERMINATED, "whether it is there was not answered")
            return 0
        self.ask()
        if self.asked == 0:
            self.asked = now
        left = self.asked + self.patience - now
        return left if left < self.ask_every else self.ask_every
