"""What an access log can say of one request, whatever the protocol."""


class Record:
    """Filled in by a stream at its end, read before the stream goes on: it holds references to what the stream has
    anyway, nothing is copied or formatted unless a format asks for it. A protocol without headers uses it as it is; one
    with headers overrides `request_header`, `response_header` and `response_trailer`.

    Times are microseconds, -1: it did not come to that. Addresses are what `getsockname` gives, None: not known.
    """

    def __init__(self) -> None:
        self.started = 0
        """By the system's clock, since the epoch."""
        self.duration = 0
        """From the start to the end of all; the next three also count from the start."""
        self.request_duration = -1
        """To the last byte of the request."""
        self.response_duration = -1
        """To the first byte of the upstream's answer."""
        self.upstream_duration = -1
        """From the (last) try's start to the head of the upstream's answer."""
        self.protocol = None
        self.code = 0
        self.details = None
        """Envoy's response code details: why the code is what it is."""
        self.flags = "-"
        self.grpc_status = -1
        """Of a call of gRPC."""
        self.bytes_received = 0
        """Of the request's body, or of a connection's data; without framing."""
        self.bytes_sent = 0
        self.attempts = 0
        self.remote = None
        self.direct_remote = None
        """Who connected, where a PROXY header names another as `remote`."""
        self.local = None
        self.server_name = None
        """SNI."""
        self.connection_id = -1
        self.upstream = None
        self.upstream_local = None
        self.upstream_failure = None
        """Why there was no connection."""
        self.cluster = None
        self.route = None
        self.termination_details = None
        self.tls = None
        """The downstream connection's `ssl` object, where there is TLS."""

    def request_header(self, name):
        """`name` in lower case; pseudo-headers by `:name`. None: there is none. Several are joined by ","."""

    def response_header(self, name):
        """As `request_header`; of the answer, once there is one."""

    def response_trailer(self, name):
        """As `response_header`; of what came behind the answer's body."""
