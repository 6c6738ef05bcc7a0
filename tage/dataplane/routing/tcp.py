"""Where the connections of a TCP proxy go."""

import cython

from tage.dataplane.routing.destination import Destination


class TcpRoute(Destination):
    """Not changed once it is built: a connection keeps the one with which it began. Times in ms, 0: no limit.

    `idle_timeout`: without a byte in either direction. `max_duration`: of a connection, whatever it does.
    Raises ValueError for weights that lead nowhere.
    """

    def __init__(
        self,
        clusters: list,
        weights: list,
        idle_timeout: cython.longlong = 3_600_000,
        max_duration: cython.longlong = 0,
        max_connect_attempts: cython.int = 1,
    ) -> None:
        Destination.__init__(self)
        self.lead_to(clusters, weights)
        self.idle_timeout = idle_timeout
        self.max_duration = max_duration
        self.max_connect_attempts = max_connect_attempts
