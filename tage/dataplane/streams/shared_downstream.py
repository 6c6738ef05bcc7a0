"""Downstream connections that carry many requests at a time: what they have to say, and their end, whatever the
protocol.

What is written goes out at the end of a batch of events (`net.flushes`). A client that does not take its answers makes
us hold them, and is cut off with more than `_MAX_UNSENT` bytes of them.

The end. A connection that is `leaving`, or whose client sends no more, ends when all is answered. A client that may
still be sending is heard out, or it could lose its last answers, and what it was told of the end.
"""

import cython

from tage.dataplane.streams.context import ListenerState
from tage.dataplane.streams.downstream import DownstreamConnection
from tage.dataplane.streams.output import Output
from tage.dataplane.telemetry.layout import LISTENER

_CX_MAX_DURATION = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_cx_max_duration_reached"))
_CX_MAX_REQUESTS = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_cx_max_requests_reached"))
_TX_BYTES = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_cx_tx_bytes_total"))

_MAX_UNSENT = cython.declare(cython.Py_ssize_t, 16_777_216)


class SharedDownstreamConnection(DownstreamConnection):
    """`scheme` is that of its requests, whatever the client says. `heard`: when the client last said anything (ms of
    the wheel's clock). `peer_ended`: it sends no more. `draining`: it was told to go. `leaving`: the connection ends
    with what is under way."""

    def __init__(self, listener: ListenerState) -> None:
        DownstreamConnection.__init__(self, listener)
        self.output = Output(self, listener.context.flushes, listener.stats, _TX_BYTES)
        self.scheme = b"http"
        self.heard = 0
        self.peer_ended = False
        self.draining = False
        self.leaving = False
        self._requests = 0

    # -- what protocols say --------------------------------------------------------------------------------------------

    def nothing_waits(self):
        """Whether nothing is under way, and all that was answered is written."""
        raise NotImplementedError

    def tell_to_go(self):
        """The client, in the protocol's words."""
        raise NotImplementedError

    def parked(self):
        """How many bytes wait for the client that were not written yet."""
        return 0

    # ------------------------------------------------------------------------------------------------------------------

    def begin(self):
        """It is open, and of this protocol."""
        self.forwarded_for = self.peer_host().encode()
        if self.tls() is not None:
            self.scheme = b"https"
        self.heard = self.listener.context.wheel.now()
        self.start_clocks()

    def count_request(self):
        """A client that has asked as often as it may is told to go."""
        if self.listener.max_requests_per_connection:
            self._requests += 1
            if self._requests == self.listener.max_requests_per_connection:
                self.listener.stats.up(_CX_MAX_REQUESTS)
                self.drain()

    # -- to the client -------------------------------------------------------------------------------------------------

    def queue(self):
        """Something was written."""
        self.output.queue()
        if self.write_paused:
            self.bound()

    def flush(self):
        self.output.flush()
        if self.write_paused:
            self.bound()

    def bound(self):
        if self.transport is not None:
            if self.transport.unsent() + self.output.writer.size + self.parked() > _MAX_UNSENT:
                self.reset()

    # -- the end -------------------------------------------------------------------------------------------------------

    def end_if_done(self):
        if (self.leaving or self.peer_ended) and not self.closing and self.nothing_waits():
            self.close()

    def close(self):
        listener: ListenerState = self.listener
        self.flush()
        if self.peer_ended:
            self.close_flushing(listener.context.wheel)
        else:
            self.close_hearing_out(listener.context.wheel, listener.delayed_close_timeout)

    def too_old(self):
        if not self.closing:
            self.listener.stats.up(_CX_MAX_DURATION)
            self.drain()

    def drain(self) -> None:
        if not self.draining and not self.closing:
            self.draining = True
            self.tell_to_go()
