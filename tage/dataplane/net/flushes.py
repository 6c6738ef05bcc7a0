"""Connections that put off what they write until the batch of events is served (`reactor`): the requests of several
clients leave for one upstream in one piece, and so do the answers for one client. Who writes outside a batch writes at
once."""

from tage.dataplane.net.connection import Connection


class Flushes:
    """One a worker. `holding`: a batch is being served."""

    def __init__(self) -> None:
        self.holding = False
        self._waiting = []

    def put_off(self, connection: Connection) -> None:
        """`connection.flush` is called once, at the end of the batch; the caller sees to it that it does not ask twice
        before that."""
        if self.holding:
            self._waiting.append(connection)
        else:
            connection.flush()

    def flush(self, loop) -> None:
        """Those that wait. An exception is our bug, and the end of the connection that it came from alone."""
        connection: Connection
        waiting: list
        while self._waiting:
            waiting = self._waiting
            self._waiting = []
            for connection in waiting:
                try:
                    connection.flush()
                except Exception as error:
                    loop.call_exception_handler(
                        {"message": "a connection failed on what it wrote", "exception": error, "protocol": connection}
                    )
                    connection.abort()
