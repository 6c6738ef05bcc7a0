"""What a pool and a stream know of an upstream connection, and a connection of a stream; protocols fill them in."""

import cython

from tage.dataplane.net.connection import Connection
from tage.dataplane.net.timers import Timer

if not cython.compiled:
    # Compiled, this is the enumeration in the .pxd: why there is no answer.
    import enum

    Failure = enum.IntEnum(
        "Failure",
        [
            "NONE", "CONNECT_FAILURE", "CONNECT_TIMEOUT", "OVERFLOW", "TERMINATED", "PROTOCOL_ERROR", "REFUSED",
            "RESET", "UNPROCESSED",
        ],
        start=0,
    )  # fmt: skip
    (
        NONE, CONNECT_FAILURE, CONNECT_TIMEOUT, OVERFLOW, TERMINATED, PROTOCOL_ERROR, REFUSED, RESET, UNPROCESSED,
    ) = Failure  # fmt: skip


def reason_of(error):
    """What `Connection.lost` was told, in words; empty where the peer ended the connection."""
    return error.strerror if isinstance(error, OSError) and error.strerror else ""


class Receiver(Timer):
    """One try of a request, as its upstream connection sees it. `reset` ends it, and so does `end`. `upstream_id` and
    `upstream_state` are the connection's: under which id, or as what, it knows the request.

    Whoever asks and answers in HTTP has `request_trailers`, set before the request's end, and `response_trailers`,
    which the connection sets before the answer's end: whole lines, or None. A side that cannot send them drops them."""

    def upstream_ready(self, connection):
        """The connection that was waited for is there, and free."""
        raise NotImplementedError

    def upstream_failed(self, failure, reason):
        """There will be no connection."""
        raise NotImplementedError

    def interim(self, head):
        """A 1xx answer. The head is valid during the call."""
        raise NotImplementedError

    def response(self, head, data, end):
        """The answer, with the part of its body (or None) that came with it. The head is valid during the call."""
        raise NotImplementedError

    def response_data(self, data, end):
        raise NotImplementedError

    def reset(self, failure, reason):
        """The answer will not be completed."""
        raise NotImplementedError

    def upstream_congested(self):
        raise NotImplementedError

    def upstream_drained(self):
        raise NotImplementedError


class UpstreamConnection(Connection):
    """One connection of a pool. `requests` counts what it was given. `shared`: it may carry several at a time, and
    stays in the pool while it does; `slots` says how many more it takes now. One that is not carries one at a time, and
    `receiver` is whose answer that is, `received_any` whether a byte of it has come.
    `alone`: it was dialled for one receiver and is in no pool; `pooled`: its host gives it to who asks."""

    def __init__(self) -> None:
        Connection.__init__(self)
        self.receiver = None
        self.requests = 0
        self.received_any = False
        self.shared = False
        self.slots = 1
        self.alone = False
        self.pooled = False

    def send_request(self, receiver, head, edits, data, end):
        raise NotImplementedError

    def send_data(self, receiver, data, end):
        """More of the request's body."""
        raise NotImplementedError

    def cancel(self, receiver):
        """The answer is not wanted any more. A connection that carries one at a time does not go back to its pool."""
        raise NotImplementedError

    def carries(self, receiver):
        """Whether the answer is still to come here, or to be completed."""
        return self.receiver is receiver

    def full(self, receiver):
        """Whether what the receiver sends would wait here: `upstream_drained` is told when it would not."""
        return self.write_paused

    def hold(self, receiver):
        """The answer is not to come faster than it is taken: no more of it for now. One that others share goes on."""
        self.pause_reading()

    def proceed(self, receiver):
        self.resume_reading()

    def relayed(self, frame, shape, number):
        """The client's answer to a request of the peer's own, which had this id."""
        raise NotImplementedError

    def bound(self, downstream):
        """It carries the requests of this downstream connection alone, from now on."""
        raise NotImplementedError

    def retire(self):
        """Its host is gone: it ends when what is under way is complete. Only for one that is in a pool."""
        self.close()
