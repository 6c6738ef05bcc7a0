"""One endpoint of a cluster: what is known of it, and its connections (`pool`).

Where a cluster speaks both versions of HTTP (`ClusterInfo.two_pools`), a host has a second pool, from the first request
on that needs it.
"""

import cython

from tage.dataplane.protocols.http2.settings import Http2Settings
from tage.dataplane.upstream.cluster_info import ClusterInfo
from tage.dataplane.upstream.connection import UpstreamConnection
from tage.dataplane.upstream.pool import Pool

if not cython.compiled:
    # Compiled, these are the enumerations in the .pxd files.
    import enum

    from tage.dataplane.upstream.cluster_info import FOR_ALL, FOR_ALPN

    Health = enum.IntFlag("Health", ["EDS_FAILED", "CHECK_FAILED", "EJECTED", "UNCHECKED", "DEGRADED"], start=1)
    EDS_FAILED, CHECK_FAILED, EJECTED, UNCHECKED, DEGRADED = Health

_FAILED = cython.declare(cython.int, 15)  # any of these and it is not usable; degraded it still is


class Host(Pool):
    """`endpoint` is what the configuration says of it (`endpoint.Endpoint`). `own`: a listener of this sidecar.

    `health` has the reasons not to use it (`Health`), `usable` is whether there is none. `since` is when it came, or
    became usable again after failed checks (ms of the wheel's clock): slow start counts from then on."""

    def __init__(self, cluster: ClusterInfo, endpoint) -> None:
        Pool.__init__(self, cluster, endpoint.address, endpoint.port)
        self.endpoint = endpoint
        self.health = health_of(endpoint)
        self.usable = not self.health & _FAILED
        self.since = 0
        self.own = False
        self.monitor = None
        """`outlier.HostMonitor`; None: nobody asks how tries at it end."""
        self._second = None
        self._agreed = 0

    @property
    def weight(self) -> int:
        return self.endpoint.weight

    @property
    def healthy(self) -> bool:
        """What the configuration says (EDS); see `usable`."""
        return self.endpoint.healthy

    def mark(self, reason: cython.int, on: cython.bint):
        """Adds a reason not to use it (`Health`), or takes it away. Whether it became usable, or unusable, by that;
        then its cluster is to `refresh`."""
        usable: cython.bint = self.usable
        self.health = self.health | reason if on else self.health & ~reason
        self.usable = not self.health & _FAILED
        if self.usable and not usable and reason & (CHECK_FAILED | UNCHECKED):
            self.since = self.cluster.wheel.now()
        return self.usable != usable

    def adopt(self, endpoint):
        """The configuration says something else of it now."""
        self.endpoint = endpoint
        self.health = (self.health & ~(EDS_FAILED | DEGRADED)) | health_of(endpoint)
        self.usable = not self.health & _FAILED


    # -- its connections -----------------------------------------------------------------------------------------------

    def second(self):
        """Its second pool."""
        pool: Pool = self._second
        if pool is None:
            pool = self._second = Pool(self.cluster, self.address, self.port)
            pool.retired = self.retired
        return pool

    @property
    def http2(self) -> bool:
        return self.cluster.http2 is not None and self.cluster.http2_for == FOR_ALL

    @property
    def by_alpn(self) -> bool:
        return self.cluster.two_pools and self.cluster.http2_for == FOR_ALPN

    def tls(self):
        return self.cluster.tls

    def room(self):
        return self._agreed if self._agreed else self.cluster.concurrency

    def connected(self, connection: UpstreamConnection) -> None:
        http2: Http2Settings = self.cluster.http2
        if self.cluster.two_pools and self.cluster.http2_for == FOR_ALPN:
            # What one connection has agreed to, the next one will.
            self._agreed = http2.max_concurrent_streams if connection.shared else 1
        Pool.connected(self, connection)

    def move(self, address: str, port: cython.int) -> None:
        """To where connections go from now on."""
        self.address = address
        self.port = port
        if self._second is not None:
            self._second.address = address
            self._second.port = port

    def forget(self, receiver):
        Pool.forget(self, receiver)
        if self._second is not None:
            self._second.forget(receiver)

    def retire(self) -> None:
        Pool.retire(self)
        if self._second is not None:
            self._second.retire()

    def idle_connections(self) -> int:
        return Pool.idle_connections(self) + (self._second.idle_connections() if self._second is not None else 0)


def health_of(endpoint) -> int:
    """The part of `Host.health` that the configuration says."""
    health: cython.int = 0
    if not endpoint.healthy:
        health |= EDS_FAILED
    if endpoint.degraded:
        health |= DEGRADED
    return health
