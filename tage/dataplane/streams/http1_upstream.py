"""HTTP/1.1 connections of a pool: one request at a time, then back to the host.

A connection goes back only from a clean state: request sent whole, answer read whole, nothing left over, both sides
willing. Bytes that nobody asked for close it.

An end, or bytes, that the kernel has and that were not read yet are not looked for when a connection is taken, which
would be a system call a request. The reactor reads in the order of arrival, so only what comes after the request is
missed, as what is still on its way would be; `Stream` then sends an idempotent request again.

Where the answer agrees to switch to the protocol that the request asked for, the connection is a tunnel from then on:
raw bytes both ways, each direction ending on its own. It never goes back.
"""

import cython

from tage.dataplane.protocols.http1.response import ResponseDecoder
from tage.dataplane.protocols.writer import ByteWriter
from tage.dataplane.telemetry.layout import CLUSTER
from tage.dataplane.upstream.cluster_info import ClusterInfo
from tage.dataplane.upstream.connection import Receiver, UpstreamConnection
from tage.dataplane.upstream.pool import Pool

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.http1.decoder import FAILED, MORE, READY
    from tage.dataplane.protocols.http1.encoder import write_chunk, write_last_chunk, write_request
    from tage.dataplane.upstream.connection import PROTOCOL_ERROR, TERMINATED, reason_of

_RX_BYTES = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_rx_bytes_total"))
_TX_BYTES = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_tx_bytes_total"))
_IDLE_TIMEOUT = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_idle_timeout"))
_MAX_DURATION = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_max_duration_reached"))
_PROTOCOL_ERROR = cython.declare(cython.Py_ssize_t, CLUSTER.offset("upstream_cx_protocol_error"))


