"""What an HTTP/1.1 peer can do wrong. `status` is what a client is told; an upstream's error becomes 502."""

from typing import NamedTuple


class Violation(NamedTuple):
    status: int
    code: str
    """Envoy's response code detail style: `http1.` and a word."""
    reason: str


BAD_METHOD = Violation(400, "http1.bad_method", "the request line does not begin with a method")
BAD_TARGET = Violation(400, "http1.bad_target", "the request target is malformed")
BAD_VERSION = Violation(505, "http1.bad_version", "the protocol version is neither HTTP/1.1 nor HTTP/1.0")
BAD_STATUS_LINE = Violation(502, "http1.bad_status_line", "the status line is malformed")
BAD_LINE_END = Violation(400, "http1.bad_line_end", "a line ends in something other than CR LF")
BAD_HEADER_NAME = Violation(400, "http1.bad_header_name", "a header name has a character that is not allowed there")
BAD_HEADER_VALUE = Violation(400, "http1.bad_header_value", "a header value has a control character")
OBS_FOLD = Violation(400, "http1.obs_fold", "a header continues on a second line, which is obsolete and refused")
BAD_HOST = Violation(400, "http1.bad_host", "the Host header is missing, repeated or malformed")
BAD_CONTENT_LENGTH = Violation(
    400, "http1.bad_content_length", "Content-Length is malformed, repeated or not allowed here"
)
LENGTH_AND_CHUNKED = Violation(
    400, "http1.length_and_chunked", "Content-Length and Transfer-Encoding are both there: the length is ambiguous"
)
BAD_TRANSFER_ENCODING = Violation(
    400, "http1.bad_transfer_encoding", "Transfer-Encoding is repeated, malformed or not allowed here"
)
UNKNOWN_TRANSFER_ENCODING = Violation(
    501, "http1.unknown_transfer_encoding", "a transfer coding other than chunked is not supported"
)
BAD_CONNECTION = Violation(400, "http1.bad_connection", "the Connection header is malformed or too long")
BAD_CHUNK = Violation(400, "http1.bad_chunk", "a chunk of the body is malformed")
BAD_EXPECT = Violation(417, "http1.bad_expect", "an expectation other than 100-continue is not supported")
URI_TOO_LONG = Violation(414, "http1.uri_too_long", "the request line alone is larger than the limit of a head")
HEAD_TOO_LARGE = Violation(431, "http1.head_too_large", "the header section is larger than the limit")
TOO_MANY_HEADERS = Violation(431, "http1.too_many_headers", "there are more headers than the limit")
CONNECT_WITH_BODY = Violation(400, "http1.connect_with_body", "a CONNECT request has no body")
TRUNCATED = Violation(400, "http1.truncated", "the connection ended within a message")
