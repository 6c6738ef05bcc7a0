"""A change of a cluster's hosts, prepared beside those that are in use. Not compiled: it runs when endpoints change.

A host that stays keeps its connections, and what of it has changed is told it when the change is adopted; hosts that
come are complete by then. So adopting costs some assignments, and one for each host that is another afterwards.
"""

from __future__ import annotations

from typing import Any

from tage.dataplane.upstream.balancing.build import STEP, Balancing, Builder, Member, Steps
from tage.dataplane.upstream.host import Health, Host, health_of


class Membership:
    """`logical`: what `Cluster.logical` will be, None: what it is. `anew`: no host stays. `hosts` are in the order of
    the assignment; of two endpoints with the same address and port the first counts.
    `changed` are (host, endpoint), `gone` those to `retire`."""

    def __init__(
        self, cluster: Any, assignment: Any, settings: Any, logical: bool | None = None, *, anew: bool = False
    ) -> None:
        self.assignment = assignment
        self.settings = settings
        self.hosts: list[Host] = []
        self.added: list[Host] = []
        self.changed: list[tuple[Host, Any]] = []
        self.gone: list[Host] = []
        self.balancing = Balancing()
        self.health_version = 0
        """What `Cluster.health_version` was when the hosts' health was looked at."""
        self._cluster = cluster
        self._anew = anew
        self._logical = cluster.logical if logical is None else logical

    def prepare(self) -> Steps:
        """In steps of some hundred hosts."""
        cluster = self._cluster
        self.health_version = cluster.health_version
        known: dict[tuple[str, int], Host] = {}
        for at, host in enumerate(cluster.hosts):
            if self._anew:
                self.gone.append(host)
            else:
                known[host.address, host.port] = host
            if at % STEP == STEP - 1:
                yield
        endpoints = self.assignment.endpoints
        if self._logical and known and endpoints:
            # Its host stays, and its address moves: that concerns the connections it opens from now on.
            first = endpoints[0]
            if (first.address, first.port) not in known:
                host = cluster.hosts[0]
                del known[host.address, host.port]
                known[first.address, first.port] = host
        members: list[Member] = []
        seen: set[tuple[str, int]] = set()
        now = cluster.wheel.now()
        for at, endpoint in enumerate(endpoints):
            key = (endpoint.address, endpoint.port)
            if key not in seen:
                seen.add(key)
                members.append(self._member(known.pop(key, None), endpoint, now))
            if at % STEP == STEP - 1:
                yield
        self.hosts = [member.host for member in members]
        self.gone += known.values()
        builder = Builder(self.assignment, self.settings, cluster.wheel)
        yield from builder.build(members)
        self.balancing = builder.balancing

    def _member(self, host: Host | None, endpoint: Any, now: int) -> Member:
        if host is None:
            host = Host(self._cluster, endpoint)
            host.since = now
            self.added.append(host)
        elif host.endpoint is not endpoint:
            if host.endpoint != endpoint:
                self.changed.append((host, endpoint))
            kept = host.health & ~(Health.EDS_FAILED | Health.DEGRADED)
            return Member(host, endpoint, kept | health_of(endpoint))
        return Member(host, endpoint, host.health)
