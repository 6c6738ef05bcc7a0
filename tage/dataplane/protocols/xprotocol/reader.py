"""`FrameReader`: bytes -> frames, by a protocol's shapes. Sans-I/O, pull style: `feed`, then `read` until MORE.

    MORE     all that was fed has been looked at
    READY    `frame` is a whole frame
    BEGUN    `frame` is the first `whole` bytes of a larger one, `left` more come; never of one with a CRC, which stands
             at its end and is to be brought up to date with the id at its beginning
    DATA     `frame` is the next piece of it; `left` is 0 with the last
    FAILED   `error` says why; nothing more is read

Frames that arrive together are slices of what was fed. One that arrives in pieces waits in a list, small pieces put
together in it, and is joined once, when as much is there as is to be read at once: no byte is copied more than twice,
however slowly it comes. Kept are at most one frame, up to `whole` (with a CRC: up to `limit`), and one read.

Sizes are unsigned and compared with the limit before anything is read by them. A frame is told from others by its tests
as soon as these have come, so that what is no frame fails at once and not when a header's worth of it is there.

Invariant, tested: fed whole, byte by byte or in any cut, the same bytes give the same frames, and fail at the same one.
"""

from enum import IntEnum
from operator import index

import cython

from tage.dataplane.protocols.xprotocol.protocol import Protocol
from tage.dataplane.protocols.xprotocol.shape import Shape

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.xprotocol.shape import EVENT

    Progress = IntEnum("Progress", {"MORE": 0, "READY": 1, "BEGUN": 2, "DATA": 3, "FAILED": 4})
    MORE, READY, BEGUN, DATA, FAILED = range(5)

_SMALL = cython.declare(cython.Py_ssize_t, 4096)  # bytes; smaller pieces are put together
_UNTOLD = cython.declare(cython.Py_ssize_t, 16_384)  # bytes by which `Protocol.size` has to tell
_SHOWN = cython.declare(cython.Py_ssize_t, 8)


