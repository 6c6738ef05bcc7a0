"""What a listener, and what a cluster, says of HTTP/2. A new plan makes new ones; each connection keeps those that it
began with."""

import cython

HEADER_TABLE_SIZE = 4_096
MAX_CONCURRENT_STREAMS = 1_024
INITIAL_STREAM_WINDOW = 262_144
INITIAL_CONNECTION_WINDOW = 16_777_216
MAX_FRAME_SIZE = 16_384
"""The defaults, bytes but for the streams. Source of the names: RFC 9113, 6.5.2;
envoy.config.core.v3.Http2ProtocolOptions."""


class Http2Settings:
    """`header_table_size` and `max_frame_size` (bytes) are announced to the peer. `max_concurrent_streams`: a listener
    announces them to its clients; to an upstream no more are opened on one connection, whatever it allows.

    A peer may send `initial_stream_window` bytes of a body before the other side has taken any; that is what a stream
    keeps in memory at most. The connection's window, `initial_connection_window`, is opened again as data come, so that
    a stream that nobody reads holds up no other.

    `max_head_bytes` and `max_headers` limit a head, unpacked. `keepalive_interval` (ms, 0: never): a connection on
    which nothing was heard for so long is asked by a PING, and ended when no answer comes within `keepalive_timeout`.
    `allow_connect`: the extended CONNECT of RFC 8441 is announced, and taken."""

    def __init__(
        self,
        header_table_size: cython.Py_ssize_t = HEADER_TABLE_SIZE,
        max_concurrent_streams: cython.Py_ssize_t = MAX_CONCURRENT_STREAMS,
        initial_stream_window: cython.Py_ssize_t = INITIAL_STREAM_WINDOW,
        initial_connection_window: cython.Py_ssize_t = INITIAL_CONNECTION_WINDOW,
        max_frame_size: cython.Py_ssize_t = MAX_FRAME_SIZE,
        max_head_bytes: cython.Py_ssize_t = 61_440,
        max_headers: cython.Py_ssize_t = 100,
        keepalive_interval: cython.longlong = 0,
        keepalive_timeout: cython.longlong = 20_000,
        allow_connect: cython.bint = False,
    ) -> None:
        self.header_table_size = header_table_size
        self.max_concurrent_streams = max_concurrent_streams
        self.initial_stream_window = initial_stream_window
        self.initial_connection_window = initial_connection_window
        self.max_frame_size = max_frame_size
        self.max_head_bytes = max_head_bytes
        self.max_headers = max_headers
        self.keepalive_interval = keepalive_interval
        self.keepalive_timeout = keepalive_timeout
        self.allow_connect = allow_connect
