"""HTTP/1.1 requests, as a server reads them: the request line, Host, and where the body ends (RFC 9112, 3 and 6)."""

import cython

from tage.dataplane.protocols.http1 import errors
from tage.dataplane.protocols.http1.decoder import Decoder
from tage.dataplane.protocols.message import HeaderBlock, RequestHead

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane import native
    from tage.dataplane.protocols.http1.characters import CLASS
    from tage.dataplane.protocols.http1.decoder import CHUNKED, FAILED, NO_BODY, READY
    from tage.dataplane.protocols.message import (
        CONNECTION,
        CONTENT_LENGTH,
        EXPECT,
        HOST,
        PLAIN,
        TRANSFER_ENCODING,
        UPGRADE,
    )


class Http1RequestHead(RequestHead):
    """`absolute`: the target came in absolute-form, so its authority stands for Host. `line_end` is where the headers
    begin in `block.raw`."""

    def __init__(self) -> None:
        RequestHead.__init__(self)
        self.version_10 = False
        self.absolute = False
        self.line_end = 0


class RequestDecoder(Decoder):
    """Requests, as a server reads them."""

    def __init__(self, max_head: cython.Py_ssize_t = 61_440, max_headers: cython.Py_ssize_t = 100) -> None:
        Decoder.__init__(self, max_head, max_headers)
        self.head = Http1RequestHead()
        self.block = self.head.block

    def _too_large(self, p, start, limit):
        return errors.HEAD_TOO_LARGE if native.find_byte(p, start, limit, 10) >= 0 else errors.URI_TOO_LONG

    def _start_line(self, data, start, end):
        p: cython.p_uchar = data
        cls: cython.p_uchar = CLASS
        at: cython.Py_ssize_t = start
        target: cython.Py_ssize_t
        connect: cython.bint = False
        head: Http1RequestHead = self.head
        self._skipped = False
        # The line ends in CR LF, neither of which is of these classes.
        while cls[p[at]] & 1:
            at += 1
        if at == start or p[at] != 32:
            self.fail(errors.BAD_METHOD)
            return -1
        size: cython.Py_ssize_t = at - start
        if size == 3 and p[start] == 71 and p[start + 1] == 69 and p[start + 2] == 84:
            head.method = b"GET"
        else:
            head.method = p[start:at]
            connect = size == 7 and head.method == b"CONNECT"
        target = at + 1
        at = target
        while cls[p[at]] & 4:
            at += 1
        if at == target or p[at] != 32:
            self.fail(errors.BAD_TARGET)
            return -1
        # "HTTP/1." digit CR LF and what ends the head: at most the 11 bytes that are left before `end` are looked at.
        if end - at < 11 or not native.equal(p, at + 1, b"HTTP/1.", 7):
            self.fail(errors.BAD_VERSION)
            return -1
        if p[at + 9] != 13 or p[at + 10] != 10 or (p[at + 8] != 49 and p[at + 8] != 48):
            self.fail(errors.BAD_VERSION)
            return -1
        self._version_10 = head.version_10 = p[at + 8] == 48
        head.line_end = at + 11
        head.absolute = False
        head.authority = b""
        head.upgrade = None
        if p[target] == 47 and not connect:
            head.path = p[target:at]
        elif self._authority_form(data, target, at) < 0:
            return -1
        return head.line_end

    def _authority_form(self, data, start, end):
        """Targets that do not begin with "/", and that of CONNECT (RFC 9112, 3.2.2 to 3.2.4)."""
        head: Http1RequestHead = self.head
        target: bytes = data[start:end]
        at: cython.Py_ssize_t
        if head.method == b"CONNECT":
            if not _valid_authority(target):
                self.fail(errors.BAD_TARGET)
                return -1
            head.authority = head.path = target
            head.absolute = True
            head.upgrade = head.method
            return 0
        if target == b"*" and head.method == b"OPTIONS":
            head.path = b"*"
            return 0
        if target[:7].lower() != b"http://":
            self.fail(errors.BAD_TARGET)
            return -1
        at = 7
        while at < len(target) and target[at] not in b"/?#":
            at += 1
        head.authority = target[7:at]
        head.absolute = True
        if not _valid_host(head.authority) or not head.authority:
            self.fail(errors.BAD_TARGET)
            return -1
        if at == len(target) and head.method == b"OPTIONS":
            head.path = b"*"  # RFC 9112, 3.2.4
        else:
            head.path = target[at:] if target[at : at + 1] == b"/" else b"/" + target[at:]
        return 0

    def _framing(self):
        head: Http1RequestHead = self.head
        block: HeaderBlock = self.block
        i: cython.Py_ssize_t
        host: cython.Py_ssize_t = -1
        framed: cython.bint = False
        connection: cython.bint = False
        upgrade: cython.bint = False
        head.expects_continue = False
        if native.find_byte(head.path, 0, len(head.path), 35) >= 0:  # "#": a fragment is never sent
            return self.fail(errors.BAD_TARGET)
        for i in range(block.count):
            if block.kind[i] == PLAIN:
                continue
            if block.kind[i] == HOST:
                if host >= 0:
                    return self.fail(errors.BAD_HOST)
                host = i
            elif block.kind[i] == CONTENT_LENGTH or block.kind[i] == TRANSFER_ENCODING:
                framed = True
            elif block.kind[i] == CONNECTION:
                connection = True
            elif block.kind[i] == UPGRADE:
                upgrade = True
            elif block.kind[i] == EXPECT:
                if block.value(i).lower() != b"100-continue":
                    return self.fail(errors.BAD_EXPECT)
                head.expects_continue = not self._version_10
        if host >= 0:
            value: bytes = block.value(host)
            if not _valid_host(value):
                return self.fail(errors.BAD_HOST)
            if not head.absolute:
                head.authority = value
        elif not self._version_10:
            return self.fail(errors.BAD_HOST)
        self.keep_alive = not self._version_10
        if connection and self._connection() < 0:
            return FAILED
        self.body = NO_BODY
        self.remaining = 0
        if framed and self._transfer_framing() < 0:
            return FAILED
        head.body_length = -1 if self.body == CHUNKED else self.remaining
        if head.body_length == 0:
            head.expects_continue = False
        if head.upgrade is not None:
            if head.body_length:
                return self.fail(errors.CONNECT_WITH_BODY)
            # Refused, it is the connection's last request: a client may send for the tunnel before it has the answer,
            # and those bytes must not be read as a request.
            self.keep_alive = False
        elif upgrade and connection and self.switches and head.body_length == 0 and not self._version_10:
            head.upgrade = block.get(b"upgrade")
        self._begin_body()
        return READY


def _valid_authority(value: bytes) -> cython.bint:
    """uri-host ":" port, both there; the port a number from 1 to 65535 as one writes it."""
    at: cython.Py_ssize_t = value.rfind(b":")
    port: bytes = value[at + 1 :]
    if at <= 0 or not 1 <= len(port) <= 5 or not port.isdigit() or port[0] == 48 or not _valid_host(value):
        return False
    return int(port) <= 65_535


def _valid_host(value: bytes) -> cython.bint:
    """uri-host [":" port] or nothing: no user information, list or space, and no colon but one that a port follows."""
    p: cython.p_uchar = value
    cls: cython.p_uchar = CLASS
    i: cython.Py_ssize_t = 0
    size: cython.Py_ssize_t = len(value)
    if size == 0:
        return True
    if p[0] == 91:  # "[": an IP literal
        i = 1
        while i < size and (cls[p[i]] & 8 or p[i] == 58):
            i += 1
        if i == 1 or i == size or p[i] != 93:
            return False
        i += 1
    else:
        while i < size and cls[p[i]] & 8:
            i += 1
        if i == 0:
            return False
    if i < size and p[i] == 58:
        i += 1
        while i < size and 48 <= p[i] <= 57:
            i += 1
    return i == size
