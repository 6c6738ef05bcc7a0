"""Answers on their way to a client that asked for many: each is a frame, and frames cannot be parted.

An answer that comes in pieces is written as they come, and what others have to say waits behind it (`Parked`), in the
order in which it came.
"""

from collections import deque

import cython

from tage.dataplane.protocols.writer import ByteWriter


class Parked:
    """An answer, or its beginning, that waits behind one that is being written in pieces."""

    def __init__(self, stream, piece: bytes, ended: cython.bint) -> None:
        self.stream = stream
        self.pieces = [piece]
        self.ended = ended


class Answers:
    """`out` is what goes out next. `writing` is the stream whose answer is being written in pieces, None: none is.
    `parked_bytes` is the size of all that waits."""

    def __init__(self, out: ByteWriter) -> None:
        self.out = out
        self.writing = None
        self.parked_bytes = 0
        self._parked = deque()

    def put(self, stream, piece, end):
        """An answer's beginning, or all of it."""
        if self.writing is not None:
            self.parked_bytes += len(piece)
            self._parked.append(Parked(stream, piece, end))
            return
        self.out.put(piece)
        if not end:
            self.writing = stream

    def more(self, stream, piece, end):
        """Of one that has begun; `piece` may be None."""
        parked: Parked
        if self.writing is stream:
            if piece is not None:
                self.out.put(piece)
            if end:
                self.writing = None
                self._unpark()
            return
        for parked in self._parked:
            if parked.stream is stream:
                if piece is not None:
                    parked.pieces.append(piece)
                    self.parked_bytes += len(piece)
                parked.ended = end

    def _unpark(self):
        parked: Parked
        piece: bytes
        while self._parked and self.writing is None:
            parked = self._parked.popleft()
            for piece in parked.pieces:
                self.parked_bytes -= len(piece)
                self.out.put(piece)
            if not parked.ended:
                self.writing = parked.stream

    def clear(self):
        """The client is gone."""
        self._parked.clear()
        self.parked_bytes = 0
        self.writing = None
