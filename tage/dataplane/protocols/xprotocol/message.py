"""Frames as the heads that routes, filters and logs know.

A request is `POST /service/method` to the authority `service`, whose headers are the metadata; a response has the HTTP
status that the protocol's own means, and that as the header `rpc-status`. The body of both is the frame itself.

Nothing is read before it is wanted: `names` (service and method) by routes, `complete` (all metadata) by whoever looks
at headers. `block` is an empty one that all share until then.
"""

import cython

from tage.dataplane.protocols.message import HeaderBlock, RequestHead, ResponseHead
from tage.dataplane.protocols.writer import ByteWriter

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.edits import _fill, write_headers
    from tage.dataplane.protocols.message import PLAIN
    from tage.dataplane.protocols.xprotocol.pairs import put_line
    from tage.dataplane.protocols.xprotocol.shape import ONE_WAY

_EMPTY = HeaderBlock()
_OUT = ByteWriter()  # lines are put together in it, one head after the other
_POST = cython.declare(bytes, b"POST")
_HTTP = cython.declare(bytes, b"http")
_STATUS = cython.declare(bytes, b"rpc-status: ")
_LINE_END = cython.declare(bytes, b"\r\n")


class RpcRequest(RequestHead):
    """`frame`: its bytes, or the first of a larger one (`size` is that of all of it, in bytes). `malformed`, once
    complete: the metadata cannot be read, and the block is empty.

    Made by `new_request`."""

    def names(self):
        """Fills `authority` and `path`; whether they can be read. What a protocol's method raises but ValueError goes
        on to the caller."""
        call: tuple = self.protocol.call_of(self.frame, self.shape)
        if call is None:
            return False
        self.authority = call[0]
        self.path = call[1]
        return True

    def complete(self):
        """Fills `block`, once; and `timeout`, where the metadata say it."""
        if self._completed:
            return
        self._completed = True
        block: HeaderBlock = HeaderBlock()
        self.malformed = not _read(block, self.protocol, self.frame, self.shape, -1)
        self.block = block
        if self.protocol._timeout_key:
            waits: bytes = block.get(self.protocol._timeout_key)
            if waits is not None and waits.isdigit() and len(waits) <= 9:
                self.timeout = int(waits)

    def edited(self, edits, out):
        """As `RequestHead.edited`: the frame stays the one that came."""
        result: RpcRequest = RpcRequest.__new__(RpcRequest)
        block: HeaderBlock = HeaderBlock()
        self.complete()
        result.method = self.method if edits.method is None else edits.method
        result.path = self.path if edits.path is None else edits.path
        result.authority = self.authority if edits.authority is None else edits.authority
        result.scheme = self.scheme
        result.upgrade = None
        result.grpc = False
        result.body_length = self.body_length
        result.expects_continue = False
        result.timeout = self.timeout
        result.one_way = self.one_way
        result.exclusive = self.exclusive
        result.frame = self.frame
        result.shape = self.shape
        result.protocol = self.protocol
        result.id = self.id
        result.kind = self.kind
        result.size = self.size
        result.malformed = self.malformed
        result._completed = True
        out.clear()
        write_headers(out, self.block, edits.drop, edits.names)
        out.put(edits.extra)
        _fill(block, out.take())
        _all_plain(block)
        result.block = block
        return result

    def header(self, name):
        if name and name[0] != 58:  # ":"
            self.complete()
        return RequestHead.header(self, name)

    def headers(self) -> list[tuple[bytes, bytes]]:
        self.complete()
        return self.block.items()


class RpcResponse(ResponseHead):
    """As a request's; one a connection, loaded anew with each response."""

    def __init__(self) -> None:
        self.status = 0
        self.body_length = 0
        self.block = _EMPTY
        self.frame = b""
        self.shape = None
        self.protocol = None
        self.id = 0
        self.kind = 0
        self.size = 0
        self.malformed = False
        self._completed = True
        self._own = None

    def load(self, protocol, reader):
        """Becomes the frame that the reader has READY or BEGUN. What a protocol's method raises goes on."""
        self.protocol = protocol
        self.frame = reader.frame
        self.shape = reader.shape
        self.id = reader.id
        self.kind = reader.kind
        self.size = reader.size
        self.body_length = reader.size
        self.block = _EMPTY
        self.malformed = False
        self._completed = False
        self.status = protocol.status_of(reader.frame, reader.shape)

    def complete(self):
        if self._completed:
            return
        self._completed = True
        if self._own is None:
            self._own = HeaderBlock()
        status: cython.longlong = self.shape.status(self.frame) if self.shape.has_status else -1
        self.malformed = not _read(self._own, self.protocol, self.frame, self.shape, status)
        self.block = self._own

    def copied(self, out):
        result: RpcResponse = RpcResponse()
        result.protocol = self.protocol
        result.frame = self.frame
        result.shape = self.shape
        result.id = self.id
        result.kind = self.kind
        result.size = self.size
        result.body_length = self.body_length
        result.status = self.status
        result._completed = self.shape is None
        return result

    def header(self, name):
        self.complete()
        return self.block.get(name)

    def headers(self) -> list[tuple[bytes, bytes]]:
        self.complete()
        return self.block.items()


def new_request(protocol, reader):
    """The head of the request that the reader has READY or BEGUN. What a protocol's method raises goes on."""
    head: RpcRequest = RpcRequest.__new__(RpcRequest)
    head.method = _POST
    head.path = b""
    head.authority = b""
    head.scheme = _HTTP
    head.block = _EMPTY
    head.body_length = reader.size
    head.expects_continue = False
    head.upgrade = None
    head.grpc = False
    head.frame = reader.frame
    head.shape = reader.shape
    head.protocol = protocol
    head.id = reader.id
    head.kind = reader.kind
    head.size = reader.size
    head.malformed = False
    head._completed = False
    head.one_way = reader.kind == ONE_WAY
    head.exclusive = reader.left > 0
    head.timeout = protocol.timeout_in(reader.frame, reader.shape)
    return head


def _read(block, protocol, frame, shape, status):
    """The metadata as header lines; `status` (-1: none) as `rpc-status` before them. Whether it could be read; if not
    there is none."""
    out: ByteWriter = _OUT
    where: tuple[cython.Py_ssize_t, cython.Py_ssize_t]
    readable: cython.bint = True
    before: cython.Py_ssize_t
    name: bytes
    value: bytes
    out.clear()
    if status >= 0:
        out.put(_STATUS)
        out.put_decimal(status)
        out.put(_LINE_END)
    before = out.size
    if protocol.own_headers:
        try:
            for name, value in protocol.headers(frame, shape):
                put_line(name, 0, len(name), value, 0, len(value), out)
        except ValueError:
            readable = False
    elif protocol._pairs is not None and shape.metadata >= 0:
        where = shape.part_at(frame, shape.metadata)
        readable = where[0] >= 0 and protocol._pairs.put_lines(frame, where[0], where[1], out)
    if not readable:
        out.cut(before)
    _fill(block, out.take())
    _all_plain(block)
    return readable


def _all_plain(block):
    """Names that have a meaning in HTTP have none here: nothing of them is left behind on the way."""
    i: cython.Py_ssize_t
    for i in range(block.count):
        block.kind[i] = PLAIN
