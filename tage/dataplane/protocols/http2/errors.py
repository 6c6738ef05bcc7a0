"""What an HTTP/2 peer can do wrong that ends the connection: the code of the GOAWAY, and the reason.

What ends a single stream is an error code and a few words beside the event that tells it (`session.Session`).
"""

from typing import NamedTuple


class Violation(NamedTuple):
    code: int
    """RFC 9113, 7 (`frames.ErrorCode`)."""
    reason: str


PROTOCOL, FLOW_CONTROL, CLOSED, FRAME_SIZE, COMPRESSION, CALM = 1, 3, 5, 6, 9, 11

BAD_PREFACE = Violation(PROTOCOL, "the connection does not begin with HTTP/2's preface")
NO_SETTINGS = Violation(PROTOCOL, "the first frame is not SETTINGS")
NO_STREAM = Violation(PROTOCOL, "a frame that belongs to a stream names none")
NO_CONNECTION = Violation(PROTOCOL, "a frame that belongs to the connection names a stream")
BAD_STREAM_ID = Violation(PROTOCOL, "a stream begins with an id that the peer may not use")
IDLE_STREAM = Violation(PROTOCOL, "a frame for a stream that has not begun")
STREAM_IS_CLOSED = Violation(CLOSED, "a header block for a stream that is closed")
PUSH = Violation(PROTOCOL, "PUSH_PROMISE, which is not enabled")
SELF_DEPENDENCY = Violation(PROTOCOL, "a stream that depends on itself")
BAD_PADDING = Violation(PROTOCOL, "padding that is longer than its frame")
UNEXPECTED_CONTINUATION = Violation(PROTOCOL, "CONTINUATION without a header block that goes on")
INTERRUPTED_BLOCK = Violation(PROTOCOL, "a frame between a header block and its CONTINUATION")
BAD_SETTING = Violation(PROTOCOL, "a setting has a value that is not allowed")
ZERO_INCREMENT = Violation(PROTOCOL, "WINDOW_UPDATE by nothing")
FRAME_TOO_LARGE = Violation(FRAME_SIZE, "a frame is larger than the MAX_FRAME_SIZE announced here")
BAD_LENGTH = Violation(FRAME_SIZE, "a frame's length is not one that its type can have")
WINDOW_EXCEEDED = Violation(FLOW_CONTROL, "more data than the connection's window allowed")
WINDOW_OVERFLOW = Violation(FLOW_CONTROL, "a window grew beyond 2^31-1")
BAD_INITIAL_WINDOW = Violation(FLOW_CONTROL, "INITIAL_WINDOW_SIZE beyond 2^31-1")
BLOCK_TOO_LARGE = Violation(CALM, "a header block takes too many bytes or frames")
TOO_MANY_RESETS = Violation(CALM, "too many requests were begun and reset")
TOO_MANY_FRAMES = Violation(CALM, "too many frames that move nothing forward")
UNREAD = Violation(CALM, "what is answered is not read")


def bad_block(reason: str | None) -> Violation:
    """HPACK: the tables of both sides may differ from here on."""
    return Violation(COMPRESSION, reason or "a header block cannot be unpacked")
