"""`Protocol`: the base class of all protocols. A protocol declares its frames as class attributes; what cannot be
declared are methods of the same names as here.

The declarations are read once, when the class is instantiated (one object serves all connections of a worker): frames
become `Shape`s, and which methods a subclass has of its own is noted, so that nothing is asked of Python per frame
where all is declared. What a method is given may be the first part of a frame only, and comes from the wire: it answers
None or raises ValueError for what cannot be read.
"""

from array import array
from typing import Any

import cython

from tage.dataplane import native
from tage.dataplane.protocols.xprotocol import build, declaration
from tage.dataplane.protocols.xprotocol.shape import Shape

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.xprotocol.shape import (
        EVENT,
        GO_AWAY,
        HEARTBEAT,
        HEARTBEAT_ACK,
        MAYBE,
        NO,
        ONE_WAY,
        REQUEST,
        RESPONSE,
        YES,
        with_part,
    )

METHODS = (
    "names", "headers", "with_headers", "with_names", "reply", "heartbeat_frame", "heartbeat_answer", "go_away_frame",
    "classify", "size", "id_at", "response_status", "timeout_of", "example", "method_of",
)  # fmt: skip
"""What a subclass may define."""

_SLOTS = cython.declare(cython.Py_ssize_t, 4096)  # pairs of names that are remembered, a power of two
_MAX_REMEMBERED = cython.declare(cython.Py_ssize_t, 256)  # bytes of such a pair
_MAX_NAMES = cython.declare(cython.Py_ssize_t, 4096)  # bytes of service and method together
_TABLE = cython.declare(cython.Py_ssize_t, 256)  # statuses that a table answers for
_MULTIPLIER = cython.declare(cython.ulonglong, 0x9E3779B97F4A7C15)
_BITS = cython.declare(cython.ulonglong, 0xFFFFFFFFFFFFFFFF)

# Of any type, for subclasses say which.
_NONE: Any = None
_NO_NAMES: Any = ()
_NO_STATUSES: Any = {}


