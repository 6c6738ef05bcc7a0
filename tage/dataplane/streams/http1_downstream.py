"""HTTP/1.1 connections of clients: requests one after the other, answered in order.

A request is opened only when the one before it is over, and while the client takes its answers; what is pipelined
behind it waits in the decoder, and the connection is read no further meanwhile.

The end. A client that was told `connection: close`, or ended its side, is left when what was written is on its way; one
that may still be sending is heard out for `delayed_close_timeout`, for closing on unread bytes would reset the
connection and take the answer with it. Either way the client has to go on taking what was written, or the connection is
aborted.

A tunnel (RFC 9110, 7.8 and 9.3.6). Where the answer agrees to switch protocols, what the client sends from then on, and
what it sent early, is the request's body again, raw; its end and the answer's are those of the two sides. The client
waited for that answer unread, so that bytes behind a request that was refused are still the next request.

HTTP/2. Where the listener takes both, a client has said so by ALPN, or says it with the first bytes; the connection
then becomes another's (`http2_downstream`).

Draining, because the worker ends or the connection is too old. A request under way is answered with `connection:
close`. Where the answer's head is out already, and between requests, the client cannot be told to send no further one,
and a request that meets the end fails; so such a connection is kept until it has been quiet for `_DRAIN_QUIET_MS`.
"""

import cython

from tage.dataplane.protocols import errors
from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.protocols.http1.encoder import local_response
from tage.dataplane.protocols.http1.request import RequestDecoder
from tage.dataplane.protocols.http1.response import Http1ResponseHead
from tage.dataplane.protocols.local_reply import described
from tage.dataplane.protocols.writer import ByteWriter
from tage.dataplane.streams.context import ListenerState
from tage.dataplane.streams.downstream import DownstreamConnection
from tage.dataplane.streams.stream import Stream
from tage.dataplane.streams.upgrades import accepted
from tage.dataplane.telemetry.layout import LISTENER

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.protocols.http1.decoder import FAILED, MORE, READY
    from tage.dataplane.protocols.http1.encoder import write_chunk, write_last_chunk, write_response
    from tage.dataplane.protocols.message import CONTENT_LENGTH, TRAILER
    from tage.dataplane.streams.context import AUTO

_CX_IDLE = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_cx_idle_timeout"))
_CX_PROTOCOL_ERROR = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_cx_protocol_error"))
_CX_MAX_DURATION = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_cx_max_duration_reached"))
_CX_MAX_REQUESTS = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_cx_max_requests_reached"))
_RX_BYTES = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_cx_rx_bytes_total"))
_TX_BYTES = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_cx_tx_bytes_total"))
_HEAD_TIMEOUT = cython.declare(cython.Py_ssize_t, LISTENER.offset("downstream_rq_header_timeout"))

