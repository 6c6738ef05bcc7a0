"""What a connection of frames has to say: put together in `writer`, and written at the end of a batch of events
(`net.flushes`), or at once where there is much of it."""

import cython

from tage.dataplane.net.connection import Connection
from tage.dataplane.net.flushes import Flushes
from tage.dataplane.protocols.writer import ByteWriter
from tage.dataplane.telemetry.store import StatGroup

_AT_ONCE = cython.declare(cython.Py_ssize_t, 262_144)  # bytes
_PIECES = cython.declare(cython.Py_ssize_t, 60)  # as many as one call of the system takes, nearly


class Output:
    """One connection's, whose `flush` is to call this one's. `counter` is where its bytes are counted in `stats`.

    `pieces` are what goes out in front of what the writer has, for what is too large to be copied into it."""

    def __init__(
        self, connection: Connection, flushes: Flushes, stats: StatGroup, counter: cython.Py_ssize_t
    ) -> None:
        self.connection = connection
        self.flushes = flushes
        self.stats = stats
        self.counter = counter
        self.writer = ByteWriter()
        self.pieces = []
        self._put_off = False

    def queue(self):
        """Something was put."""
        if self.writer.size > _AT_ONCE or len(self.pieces) > _PIECES:
            self._write()
        elif not self._put_off:
            self._put_off = True
            self.flushes.put_off(self.connection)

    def flush(self):
        self._put_off = False
        self._write()

    def _write(self):
        pieces: list
        piece: bytes
        if self.pieces:
            pieces = list(self.pieces)
            self.pieces.clear()
            if self.writer.size:
                pieces.append(self.writer.take())
            for piece in pieces:
                self.stats.add(self.counter, len(piece))
            self.connection.write_pieces(pieces)
        elif self.writer.size:
            self.stats.add(self.counter, self.writer.size)
            self.connection.write(self.writer.take())
