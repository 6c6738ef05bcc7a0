"""What a stream knows of the connection that it came on; protocols fill it in."""


from tage.dataplane.net.connection import Connection
from tage.dataplane.streams.context import ListenerState


class DownstreamConnection(Connection):
    """`forwarded_for` is the peer's address, as it stands in x-forwarded-for."""

    def __init__(self, listener: ListenerState) -> None:
        Connection.__init__(self)
        self.listener = listener
        self.forwarded_for = b""

    def send_interim(self, head):
        """A 1xx answer."""
        raise NotImplementedError

    def send_response(self, head, data, end):
        raise NotImplementedError

    def send_data(self, data, end):
        """More of the answer's body."""
        raise NotImplementedError

    def send_error(self, error, status, body):
        """A whole answer of our own, in the protocol's form."""
        raise NotImplementedError

    def reset_stream(self):
        """An answer that was begun cannot be completed: the client must not take it for a whole one."""
        raise NotImplementedError

    def stream_ended(self):
        """The stream is over, one way or another; after this it is not heard from again."""
        raise NotImplementedError

    def hold(self):
        """Read no more of the request for now."""
        raise NotImplementedError

    def proceed(self):
        """Read on."""
        raise NotImplementedError