_PREFACE = cython.declare(bytes, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
_DRAIN_QUIET_MS = cython.declare(cython.longlong, 1_000)

_NO_EDITS = cython.declare(HeaderEdits, HeaderEdits())
_WITH_TRAILERS = cython.declare(HeaderEdits, HeaderEdits())
_WITH_TRAILERS.keep = 1 << TRAILER  # it announces them


class Http1DownstreamConnection(DownstreamConnection):
    def __init__(self, listener: ListenerState) -> None:
        DownstreamConnection.__init__(self, listener)
        self.decoder = RequestDecoder(listener.max_head_bytes, listener.max_headers)
        self.stream = None
        self._request_ended = True
        self._reading = False
        self._close_after = False
        self._chunked = False
        self._in_head = False
        self._held = False
        self._draining = False
        self._ended = False
        self._tunnel = False
        self._quiet_since = 0
        self._requests = 0
        self._undecided = False
        self._first = b""

    # -- from the transport --------------------------------------------------------------------------------------------

    def opened(self):
        tls = self.tls()
        self.enter()
        if self.listener.codec == AUTO:
            agreed = tls.selected_alpn_protocol() if tls is not None else None
            if agreed == "h2":
                self._hand_over(b"")
                return
            self._undecided = agreed is None
        self.forwarded_for = self.peer_host().encode()
        if tls is not None:
            self.decoder.head.scheme = b"https"
        self._quiet_since = self.listener.context.wheel.now()
        self.start_clocks()

    def received(self, data):
        if self._undecided:
            data = self._decided(data)
            if data is None:
                return
        self.listener.stats.add(_RX_BYTES, len(data))
        if self.closing:
            return
        self.decoder.feed(data)
        self._advance()

    def _decided(self, data):
        """What has come, once it is clear that it is HTTP/1.1; None: it is not yet, or it is HTTP/2 (RFC 9113, 3.4)."""
        data = self._first + data
        if data[: len(_PREFACE)] != _PREFACE[: len(data)]:
            self._undecided = False
            self._first = b""
            return data
        if len(data) < len(_PREFACE):
            self._first = data
            return None
        self._hand_over(data)
        return None

    def _hand_over(self, data):
        # Here: who has no client of HTTP/2 does without the memory.
        from tage.dataplane.streams.http2_downstream import Http2DownstreamConnection

        Http2DownstreamConnection(self.listener).take_over(self, data)

    def ended(self):
        """The client sends no more; what it asked for completely is still answered."""
        self._ended = True
        if self._undecided and self._first:
            self.decoder.feed(self._first)
            self._undecided = False
        if self._tunnel and self.stream is not None:
            self._end_tunnel()
            return not self.closing
        if self.stream is not None and not self._request_ended:
            return False
        if self.decoder.buffered():
            return True
        self._close_after = True
        return self.stream is not None

    def lost(self, error):
        self.leave()
        stream: Stream = self.stream  # which forgets it; a compiled call does not hold what it is made on
        if stream is not None:
            stream.downstream_closed()

    def congested(self):
        stream: Stream = self.stream
        if stream is not None:
            stream.downstream_congested()

    def drained(self):
        stream: Stream = self.stream
        if stream is not None:
            stream.downstream_drained()
        else:
            self.resume_reading()
            self._advance()

    # -- requests ------------------------------------------------------------------------------------------------------

    def _advance(self):
        """Reads as far as what was fed goes. Streams that end within it do not enter it again."""
        if self._reading:
            return
        self._reading = True
        try:
            while not self.closing:
                if self.stream is None:
                    if self.write_paused:
                        self.pause_reading()
                        break
                    if not self._next_request():
                        break
                elif not self._request_ended:
                    if self._held or not self._more_body():
                        break
                else:
                    if self.decoder.buffered():
                        self.pause_reading()
                    break
        finally:
            self._reading = False

    def _next_request(self):
        """Opens a stream if a head is complete; whether to go on."""
        decoder: RequestDecoder = self.decoder
        progress: cython.int
        stream: Stream
        if self._close_after:
            return False
        decoder.keep_trailers = self.listener.enable_trailers
        progress = decoder.read_head()
        if progress == MORE:
            if self._ended:
                self._finish_writing()
            elif not self._in_head and decoder.incomplete():
                self._in_head = True
                self._quiet_since = self.listener.context.wheel.now()
                if self.listener.head_timeout:
                    self.listener.context.wheel.arm(self, self.listener.head_timeout)
            return False
        self._in_head = False
        if progress == READY:
            progress = decoder.read_body()
        if progress == FAILED:
            self._refuse(decoder.error)
            return False
        self._request_ended = progress == READY
        if self._ended and not decoder.buffered():
            self._close_after = True
            if not self._request_ended:
                self._finish_writing()
                return False
        elif not decoder.keep_alive or self._draining or self.listener.context.draining:
            self._close_after = True
        if self.listener.max_requests_per_connection:
            self._requests += 1
            if self._requests >= self.listener.max_requests_per_connection:
                self.listener.stats.up(_CX_MAX_REQUESTS)
                self._close_after = True
        stream = self.stream = Stream(self)
        if decoder.trailers is not None:
            stream.request_trailers = decoder.trailers
        stream.start(decoder.head, decoder.payload, self._request_ended)
        return True

    def _more_body(self):
        decoder: RequestDecoder = self.decoder
        stream: Stream = self.stream
        if not decoder.buffered():
            if self._tunnel and self._ended:
                self._end_tunnel()
            return False
        progress: cython.int = decoder.read_body()
        if progress == FAILED:
            self._refuse(decoder.error)
            return False
        self._request_ended = progress == READY
        if decoder.trailers is not None:
            stream.request_trailers = decoder.trailers
        if decoder.payload is not None or self._request_ended:
            stream.request_data(decoder.payload, self._request_ended)
        return True

    def _end_tunnel(self):
        """The client's side of it has ended, and this is behind all that it sent."""
        stream: Stream = self.stream
        if not self._request_ended and not self.decoder.buffered():
            self._request_ended = True
            stream.request_data(None, True)

    def _refuse(self, error):
        """Malformed: one answer, if none has begun, and the end. What follows cannot be trusted."""
        stream: Stream = self.stream
        self.listener.stats.up(_CX_PROTOCOL_ERROR)
        self._close_after = True
        if stream is not None and stream.responded:
            self.abort()
            stream.downstream_failed(errors.MALFORMED, stream.status)
            return
        self._request_ended = False
        sent = self.send_error(stream, errors.MALFORMED, error.status, error.reason.encode(), None)
        if stream is not None:
            stream.downstream_failed(errors.MALFORMED, error.status)
        else:
            self.count_refused(errors.MALFORMED, error.status, sent)
            self._finish_writing()

    def protocol(self):
        return "HTTP/1.0" if self.decoder.head.version_10 else "HTTP/1.1"

    # -- answers, from the stream --------------------------------------------------------------------------------------

    def _send(self, data):
        self.listener.stats.add(_TX_BYTES, len(data))
        self.write(data)

    def send_interim(self, stream, head):
        if self.decoder.head.version_10:
            return  # RFC 9110, 15.2
        out: ByteWriter = self.listener.context.writer
        out.clear()
        write_response(out, head, _NO_EDITS, False, False, False)
        self._send(out.take())

    def send_response(self, stream, head, edits, data, end):
        out: ByteWriter = self.listener.context.writer
        old: cython.bint = self.decoder.head.version_10
        self._chunked = head.body_length < 0 and not old
        if head.body_length < 0 and old:
            self._close_after = True  # the only way to tell such a client where the body ends
        if not self._request_ended or self.listener.context.draining:
            self._close_after = True
        out.clear()
        if self._chunked and self.listener.enable_trailers and self.stream.cluster.enable_trailers:
            if edits is None:
                edits = _WITH_TRAILERS
            else:
                edits.keep |= 1 << TRAILER
        elif edits is None:
            edits = _NO_EDITS
        write_response(out, head, edits, self._chunked, self._close_after, old and not self._close_after)
        if self._chunked:
            if data is not None:
                write_chunk(out, data)
            if end:
                self._write_end(out)
        elif data is not None:
            out.put(data)
        self._send(out.take())

    def open_tunnel(self, stream, head, edits, data):
        out: ByteWriter = self.listener.context.writer
        protocol: bytes = self.stream.head.upgrade
        edits.drop |= 1 << CONTENT_LENGTH
        if head.status == 101:
            edits.extra += b"connection: upgrade\r\nupgrade: " + protocol + b"\r\n"
            if not isinstance(head, Http1ResponseHead) and self.decoder.head.block.get(b"sec-websocket-key"):
                edits.put(b"sec-websocket-accept", accepted(self.decoder.head.block.get(b"sec-websocket-key")))
        out.clear()
        write_response(out, head, edits, False, False, False)
        if data is not None:
            out.put(data)
        self._tunnel = True
        self._close_after = True
        self._request_ended = False
        self._chunked = False
        self.decoder.switch()
        self._send(out.take())
        self.resume_reading()
        self._advance()

    def send_data(self, stream, data, end):
        out: ByteWriter
        if self._chunked:
            out = self.listener.context.writer
            out.clear()
            if data is not None:
                write_chunk(out, data)
            if end:
                self._write_end(out)
            data = out.take()
        if data:
            self._send(data)
        if end and self._tunnel:
            self.write_eof()

    def _write_end(self, out):
        write_last_chunk(out, self.stream.response_trailers if self.listener.enable_trailers else None)

    def send_error(self, stream, error, status, body, edits):
        to_head: cython.bint = False
        if self.stream is not None or self.decoder.begun:
            to_head = self.decoder.head.method == b"HEAD"
        body, headers = described(error, body, self.listener.server_name)
        if not self._request_ended or self.listener.context.draining or self.decoder.head.version_10:
            self._close_after = True
        self._send(local_response(status, body, headers, edits, close=self._close_after, to_head=to_head))
        return 0 if to_head or status < 200 or status == 204 else len(body)

    def reset_stream(self, stream):
        self._close_after = True
        if self._tunnel:
            self.reset()  # what came must not pass for all there was
        else:
            self.abort()

    def stream_ended(self, stream):
        self.stream = None
        self._held = False
        if self.closing:
            return
        if self._close_after:
            self._finish_writing()
            return
        self._quiet_since = self.listener.context.wheel.latest  # the stream has just looked
        if self._draining:
            self.listener.context.wheel.arm(self, _DRAIN_QUIET_MS)
        elif not self.armed and self.listener.idle_timeout:
            self.listener.context.wheel.arm(self, self.listener.idle_timeout)
        self.resume_reading()
        if self.decoder.buffered():
            self._advance()

    # -- the end -------------------------------------------------------------------------------------------------------

    def _finish_writing(self):
        """What was written goes out; then the connection ends."""
        if self._ended or (self._request_ended and not self.decoder.buffered()):
            self.close()
        else:
            self.decoder.rest()
            self.close_hearing_out(self.listener.context.wheel, self.listener.delayed_close_timeout)

    def close(self):
        self.close_flushing(self.listener.context.wheel)

    def hold(self, stream):
        self._held = True
        self.pause_reading()

    def proceed(self, stream):
        if self._held:
            self._held = False
            self.resume_reading()
            self._advance()

    # -- time ----------------------------------------------------------------------------------------------------------

    def expire(self):
        """Head and idle timeout are looked at when the timer is due. With no limit it is set again by the next head
        that comes in pieces, or the next answer's end."""
        quiet: cython.longlong = self.listener.context.wheel.now() - self._quiet_since
        in_head: cython.bint = self._in_head and self.listener.head_timeout > 0
        limit: cython.longlong = self.listener.head_timeout if in_head else self.listener.idle_timeout
        if self._draining and not self._in_head:
            limit = _DRAIN_QUIET_MS
        if self.closing:
            self.expire_closing(self.listener.context.wheel)
        elif limit == 0:
            return
        elif self.stream is not None:
            self.listener.context.wheel.arm(self, limit)
        elif quiet < limit:
            self.listener.context.wheel.arm(self, limit - quiet)
        elif in_head:
            self.listener.stats.up(_HEAD_TIMEOUT)
            self._request_ended = False
            error = errors.HEAD_TIMEOUT
            sent = self.send_error(None, error, error.status, error.reason.encode(), None)
            self.count_refused(error, error.status, sent)
            self._finish_writing()
        elif self._draining:
            self.close()
        else:
            self.listener.stats.up(_CX_IDLE)
            self.close()

    def too_old(self):
        if not self.closing:
            self.listener.stats.up(_CX_MAX_DURATION)
            self.drain()

    def drain(self) -> None:
        """Ends with the answer to the request under way, or to one that has begun to arrive, if that can say so; else
        as soon as the connection has been quiet for `_DRAIN_QUIET_MS`."""
        stream: Stream = self.stream
        quiet: cython.longlong
        self._draining = True
        if stream is not None:
            if not stream.responded:
                self._close_after = True
        elif not self.closing and not self._in_head and not self.decoder.buffered():
            quiet = self.listener.context.wheel.now() - self._quiet_since
            if quiet >= _DRAIN_QUIET_MS:
                self.close()
            else:
                self.listener.context.wheel.arm(self, _DRAIN_QUIET_MS - quiet)
