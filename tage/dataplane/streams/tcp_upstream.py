"""Raw TCP connections, dialled (`Host.dial`): what a tunnel or a TCP proxy sends to. Bytes pass as they are, both ways.

The "request" is whatever `send_data` is given, and its head is not sent. The "answer" begins at once, with a head of
status 200 (RFC 9110, 9.3.6: a tunnel is open as soon as its connection is), and its body is what the peer sends.

Each direction ends on its own: `end` of the request becomes the end of our side (FIN), and the peer's end is told as
the answer's end, after which `send_data` may still be called. When both have ended the connection closes, once the
peer has taken what was written. It carries one request and is never pooled. Given up before that, it is reset: the peer
must not take what it got for all there was.
"""

import cython

from tage.dataplane.protocols.message import ResponseHead
from tage.dataplane.telemetry.layout import CLUSTER
from tage.dataplane.upstream.connection import Receiver, UpstreamConnection
from tage.dataplane.upstream.host import Host

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.upstream.connection import TERMINATED, reason_of

_RX_BYTES = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_rx_bytes_total"))
_TX_BYTES = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_tx_bytes_total"))


class TcpUpstreamConnection(UpstreamConnection):
    def __init__(self, host: Host) -> None:
        UpstreamConnection.__init__(self)
        self.host = host
        self.cluster = host.cluster
        self._request_ended = False
        self._response_ended = False

    # -- from the receiver ---------------------------------------------------------------------------------------------

    def send_request(self, receiver, head, edits, data, end):
        """`head` and `edits` may be None. `receiver` has its answer's head before this returns."""
        answer: ResponseHead = ResponseHead()
        answer.status = 200
        answer.body_length = -1
        self.receiver = receiver
        self.requests += 1
        self.send_data(receiver, data, end)
        receiver.response(answer, None, False)

    def send_data(self, receiver, data, end):
        if data:
            self.cluster.stats.add(_TX_BYTES, len(data))
            self.write(data)
        if end and not self._request_ended:
            self._request_ended = True
            if self._response_ended:
                self.receiver = None
                self.close_flushing(self.cluster.wheel)
            else:
                self.write_eof()

    def cancel(self, receiver):
        self.receiver = None
        self.reset()

    # -- from the transport --------------------------------------------------------------------------------------------

    def received(self, data):
        receiver: Receiver = self.receiver
        self.cluster.stats.add(_RX_BYTES, len(data))
        if receiver is None:
            self.reset()
            return
        self.received_any = True
        receiver.response_data(data, False)

    def ended(self):
        receiver: Receiver = self.receiver
        if receiver is None:
            return False
        self._response_ended = True
        if self._request_ended:
            self.receiver = None
            self.close_flushing(self.cluster.wheel)
        receiver.response_data(None, True)
        return not self.closing

    def lost(self, error):
        self.cluster.wheel.disarm(self)
        self.host.lost(self)
        if self.receiver is not None:
            self._break(reason_of(error))

    def _break(self, reason):
        receiver: Receiver = self.receiver
        self.receiver = None
        receiver.reset(TERMINATED, reason)

    def congested(self):
        receiver: Receiver = self.receiver
        if receiver is not None:
            receiver.upstream_congested()

    def drained(self):
        receiver: Receiver = self.receiver
        if receiver is not None:
            receiver.upstream_drained()

    def expire(self):
        self.expire_closing(self.cluster.wheel)