class Protocol:
    """Base of all protocols; docs/guides/add-a-protocol.md shows one from the beginning.

    `request`, `one_way`, `response`, `heartbeat`, `heartbeat_ack`, `go_away`, `event`: a Frame, several, or None.
    `metadata`: how the part of that name is encoded. `service_keys`, `method_keys`: the metadata, best first, that
    names service and method where no parts do. `timeout_key`: the metadata that says for how many ms a request's client
    waits, where no field does; it counts once the metadata are read. `statuses`: the protocol's status -> HTTP's, all
    others are 500; `replies`: back, by status or by class (500 stands for 5xx, 400 for 4xx). `multiplexing`:
    "multiplexed", "ping_pong" (one call at a time on a connection) or "ordered" (answers come in the order of the
    calls).
    `heartbeat_interval`: ms for which a connection to an upstream may be idle before it is sent a heartbeat, 0: none.

    Instantiating raises `ProtocolError` for what is wrong with the declarations.
    """

    name = ""
    request = _NONE
    one_way = _NONE
    response = _NONE
    heartbeat = _NONE
    heartbeat_ack = _NONE
    go_away = _NONE
    event = _NONE
    metadata = _NONE
    service_keys = _NO_NAMES
    method_keys = _NO_NAMES
    timeout_key = ""
    statuses = {0: 200}
    replies = _NO_STATUSES
    multiplexing = "multiplexed"
    heartbeat_interval = 15_000

    def __init__(self) -> None:
        cls: Any = type(self)
        shape: Shape
        self.overridden = frozenset([name for name in METHODS if getattr(cls, name) is not getattr(Protocol, name)])
        self.own_names = "names" in self.overridden
        self.own_headers = "headers" in self.overridden
        self.own_method = "method_of" in self.overridden
        self.own_status = "response_status" in self.overridden
        self.own_timeout = "timeout_of" in self.overridden
        self._shapes = declaration.shapes(self, self.overridden)
        self.shapes = tuple(self._shapes)
        self._count = len(self._shapes)
        self._pairs = self.metadata
        self._service_keys = tuple([key.encode() for key in self.service_keys])
        self._method_keys = tuple([key.encode() for key in self.method_keys])
        self._timeout_key = self.timeout_key.lower().encode()
        self.has_names = self.own_names or bool(self._service_keys)
        self.id_most = 0
        for shape in self._shapes:
            if shape.kind == REQUEST or shape.kind == ONE_WAY or shape.kind == EVENT:
                self.has_names = self.has_names or shape.service >= 0
                if shape.has_id and (self.id_most == 0 or shape.id_most < self.id_most):
                    self.id_most = shape.id_most
        self.can_answer_heartbeats = "heartbeat_answer" in self.overridden or (
            self._of_kind(HEARTBEAT) is not None and self._of_kind(HEARTBEAT_ACK) is not None
        )
        self._statuses = dict(self.statuses)
        self._status_table = array("i", [self._statuses.get(status, 500) for status in range(_TABLE)])
        self._tests()
        self._slots = [None] * _SLOTS

    def _tests(self):
        """The tests of the first eight bytes, as numbers that are compared at once."""
        masks: Any = array("Q")
        values: Any = array("Q")
        more: Any = array("i")
        self.discriminating = True
        for shape in self._shapes:
            tests = shape.frame.fixed()
            masks.append(native.word(bytes([tests.get(at, (0, 0))[0] for at in range(8)]), 0))
            values.append(native.word(bytes([tests.get(at, (0, 0))[1] for at in range(8)]), 0))
            more.append(1 if tests and max(tests) >= 8 else 0)
            if tests.get(0, (0, 0))[0] != 0xFF and shape.kind != RESPONSE and shape.kind != HEARTBEAT_ACK:
                self.discriminating = False
        self._word_mask = masks
        self._word_value = values
        self._more_tests = more

    # -- telling frames ------------------------------------------------------------------------------------------------

    def match(self, p, start, end):
        """The index of the shape that p[start:end] begins with; -1: none, -2: more bytes are needed to tell."""
        first: cython.ulonglong
        i: cython.int
        shape: Shape
        fits: cython.int
        if end - start < 8:
            return self._match_slowly(p, start, end)
        first = native.word(p, start)
        for i in range(self._count):
            if first & self._word_mask[i] == self._word_value[i]:
                if not self._more_tests[i]:
                    return i
                shape = self._shapes[i]
                fits = shape.fits(p, start, end)
                if fits == YES:
                    return i
                if fits == MAYBE:
                    return self._match_slowly(p, start, end)
        return -1

    def _match_slowly(self, p, start, end):
        i: cython.int
        shape: Shape
        fits: cython.int
        undecided: cython.int = -1
        for i in range(self._count):
            shape = self._shapes[i]
            fits = shape.fits(p, start, end)
            if fits == YES:
                return i
            if fits == MAYBE:
                undecided = -2
        return undecided

    def matches(self, prefix):
        """Whether a connection that begins with these bytes speaks the protocol: 0 no, 1 not to be told yet, 2 yes."""
        found: cython.int = self.match(prefix, 0, len(prefix))
        return YES if found >= 0 else MAYBE if found == -2 else NO

    # -- service and method --------------------------------------------------------------------------------------------

    def call_of(self, frame, shape):
        """(service, "/service/method") of a request, None where they cannot be read. Equal ones are the same objects,
        as long as they are remembered."""
        part: tuple
        service: bytes
        method: bytes
        if not self.own_names:
            return self._declared_call(frame, shape)
        try:
            part = self.names(frame, shape)
        except ValueError:
            return None
        if part is None:
            return None
        service, method = part
        if service is None or method is None:
            return None
        return self._interned(service, 0, len(service), method, 0, len(method))

    def _declared_call(self, frame, shape):
        """As `call_of`, by what is declared."""
        where: tuple[cython.Py_ssize_t, cython.Py_ssize_t]
        other: tuple[cython.Py_ssize_t, cython.Py_ssize_t]
        metadata: tuple[cython.Py_ssize_t, cython.Py_ssize_t]
        if shape.by_method or len(frame) < shape.header:
            return None
        where = shape.part_at(frame, shape.service)
        other = shape.part_at(frame, shape.method)
        if shape.service < 0 or shape.method < 0:
            if self._pairs is not None and (self._service_keys or self._method_keys):
                metadata = shape.part_at(frame, shape.metadata)
                if metadata[0] < 0:
                    return None
                if shape.service < 0:
                    where = self._pairs.find(frame, metadata[0], metadata[1], self._service_keys)
                if shape.method < 0:
                    other = self._pairs.find(frame, metadata[0], metadata[1], self._method_keys)
                    if other[0] == -1 and self.own_method:
                        return self._call_by_method_of(frame, shape, where)
                    if other[0] == -1:
                        other = (0, 0)
            elif shape.method < 0:
                other = (0, 0)
        if where[0] < 0 or other[0] < 0:
            return None
        return self._interned(frame, where[0], where[1], frame, other[0], other[1])

    def _call_by_method_of(self, frame, shape, service):
        """`call_of` where the metadata names a service and no method."""
        method: bytes
        if service[0] < 0:
            return None
        try:
            method = self.method_of(frame, shape)
        except ValueError:
            return None
        return self._interned(frame, service[0], service[1], method, 0, len(method))

    def _interned(self, p, start, end, q, method, method_end):
        size: cython.Py_ssize_t = end - start
        rest: cython.Py_ssize_t = method_end - method
        hash: cython.ulonglong
        slot: cython.Py_ssize_t
        i: cython.int
        found: tuple
        authority: bytes
        path: bytes
        if size == 0 or size + rest > _MAX_NAMES:
            return None
        if size + rest > _MAX_REMEMBERED:
            if not _printable(p, start, end) or not _printable(q, method, method_end):
                return None
            authority = p[start:end]
            return (authority, b"".join((b"/", authority, b"/", q[method:method_end])))
        hash = _mixed(_mixed(size, p, start, end), q, method, method_end)
        slot = cython.cast(cython.Py_ssize_t, (hash >> 32) & (_SLOTS - 1))
        for i in range(2):
            found = self._slots[slot ^ i]
            if found is not None:
                authority = found[0]
                path = found[1]
                if (
                    len(authority) == size
                    and len(path) == size + rest + 2
                    and native.equal(p, start, authority, size)
                    and (rest == 0 or native.equal(q, method, path[size + 2 :] if not cython.compiled
                                                   else cython.cast(cython.p_uchar, path) + size + 2, rest))
                ):  # fmt: skip
                    return found
        if not _printable(p, start, end) or not _printable(q, method, method_end):
            return None
        authority = p[start:end]
        found = (authority, b"".join((b"/", authority, b"/", q[method:method_end])))
        self._slots[slot if self._slots[slot] is None else slot ^ 1] = found
        return found

    # -- what the shared layers ask ------------------------------------------------------------------------------------

    def status_of(self, frame, shape):
        """The HTTP status of a response."""
        status: cython.int
        if self.own_status:
            status = self.response_status(frame, shape)
            return status if 100 <= status <= 599 else 500
        return self.http_status(shape.status(frame))

    def timeout_in(self, frame, shape):
        """ms, 0: none."""
        timeout: cython.longlong
        if self.own_timeout:
            timeout = self.timeout_of(frame, shape)
            return timeout if timeout > 0 else 0
        return shape.timeout(frame) if shape.has_timeout else 0

    def http_status(self, status):
        """HTTP's for one of the protocol's own."""
        if 0 <= status < _TABLE:
            return self._status_table[status]
        return self._statuses.get(status, 500)

    def own_status_of(self, http: int) -> int:
        """The protocol's own for one of HTTP, by `replies`, else by `statuses`."""
        replies: dict = dict(self.replies)
        for key in (http, 400 if 400 <= http <= 499 else 500 if http >= 500 else http):
            if key in replies:
                return replies[key]
        if 200 <= http <= 299:
            return self._ok()
        if 500 in replies:
            return replies[500]
        for wanted in (http, 500):
            for status, meaning in self._statuses.items():
                if meaning == wanted:
                    return status
        return 1

    def _ok(self) -> int:
        for status, meaning in self._statuses.items():
            if meaning == 200:
                return status
        return 0

    def _of_kind(self, kind: int, like: Any = None) -> Any:
        """The shape of that kind; where there are several, that in the place of `like` among its own."""
        found = [shape for shape in self.shapes if shape.kind == kind]
        if like is not None and 0 <= like.index < len(found):
            same = [shape for shape in self.shapes if shape.kind == like.kind]
            if len(same) == len(found):
                return found[like.index]
        return found[0] if found else None

    # -- what a protocol may say itself --------------------------------------------------------------------------------

    def names(self, frame, shape):
        """(service, method) of a request; None where they cannot be read. The method may be empty."""
        call: tuple = self._declared_call(frame, shape) if self.own_names else self.call_of(frame, shape)
        if call is None:
            return None
        return (call[0], call[1][len(call[0]) + 2 :])

    def method_of(self, frame, shape):
        """The method of a request whose metadata has none of `method_keys`; may be empty."""
        return b""

    def headers(self, frame, shape):
        """The metadata of a request or a response, as (name, value). ValueError: malformed."""
        where: tuple[cython.Py_ssize_t, cython.Py_ssize_t]
        if shape.metadata < 0 or self._pairs is None:
            return []
        if len(frame) < shape.header:
            raise ValueError("metadata: the frame's header is not all there")
        where = shape.part_at(frame, shape.metadata)
        if where[0] < 0:
            raise ValueError("metadata: not all of it is there")
        return self._pairs.read(frame, where[0], where[1])

    def with_headers(self, frame, shape, headers):
        """The frame with exactly these as its metadata. ValueError: they do not fit."""
        start: cython.Py_ssize_t
        end: cython.Py_ssize_t
        if shape.metadata < 0 or self._pairs is None:
            if headers:
                raise ValueError(f"a {shape.name} of the protocol {self.name} has no place for metadata")
            return frame
        start, end = shape.part(frame, shape.metadata)
        return with_part(shape, frame, shape.metadata, self._pairs.write(headers, [frame, start, end]))

    def with_names(self, frame, shape, service, method):
        """The request with this service and method. ValueError: they have no place in it, or do not fit."""
        found: tuple = self.names(frame, shape)
        changed: bytes = frame
        if found is None:
            raise ValueError(f"the service of a {shape.name} cannot be read")
        if found[0] != service and shape.service >= 0:
            changed = with_part(shape, changed, shape.service, service)
        if found[1] != method and shape.method >= 0:
            changed = with_part(shape, changed, shape.method, method)
        if (shape.service >= 0 or found[0] == service) and (shape.method >= 0 or found[1] == method):
            return changed
        return self._names_in_metadata(changed, shape, found, service, method)

    def _names_in_metadata(self, frame: bytes, shape: Any, found: tuple, service: bytes, method: bytes) -> bytes:
        items: list = self.headers(frame, shape)
        for index, keys, old, new, what in (
            (shape.service, self._service_keys, found[0], service, "service"),
            (shape.method, self._method_keys, found[1], method, "method"),
        ):
            if index >= 0 or old == new:
                continue
            renamed = [(name, new if name in keys and value == old else value) for name, value in items]
            if renamed == items:
                if not keys or old:
                    raise ValueError(f"the {what} of a {shape.name} has no place that is known")
                renamed.append((keys[0], new))
            items = renamed
        return self.with_headers(frame, shape, items)

    def reply(self, request, shape, status, message):
        """A whole answer to that request from here: `status` is HTTP's, `message` words for the user in UTF-8. None:
        the protocol has none."""
        answer: Shape
        if shape.kind != REQUEST:
            return None
        answer = self._of_kind(RESPONSE, shape)
        if answer is None:
            return None
        field: Any = answer.frame.parts["body"] if answer.body >= 0 else answer.frame.length
        most: Any = 0 if field is None else field.most
        if len(message) > most:
            message = message[:most].decode("utf-8", "ignore").encode()
        return build.built(
            answer, shape.id(request), self.own_status_of(status), parts={"body": message} if message else None
        )

    def heartbeat_frame(self):
        """A heartbeat with the id 0, which the caller sets. None: the protocol has none."""
        return self._bare(HEARTBEAT)

    def heartbeat_answer(self, frame, shape):
        """The answer to that heartbeat. None: none is sent."""
        answer: Shape = self._of_kind(HEARTBEAT_ACK, shape)
        if answer is None or answer.by_method or answer.id_by_method:
            return None
        return build.built(answer, shape.id(frame), self._ok())

    def go_away_frame(self):
        """What tells the peer to send no new requests here. None: the protocol has nothing of the kind."""
        return self._bare(GO_AWAY)

    def _bare(self, kind):
        """A frame of that kind with nothing in it. None: there is none, or only a method could tell how it is made."""
        shape: Any = self._of_kind(kind)
        if shape is None or shape.by_method or shape.id_by_method:
            return None
        return build.built(shape)

    def classify(self, frame, shape):
        """The `Kind` of a frame that was declared as `event`."""
        return shape.kind

    def size(self, data, start, available, shape):
        """Of a frame with size="method", of which data[start : start+available] is there: its size in bytes; 0: more is
        needed to tell. ValueError: malformed."""
        raise ValueError(f"the size of a {shape.name} is not to be told")

    def id_at(self, frame, shape):
        """Where the id of a frame with id=u32(None) stands in it."""
        if not shape.has_id or shape.id_by_method:
            raise ValueError(f"the place of a {shape.name}'s id is not to be told")
        return shape._id_at

    def response_status(self, frame, shape):
        """The HTTP status of a response."""
        return self.http_status(shape.status(frame))

    def timeout_of(self, frame, shape):
        """How long a request's client waits, ms, 0: it does not say."""
        return shape.timeout(frame)

    def example(self, kind):
        """A frame of that `Kind`, for tests. None: there is none, or it is not to be built from its declaration."""
        shape: Shape = self._of_kind(int(kind))
        items: list = []
        if shape is None or shape.by_method or shape.id_by_method:
            return None
        if shape.kind <= ONE_WAY:
            if shape.service < 0 and self._service_keys:
                items.append((self._service_keys[0], b"com.example.Service"))
            if shape.method < 0 and self._method_keys:
                items.append((self._method_keys[0], b"call"))
        items.append((b"version", b"1.0"))
        parts: dict = {"service": b"com.example.Service", "method": b"call", "body": b"body"}
        if self._pairs is not None:
            parts["metadata"] = self._pairs.write(items)
        timeout: Any = min(3000, shape.frame.timeout.most) if shape.has_timeout else 0
        return build.built(shape, 1, self._ok(), timeout, parts)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name}, {', '.join([s.name for s in self.shapes or ()])}>"


def _mixed(hash, p, start, end):
    """A hash of p[start:end], from another: for a table that forgets, so collisions cost little."""
    at: cython.Py_ssize_t = start
    while end - at >= 8:
        hash = ((hash ^ native.word(p, at)) * _MULTIPLIER) & _BITS
        hash ^= hash >> 29
        at += 8
    while at < end:
        hash = ((hash ^ p[at]) * _MULTIPLIER) & _BITS
        at += 1
    return hash ^ (hash >> 29)


def _printable(p, start, end):
    """Whether names have no spaces and control characters, as the path that is made of them."""
    at: cython.Py_ssize_t
    for at in range(start, end):
        if p[at] <= 32 or p[at] == 127:
            return False
    return True
