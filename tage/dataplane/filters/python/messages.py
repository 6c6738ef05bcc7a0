"""`Request` and `Response`: a request and its answer as a Python filter sees them.

Both look into what the stream holds and copy nothing: what nobody asks for is never made. So they live as long as the
filter has to do with the request, and tell whoever uses them later. Bodies are not offered: they pass a filter by,
without being held or copied.
"""

import cython

from tage.dataplane.filters.filter import Exchange
from tage.dataplane.filters.python.api import Action
from tage.dataplane.filters.python.headers import Headers

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.filters.python.headers import header_name, header_value, headers_of
    from tage.dataplane.protocols.edits import protected

_REPLY = Action.REPLY


class Reply:
    """An answer of the filter's own, checked."""

    def __init__(self, status: int, body: bytes, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        self.status = status
        self.body = body
        self.headers = headers


class Request:
    """What `Filter.on_request` is given. Valid until that has returned, and again in `on_response`."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._headers = None
        self._state = None
        self._reply = None
        self._held = None

    @property
    def headers(self) -> Headers:
        """As they will go on: changes count for later filters, the route (`Action.REROUTE`) and the upstream."""
        exchange: Exchange
        if self._headers is None:
            exchange = self._open()
            self._headers = headers_of(exchange.head.block, exchange.edits, exchange.head)
        return self._headers  # type: ignore[return-value]

    @property
    def method(self) -> str:
        return self._open().head.method.decode("latin-1")

    @property
    def path(self) -> str:
        """With the query. May be set: to what begins with "/"."""
        exchange: Exchange = self._open()
        path: bytes = exchange.head.path if exchange.edits.path is None else exchange.edits.path
        return path.decode("latin-1")

    @path.setter
    def path(self, value: str) -> None:
        exchange: Exchange = self._open()
        path: bytes = header_value(value)
        if path[:1] != b"/" or b" " in path or b"\t" in path or b"#" in path:
            raise ValueError(f'{value!r} is not a path: it begins with "/" and has neither spaces nor "#"')
        if exchange.head.method == b"CONNECT":
            raise ValueError("CONNECT has no path")
        exchange.edits.path = path

    @property
    def authority(self) -> str:
        """The host that is asked for, as `headers["host"]`. May be set."""
        exchange: Exchange = self._open()
        found: bytes = exchange.head.authority if exchange.edits.authority is None else exchange.edits.authority
        return found.decode("latin-1")

    @authority.setter
    def authority(self, value: str) -> None:
        self.headers["host"] = value

    @property
    def scheme(self) -> str:
        return self._open().head.scheme.decode("latin-1")

    @property
    def client(self) -> str:
        """The address of the connection's other end, without its port."""
        return self._open().peer.decode("latin-1")

    @property
    def route(self) -> str:
        """The name of the route that matches; empty where it has none, or none matches."""
        exchange: Exchange = self._open()
        return exchange.route.name if exchange.route is not None else ""

    @property
    def cluster(self) -> str:
        """The name of the cluster that the request was given to; empty while it has not been."""
        cluster: object = getattr(self._open(), "cluster", None)
        return "" if cluster is None else cluster.name

    @property
    def state(self) -> dict:
        """The filter's own, from `on_request` to `on_response` of one request."""
        if self._state is None:
            self._state = {}
        return self._state  # type: ignore[return-value]

    def reply(self, status: int, body: str | bytes = b"", *, headers: object = ()) -> Action:
        """Answers the request here; ``return request.reply(403, "no")``. `headers` is a mapping or pairs. The body's
        type is text/plain unless `headers` say otherwise. Raises `ValueError` for what cannot be an answer."""
        self._open()
        if not 200 <= status <= 599:
            raise ValueError(f"{status} is not a status of an answer: give one from 200 to 599")
        text: bytes = body.encode() if isinstance(body, str) else body
        if not isinstance(text, bytes):
            raise TypeError(f"an answer's body is str or bytes, not {type(body).__name__}")
        if text and (status == 204 or status == 304):
            raise ValueError(f"an answer with status {status} has no body (RFC 9110, 8.6)")
        pairs: object = headers.items() if hasattr(headers, "items") else headers
        lines: list = []
        for name, value in pairs:
            key: bytes = header_name(name)
            if protected(key):
                raise ValueError(f"{name!r} is the connection's own: it cannot be set")
            lines.append((key, header_value(value)))
        self._reply = Reply(status, text, tuple(lines))
        return _REPLY

    def take_reply(self):
        """The answer that `reply` has made, or None; it is told once."""
        reply: Reply = self._reply
        self._reply = None
        return reply

    def __repr__(self) -> str:
        return "Request(over)" if self._exchange is None else f"Request({self.method} {self.authority}{self.path})"

    def release(self):
        """Lets go of the head, which may be another object when it is asked for next (`Exchange.reroute`)."""
        if self._headers is not None:
            self._headers.close()
            self._headers = None

    def close(self):
        """The stream is another's from now on."""
        self._exchange = None
        self.release()

    def _open(self):
        if self._exchange is None:
            raise RuntimeError("the request is over: keep what you need of it, not the request")
        return self._exchange


def request_of(exchange):
    """A `Request`, made without a Python call."""
    made: Request = Request.__new__(Request) if cython.compiled else Request(exchange)
    made._exchange = exchange
    return made


def response_of(exchange):
    made: Response = Response.__new__(Response) if cython.compiled else Response(exchange)
    made._exchange = exchange
    return made


class Response:
    """What `Filter.on_response` is given: the head of an answer, an upstream's or one of Tage's own. Valid until the
    method has returned, or what it returned has been awaited."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._headers = None

    @property
    def status(self) -> int:
        return self._open().answer_head.status

    @property
    def headers(self) -> Headers:
        """As they will go to the client."""
        exchange: Exchange
        if self._headers is None:
            exchange = self._open()
            self._headers = headers_of(exchange.answer_head.block, exchange.answer(), None)
        return self._headers  # type: ignore[return-value]

    def __repr__(self) -> str:
        return "Response(over)" if self._exchange is None else f"Response({self.status})"

    def release(self):
        """The head is about to be another object."""
        if self._headers is not None:
            self._headers.close()
            self._headers = None

    def close(self):
        """The head is another's from now on."""
        self._exchange = None
        self.release()

    def _open(self):
        if self._exchange is None:
            raise RuntimeError("the answer has gone on: keep what you need of it, not the response")
        return self._exchange
