"""HTTP/1.1 responses, as a client reads them: the status line, and where the body ends (RFC 9112, 4 and 6)."""

import cython

from tage.dataplane.protocols.http1 import errors
from tage.dataplane.protocols.http1.decoder import Decoder
from tage.dataplane.protocols.message import ResponseHead

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane import native
    from tage.dataplane.protocols.http1.characters import CLASS
    from tage.dataplane.protocols.http1.decoder import CHUNKED, FAILED, LENGTH, NO_BODY, READY, UNTIL_CLOSE


class Http1ResponseHead(ResponseHead):
    """block.raw[line_start:line_end] is the status line with its CR LF."""

    def __init__(self) -> None:
        ResponseHead.__init__(self)
        self.version_10 = False
        self.line_start = 0
        self.line_end = 0


class ResponseDecoder(Decoder):
    """Responses, as a client reads them. `to_head` and `to_connect` are set before each: whether it answers a request
    with that method."""

    def __init__(self, max_head: cython.Py_ssize_t = 61_440, max_headers: cython.Py_ssize_t = 100) -> None:
        Decoder.__init__(self, max_head, max_headers)
        self.head = Http1ResponseHead()
        self.block = self.head.block
        self.to_head = False
        self._skipped = True  # for good: what stands before a status line is left over from something else
        self.to_connect = False

    def switches_to(self, protocol):
        """Whether the head, with status 101, agrees to that and to nothing else (RFC 9110, 7.8)."""
        chosen: bytes = self.block.get(b"upgrade")
        return self.switches and chosen is not None and chosen.lower() == protocol.lower()

    def _start_line(self, data, start, end):
        p: cython.p_uchar = data
        cls: cython.p_uchar = CLASS
        at: cython.Py_ssize_t = start
        i: cython.Py_ssize_t
        status: cython.int = 0
        head: Http1ResponseHead = self.head
        # "HTTP/1.1 200" and CR LF at least; the head's empty line makes 16.
        if end - start < 16 or not native.equal(p, start, b"HTTP/1.", 7) or p[start + 8] != 32:
            self.fail(errors.BAD_STATUS_LINE)
            return -1
        if p[start + 7] != 49 and p[start + 7] != 48:
            self.fail(errors.BAD_STATUS_LINE)
            return -1
        for i in range(start + 9, start + 12):
            if not 48 <= p[i] <= 57:
                self.fail(errors.BAD_STATUS_LINE)
                return -1
            status = status * 10 + (p[i] - 48)
        at = start + 12
        if status < 100 or (p[at] != 32 and p[at] != 13):
            self.fail(errors.BAD_STATUS_LINE)
            return -1
        while cls[p[at]] & 2:
            at += 1
        if p[at] != 13 or p[at + 1] != 10:
            self.fail(errors.BAD_STATUS_LINE)
            return -1
        head.status = status
        self._version_10 = head.version_10 = p[start + 7] == 48
        head.line_start = start
        head.line_end = at + 2
        return at + 2

    def _framing(self):
        head: Http1ResponseHead = self.head
        if self._connection() < 0:
            return FAILED
        if self.to_connect and 200 <= head.status < 300:
            # A tunnel follows, whatever the framing headers say (RFC 9110, 9.3.6).
            self.body = NO_BODY
            self.remaining = 0
        elif self._transfer_framing() < 0:
            return FAILED
        elif self.to_head or head.status < 200 or head.status == 204 or head.status == 304:
            if head.status < 200 or head.status == 204:
                if self.body == CHUNKED:
                    return self.fail(errors.BAD_TRANSFER_ENCODING)
                if self.remaining > 0:
                    return self.fail(errors.BAD_CONTENT_LENGTH)
            self.body = NO_BODY
            self.remaining = 0
        elif self.body == NO_BODY:
            self.body = UNTIL_CLOSE
            self.keep_alive = False
        head.body_length = self.remaining if self.body <= LENGTH else -1
        self._begin_body()
        return READY
