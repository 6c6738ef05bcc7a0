"""Fields -> the heads that routes, filters and encoders know."""

import cython

from tage.dataplane.protocols.http1.trailers import passable
from tage.dataplane.protocols.message import HeaderBlock, RequestHead, ResponseHead

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane import native
    from tage.dataplane.protocols.edits import _fill, write_headers
    from tage.dataplane.protocols.message import new_block

_CONNECT = cython.declare(bytes, b"CONNECT")
_GET = cython.declare(bytes, b"GET")


class Http2RequestHead(RequestHead):
    """`protocol` is what an extended CONNECT (RFC 8441) asks for, else None. Such a request is as HTTP/1.1 would have
    it: its method is GET, and `upgrade` is the protocol; it goes out as either form again.

    Made by `request_head`."""

    def __init__(self) -> None:
        RequestHead.__init__(self)
        self.protocol = None

    def edited(self, edits, out):
        """As `RequestHead.edited`: what is never to be indexed stays so."""
        result: Http2RequestHead = Http2RequestHead.__new__(Http2RequestHead)
        block: HeaderBlock = new_block()
        result.method = self.method if edits.method is None else edits.method
        result.path = self.path if edits.path is None else edits.path
        result.authority = self.authority if edits.authority is None else edits.authority
        result.scheme = self.scheme
        result.protocol = self.protocol
        result.upgrade = self.upgrade
        result.body_length = self.body_length
        result.expects_continue = self.expects_continue
        result.timeout = self.timeout
        result.one_way = result.exclusive = result.malformed = False
        result.grpc = self.grpc
        out.clear()
        write_headers(out, self.block, edits.drop, edits.names)
        out.put(edits.extra)
        _fill(block, out.take())
        _keep_marks(block, self.block, edits.drop, edits.names)
        result.block = block
        return result

    def header(self, name):
        return self.protocol if name == b":protocol" else RequestHead.header(self, name)


class Http2ResponseHead(ResponseHead):
    """One a connection, filled anew with each response."""

    def copied(self, out):
        result: Http2ResponseHead = Http2ResponseHead()
        block: HeaderBlock = self.block
        i: cython.Py_ssize_t
        start: cython.Py_ssize_t
        result.status = self.status
        result.body_length = self.body_length
        result.block.reset(block.raw)
        for i in range(block.count):
            start = block.name_start[i]
            result.block.append(
                start, block.name_end[i] - start, block.line_end[i] - start, block.kind[i], block.mark[i]
            )
        return result


def _keep_marks(block, former, drop, names):
    """`block` begins with the lines that `write_headers` leaves of the former."""
    i: cython.Py_ssize_t
    at: cython.Py_ssize_t = 0
    for i in range(former.count):
        if former.goes(i, drop, names):
            block.mark[at] = former.mark[i]
            at += 1


def request_head(fields, ended):
    """A head of its own. None: the message is malformed (`fields.problem`) or too large. `ended`: no DATA follow."""
    head: Http2RequestHead
    if ended and fields.content_length > 0:
        fields._fail("content-length, and no body")
    if fields.problem is not None or fields.too_large:
        return None
    head = Http2RequestHead.__new__(Http2RequestHead)
    head.method = fields.method
    head.authority = fields.authority
    head.protocol = fields.protocol
    head.upgrade = None
    if fields.protocol is not None:
        head.method = _GET
        head.upgrade = fields.protocol
    elif fields.path is None:
        head.upgrade = _CONNECT
    head.path = fields.path if fields.path is not None else fields.authority
    head.scheme = fields.scheme if fields.scheme is not None else b"http"
    head.body_length = 0 if ended else fields.content_length
    head.expects_continue = fields.continues and head.body_length != 0
    head.grpc = fields.grpc
    if not cython.compiled:
        head.timeout = 0
        head.one_way = head.exclusive = head.malformed = False
    head.block = fields.taken()
    return head


def response_head(fields, into, to_head, ended):
    """Into `into`, whose block goes to `fields`. False: malformed or too large, as of a request. `to_head`: it answers
    HEAD. What has neither body nor length (RFC 9110, 8.6) must not say one."""
    bodyless: cython.bint = to_head or fields.status == 304
    if fields.content_length > 0 and not bodyless and (ended or fields.status < 200 or fields.status == 204):
        fields._fail("content-length, and no body")
    if fields.problem is not None or fields.too_large:
        return False
    former: HeaderBlock = into.block
    into.block = fields.taken()
    fields.block = former
    into.status = fields.status
    if ended or bodyless or fields.status < 200 or fields.status == 204:
        into.body_length = 0
    else:
        into.body_length = fields.content_length
    return True


def trailer_lines(fields):
    """Of trailers those that may be passed on, as lines; None where there are none."""
    block: HeaderBlock = fields.taken()
    lines: bytes = block.raw
    i: cython.Py_ssize_t
    size: cython.Py_ssize_t
    p: cython.p_uchar = lines
    fields.block = block  # what it is needed for is over
    for i in range(block.count):
        size = block.name_end[i] - block.name_start[i]
        if not (
            (size == 11 and native.equal(p, block.name_start[i], b"grpc-status", 11))
            or (size == 12 and native.equal(p, block.name_start[i], b"grpc-message", 12))
        ):
            return passable(lines, None)
    return lines or None
