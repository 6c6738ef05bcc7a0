"""What a stream's access log can say: a `Record` with headers."""

import cython

from tage.dataplane.telemetry.access_log.record import Record

if not cython.compiled:
    # Compiled, this comes from the .pxd.
    from tage.dataplane.protocols.edits import line_value


class StreamRecord(Record):
    """Refers to the heads of a request and its answer, which stay as they are until the stream is over. A request's
    headers are those that went upstream: x-request-id is there though the client sent none.

    What Envoy would have added to the messages, Tage gives to the log alone: `x-envoy-original-path`, where a route
    rewrote the path, and `x-envoy-upstream-service-time` of an answer.
    """

    def __init__(self) -> None:
        Record.__init__(self)
        self.head = None
        self.edits = None
        self.answer = None
        self.trailers = None

    def request_header(self, name):
        found: bytes
        if self.head is None:
            return None
        if self.edits is not None:
            if self.edits.path is not None:
                if name == b":path":
                    return self.edits.path
                if name == b"x-envoy-original-path":
                    return self.head.path
            if name == b":authority" and self.edits.authority is not None:
                return self.edits.authority
            found = line_value(self.edits.extra, name)
            if found is not None or (self.edits.names is not None and name in self.edits.names):
                return found
        return self.head.header(name)

    def response_header(self, name):
        found: bytes
        if self.answer is None:
            return None
        found = self.answer.header(name)
        if found is None and self.upstream_duration >= 0 and name == b"x-envoy-upstream-service-time":
            return str(self.upstream_duration // 1000).encode()
        return found

    def response_trailer(self, name):
        found: list
        if self.trailers is None:
            return None
        lines = [line.partition(b":") for line in self.trailers.splitlines()]
        found = [value.strip(b" \t") for each, _, value in lines if each.lower() == name]
        return b",".join(found) if found else None