class Http1UpstreamConnection(UpstreamConnection):
    def __init__(self, host: Pool, writer: ByteWriter) -> None:
        UpstreamConnection.__init__(self)
        self.host = host
        self.cluster = host.cluster
        self.writer = writer
        self.decoder = ResponseDecoder()
        self._in_body = False
        self._chunked = False
        self._request_ended = True
        self._opened_at = 0
        self._response_ended = False
        self._tunnel = False
        self._upgrade = None
        self._free_since = 0
        self._aged = False

    # -- from the stream -----------------------------------------------------------------------------------------------

    def send_request(self, receiver, head, edits, data, end):
        out: ByteWriter = self.writer
        self.receiver = receiver
        self.requests += 1
        self.received_any = False
        self.decoder.keep_trailers = self.cluster.enable_trailers
        self.decoder.to_head = head.method == b"HEAD"
        self._upgrade = head.upgrade
        self.decoder.to_connect = head.upgrade is not None and head.method == b"CONNECT"
        self._in_body = False
        self._request_ended = end
        self._chunked = head.body_length < 0
        out.clear()
        write_request(out, head, edits, self._chunked)
        if self._chunked:
            if data is not None:
                write_chunk(out, data)
            if end:
                self._write_end(out)
        elif data is not None:
            out.put(data)
        self.cluster.stats.add(_TX_BYTES, out.size)
        self.write(out.take())

    def send_data(self, receiver, data, end):
        self._request_ended = end
        if self._chunked:
            self.writer.clear()
            if data is not None:
                write_chunk(self.writer, data)
            if end:
                self._write_end(self.writer)
            data = self.writer.take()
        if data:
            self.cluster.stats.add(_TX_BYTES, len(data))
            self.write(data)
        if end and self._tunnel:
            if self._response_ended:
                self.receiver = None
                self.close_flushing(self.cluster.wheel)
            else:
                self.write_eof()

    def _write_end(self, out):
        receiver: Receiver = self.receiver
        trailers: bytes = None
        if receiver is not None and self.cluster.enable_trailers:
            trailers = receiver.request_trailers
        write_last_chunk(out, trailers)

    def cancel(self, receiver):
        self.receiver = None
        if self._tunnel:
            self.reset()  # what came must not pass for all there was
        else:
            self.abort()

    # -- from the transport --------------------------------------------------------------------------------------------

    def opened(self):
        self._opened_at = self.cluster.wheel.now()
        self._free_since = self._opened_at
        self._watch()

    def received(self, data):
        self.cluster.stats.add(_RX_BYTES, len(data))
        if self.receiver is None:
            # Nothing was asked: an error that the server announces before closing, or worse.
            self.close()
            return
        self.received_any = True
        self.decoder.feed(data)
        self._read()

    def _read(self):
        decoder: ResponseDecoder = self.decoder
        receiver: Receiver
        progress: cython.int
        data: bytes
        while self.receiver is not None:
            receiver = self.receiver
            if not self._in_body:
                progress = decoder.read_head()
                if progress == MORE:
                    return
                if progress == FAILED:
                    self._break(PROTOCOL_ERROR, "")
                    return
                if decoder.head.status < 200:
                    if decoder.head.status == 101:
                        if self._upgrade is not None and decoder.switches_to(self._upgrade):
                            self._switch(receiver)
                        else:
                            self._break(PROTOCOL_ERROR, "a protocol switch that nobody asked for")
                        return
                    receiver.interim(decoder.head)
                    decoder.read_body()
                    continue
                if decoder.to_connect and decoder.head.status < 300:
                    self._switch(receiver)
                    return
                progress = decoder.read_body()
                if progress == FAILED:
                    self._break(PROTOCOL_ERROR, "")
                    return
                data = decoder.payload
                if progress == READY:
                    if decoder.trailers is not None:
                        receiver.response_trailers = decoder.trailers
                    self._complete(receiver)
                    receiver.response(decoder.head, data, True)
                    return
                self._in_body = True
                receiver.response(decoder.head, data, False)
            else:
                progress = decoder.read_body()
                if progress == FAILED:
                    self._break(PROTOCOL_ERROR, "")
                    return
                data = decoder.payload
                if progress == READY:
                    if decoder.trailers is not None:
                        receiver.response_trailers = decoder.trailers
                    self._complete(receiver)
                    receiver.response_data(data, True)
                    return
                if data is not None:
                    receiver.response_data(data, False)
                return

    def _switch(self, receiver):
        """The answer's head agrees."""
        decoder: ResponseDecoder = self.decoder
        decoder.read_body()  # which it has none of
        decoder.switch()
        decoder.read_body()
        self._tunnel = self._in_body = True
        self._request_ended = False
        receiver.response(decoder.head, decoder.payload, False)

    def _end_tunnel(self):
        """The server's side of it has ended; whether ours goes on."""
        receiver: Receiver = self.receiver
        self._response_ended = True
        if self._request_ended:
            self.receiver = None
            self.close_flushing(self.cluster.wheel)
        receiver.response_data(None, True)
        return not self.closing

    def _complete(self, receiver):
        """The answer is whole. The connection is free before the stream hears of it, so that the next request on the
        same client connection finds it."""
        self._in_body = False
        if not self._request_ended:
            return  # the stream cancels it
        self.receiver = None
        self.resume_reading()
        if (
            self.decoder.keep_alive
            and not self.decoder.buffered()
            and not self.write_paused
            and not self.closing
            and not self._aged
        ):
            self._free_since = self.cluster.wheel.now()
            self.host.release(self)
        else:
            self.abort()  # what of the request was not sent yet, nobody waits for any more

    def _break(self, failure, reason):
        receiver: Receiver = self.receiver
        self.receiver = None
        if failure == PROTOCOL_ERROR:
            self.cluster.stats.up(_PROTOCOL_ERROR)
            if not reason and self.decoder.error is not None:
                reason = self.decoder.error.reason
        self.abort()
        if receiver is not None:
            receiver.reset(failure, reason)

    def ended(self):
        receiver: Receiver = self.receiver
        if receiver is None:
            return False
        if self._tunnel:
            return self._end_tunnel()
        if self._in_body and self.decoder.finish() == READY:
            self.receiver = None
            self.abort()
            receiver.response_data(None, True)
        else:
            self._break(TERMINATED, "")
        return False

    def lost(self, error):
        self.cluster.wheel.disarm(self)
        self.host.lost(self)
        if self.receiver is not None:
            self._break(TERMINATED, reason_of(error))

    def congested(self):
        receiver: Receiver = self.receiver
        if receiver is not None:
            receiver.upstream_congested()

    def drained(self):
        receiver: Receiver = self.receiver
        if receiver is not None:
            receiver.upstream_drained()

    def expire(self):
        if self.closing:
            self.expire_closing(self.cluster.wheel)
        else:
            self._watch()

    def _watch(self):
        """Ends what has idled or lived too long, and looks again when the next of the two may be due. Idle time is
        counted from the last answer. A connection for which there is no limit by then is not looked at again."""
        cluster: ClusterInfo = self.cluster
        now: cython.longlong = cluster.wheel.now()
        due: cython.longlong = 0
        left: cython.longlong
        if cluster.max_connection_duration and not self._aged:
            due = self._opened_at + cluster.max_connection_duration - now
            if due <= 0:
                self._aged = True
                cluster.stats.up(_MAX_DURATION)
                if self.receiver is None:
                    self.close()
                    return
                due = 0
        if cluster.idle_timeout:
            left = cluster.idle_timeout
            if self.receiver is None:
                left += self._free_since - now
            if left <= 0:
                cluster.stats.up(_IDLE_TIMEOUT)
                self.close()
                return
            if due == 0 or left < due:
                due = left
        if due:
            cluster.wheel.arm(self, due)
