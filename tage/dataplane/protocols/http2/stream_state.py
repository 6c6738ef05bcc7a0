"""`StreamState`: what a session knows of one stream (RFC 9113, 5.1).

    idle ──begun──► open ──local_ended──► half closed (local) ──┐
                     │ └──remote_ended──► half closed (remote) ─┴─► closed: both have ended, or one has reset it
                     └────────────────────RST_STREAM───────────────►
"""

import cython


class StreamState:
    """`owner` is who the stream belongs to; the session never looks at it, and who reads its events clears it at the
    stream's end: the two hold each other.

    Windows are bytes: `send_window` may be sent yet, and be negative (6.9.2); `recv_window` may come yet; `unacked` has
    come and was not given back. `held`: nothing is given back. `pending_bytes` wait to be sent; `full`: enough do.

    `answered`: a final head was sent (server) or has come (client).

    The session's own: `pending` are the pieces that wait, the first from `pending_at` on, `pending_end` and
    `pending_trailers` behind them. `queued`: it waits for its turn; `roomy`: its source is to be told to go on.
    `dropped`: what still comes of it is not wanted; `silent`: nothing of it is told any more, its head was too large or
    `malformed`. `connects`: its request asks for a tunnel, `switches`: to another protocol in it, `tunnel`: it is one.
    Its window was opened last at `given_at` (ms), and is `grown` bytes wider than the first; `slowed`: held since.
    `left`: bytes of the body that are to come by its content-length, -1: not known."""

    def __init__(self, id: cython.uint = 0, owner: object = None) -> None:
        self.id = id
        self.owner = owner
        self.head = None
        self.local_ended = False
        self.remote_ended = False
        self.closed = False
        self.held = False
        self.full = False
        self.answered = False
        self.send_window = 0
        self.recv_window = 0
        self.unacked = 0
        self.pending_bytes = 0
        self.pending = None
        self.pending_at = 0
        self.pending_end = False
        self.pending_trailers = None
        self.begun = False
        self.queued = False
        self.roomy = False
        self.dropped = False
        self.silent = False
        self.malformed = False
        self.to_head = False
        self.connects = False
        self.switches = False
        self.tunnel = False
        self.slowed = False
        self.grown = 0
        self.given_at = 0
        self.left = -1


def new_stream(id, owner):
    """One that has neither begun nor ended. Compiled, it is as `__init__` would leave it: one a request."""
    s: StreamState
    if not cython.compiled:
        return StreamState(id, owner)
    s = StreamState.__new__(StreamState)
    s.id = id
    s.owner = owner
    s.left = -1
    return s