class FrameReader:
    """The frames of one direction of a connection. `whole`: a larger frame is handed out in pieces; may be changed
    between frames. `limit`: a larger one is an error. Both in bytes.

    Of the frame that was read last: `frame`, `shape`, `kind`, `id` (0 without), `size` (of all of it). `faulty`, after
    an error: a method of the protocol raised what it should not, so the fault is not the peer's.
    """

    def __init__(
        self, protocol: Protocol, whole: cython.Py_ssize_t = 262_144, limit: cython.Py_ssize_t = 16 << 20
    ) -> None:
        if not protocol.shapes:
            raise ValueError(f"{type(protocol).__name__}: __init__ has to call that of Protocol")
        self.protocol = protocol
        self.whole = whole
        self.limit = limit
        self.frame = b""
        self.shape = None
        self.kind = 0
        self.id = 0
        self.size = 0
        self.left = 0
        self.error = None
        self.faulty = False
        self._data = b""
        self._pos = 0
        self._end = 0
        self._pieces = []
        self._small = None
        self._held = 0
        self._need = 0
        self._sized = False

    def feed(self, data):
        """More bytes. What was fed before and not read yet stays in front; after an error nothing is kept."""
        if self.error is not None:
            return
        if self._pos < self._end:
            self._data = self._data[self._pos :] + data
        else:
            self._data = data
        self._pos = 0
        self._end = len(self._data)

    def buffered(self):
        """Bytes that were fed and are in no frame yet."""
        return self._held + self._end - self._pos

    def read(self):
        """A `Progress`."""
        if self.error is not None:
            return FAILED
        if self.left > 0:
            return self._data_of_frame()
        if self._held > 0:
            return self._resume()
        return self._at_boundary()

    def fail(self, error):
        self.error = error
        self.frame = b""
        self.left = 0
        self._data = b""
        self._pos = self._end = 0
        self._pieces = []
        self._small = None
        self._held = 0
        return FAILED

    def _data_of_frame(self):
        n: cython.Py_ssize_t = self._end - self._pos
        if n == 0:
            self._data = b""
            self._pos = self._end = 0
            return MORE
        if n > self.left:
            n = cython.cast(cython.Py_ssize_t, self.left)
        self.frame = self._data[self._pos : self._pos + n]
        self._pos += n
        self.left -= n
        return DATA

    def _at_boundary(self):
        """A frame begins with the first byte that was not read."""
        protocol: Protocol = self.protocol
        p: cython.p_uchar = self._data
        start: cython.Py_ssize_t = self._pos
        available: cython.Py_ssize_t = self._end - start
        found: cython.int
        shape: Shape
        size: cython.longlong
        first: cython.Py_ssize_t
        frame: bytes
        if available == 0:
            self._data = b""
            self._pos = self._end = 0
            return MORE
        found = protocol.match(p, start, self._end)
        if found == -1:
            return self.fail(self._no_frame())
        if found < 0:
            return self._wait(available + 1)
        shape = protocol._shapes[found]
        if available < shape.header:
            return self._wait(shape.header)
        if shape.by_method:
            size = self._told_size(available, shape)
            if size < 0:
                return FAILED
            if size == 0:
                return self._wait(available + 1)
        else:
            size = shape.total(p, start)
            if size < 0:
                return self.fail(f"the lengths of a {shape.name} contradict each other")
        if size > self.limit:
            return self.fail(f"a frame of {size} bytes; at most {self.limit} are taken")
        self.shape = shape
        self.size = size
        first = self.whole if self.whole > shape.header else shape.header
        if size <= first or shape.crc:
            first = cython.cast(cython.Py_ssize_t, size)
        if available < first:
            self._sized = True
            return self._wait(first)
        if start == 0 and first == self._end:
            frame = self._data
        else:
            frame = p[start : start + first]
        self._pos = start + first
        return self._taken(frame)

    def _wait(self, need):
        """Keeps what is there of a frame until `need` bytes of it are."""
        piece: bytes = self._data[self._pos : self._end]
        n: cython.Py_ssize_t = self._end - self._pos
        if n >= _SMALL:
            self._pieces.append(piece)
            self._small = None
        elif self._small is not None:
            self._small += piece
        else:
            self._small = bytearray(piece)
            self._pieces.append(self._small)
        self._held += n
        self._need = need
        self._data = b""
        self._pos = self._end = 0
        return MORE

    def _resume(self):
        """Some of a frame is kept."""
        n: cython.Py_ssize_t = self._end - self._pos
        frame: bytes
        if n == 0:
            return MORE
        if self._held + n < self._need:
            return self._wait(self._need)
        if self._sized:
            n = self._need - self._held
        self._pieces.append(self._data[self._pos : self._pos + n])
        frame = b"".join(self._pieces)
        self._pieces = []
        self._small = None
        self._held = 0
        if self._sized:
            self._sized = False
            self._pos += n
            return self._taken(frame)
        self._data = frame
        self._pos = 0
        self._end = len(frame)
        return self._at_boundary()

    def _taken(self, frame):
        shape: Shape = self.shape
        self.frame = frame
        self.kind = shape.kind
        self.id = shape.id(frame)
        self.left = self.size - len(frame)
        if (shape.kind == EVENT or shape.id_by_method) and not self._asked(frame, shape):
            return FAILED
        return READY if self.left == 0 else BEGUN

    def _told_size(self, available, shape):
        """What `Protocol.size` says: -1: an error, 0: more bytes are needed."""
        size: cython.longlong
        try:
            size = self.protocol.size(self._data, self._pos, available, shape)
            if not cython.compiled:
                size = index(size)  # as C would
        except Exception as error:
            self._raised("size", error)
            return -1
        if size == 0:
            if available < _UNTOLD:
                return 0
            self.fail(f"a {shape.name} whose size is not told by {available} bytes")
            return -1
        if size < shape.header:
            self.fail(f"a {shape.name} of {size} bytes, which is less than its header")
            return -1
        return size

    def _asked(self, frame, shape):
        """Asks the protocol for the kind and the id of a frame whose declaration does not tell."""
        at: cython.Py_ssize_t
        asked: str = "id_at"
        try:
            if shape.id_by_method:
                at = self.protocol.id_at(frame, shape)
                if not cython.compiled:
                    at = index(at)
                if at < 0 or at + shape.id_width > len(frame):
                    raise ValueError(f"the id would stand at {at}, outside the frame")
                self.id = int.from_bytes(
                    frame[at : at + shape.id_width], "little" if shape.id_little else "big"
                ) & shape.id_most
            if shape.kind == EVENT:
                asked = "classify"
                self.kind = self.protocol.classify(frame, shape)
        except Exception as error:
            self._raised(asked, error)
            return False
        return True

    def _raised(self, method: str, error: Exception) -> None:
        """ValueError is how a method says that the peer is wrong, all else is the protocol's own fault."""
        if isinstance(error, ValueError):
            self.fail(f"{self.protocol.name}: {error}")
        else:
            self.fail(f"{self.protocol.name}: {method}() raised {type(error).__name__}: {error}")
            self.faulty = True

    def _no_frame(self) -> str:
        begin = self._data[self._pos : min(self._end, self._pos + _SHOWN)].hex(" ")
        return f"no frame of the protocol {self.protocol.name} begins with {begin}"
