"""Clusters: their hosts, and who of them gets a request.

Who picks is `balancing`'s: balancers for the hosts as they are. Another set of hosts is prepared beside them
(`membership`) and adopted at once. When a host's health changes the balancers are built anew: at once for a few hosts,
else in slices, and until those are through, hosts that are not usable are passed over.
"""

import cython

from tage.dataplane.net.timers import Timer, TimerWheel
from tage.dataplane.telemetry.layout import CLUSTER
from tage.dataplane.telemetry.store import StatGroup
from tage.dataplane.upstream.balancing.balancer import Balancer
from tage.dataplane.upstream.balancing.build import Balancing, Builder, Member
from tage.dataplane.upstream.balancing.settings import Settings
from tage.dataplane.upstream.cluster_info import ClusterInfo
from tage.dataplane.upstream.endpoint import Assignment, Endpoint
from tage.dataplane.upstream.host import Host
from tage.dataplane.upstream.limits import Counts
from tage.dataplane.upstream.membership import Membership

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    from tage.dataplane.upstream.limits import CONNECTIONS, REQUESTS

_MEMBERS = cython.declare(cython.Py_ssize_t, CLUSTER.offset("membership_total"))
_MEMBERS_HEALTHY = cython.declare(cython.Py_ssize_t, CLUSTER.offset("membership_healthy"))

_AHEAD = cython.declare(cython.Py_ssize_t, 3)
_PICKS = cython.declare(cython.Py_ssize_t, 5)
_AT_ONCE = cython.declare(cython.Py_ssize_t, 64)  # hosts whose balancers are built in a fraction of a millisecond
_SLICE_US = cython.declare(cython.longlong, 1_000)


class Rebuild(Timer):
    """Balancers for hosts whose health has changed, in slices, one each turn of the wheel."""

    def __init__(self, cluster) -> None:
        Timer.__init__(self)
        self.cluster = cluster

    def expire(self):
        cluster: Cluster = self.cluster
        cluster.rebuild_slice()


class Cluster(ClusterInfo):
    """A set of hosts that can all answer. `health_version` counts changes of health."""

    def __init__(self, name: str, stats: StatGroup, wheel: TimerWheel, connect, counts: Counts = None) -> None:
        ClusterInfo.__init__(self, name, stats, wheel, connect, counts)
        self.hosts = []
        self.assignment = Assignment()
        self.settings = Settings()
        self.balancer = None
        self.subsets = None
        self.health_version = 0
        self.watch = None
        """`health.state.ClusterHealth`; None: nobody looks after the hosts' health."""
        self._balancing = Balancing()
        self._drawn = []
        self._stale = False
        self._rebuild = None
        self._builder = None
        self._steps = None

    # -- hosts ---------------------------------------------------------------------------------------------------------

    def set_hosts(self, endpoints) -> None:
        """Makes these (address, port, weight, healthy) the cluster's hosts, at once."""
        self.assign(Assignment([Endpoint(*endpoint) for endpoint in endpoints]))

    def set_lb(self, policy: str) -> None:
        """Another policy (`Settings.policy`), at once."""
        self.assign(self.assignment, Settings(policy=policy))

    def assign(self, assignment, settings=None) -> None:
        """Another `endpoint.Assignment` or other `Settings`, at once; see `adopt`."""
        change = Membership(self, assignment, self.settings if settings is None else settings)
        for _ in change.prepare():
            pass
        for host in self.adopt(change):
            host.retire()

    def adopt(self, change) -> list:
        """Takes over what was prepared. Answers the hosts that are to `retire`: not in use any more."""
        host: Host
        for host, endpoint in change.changed:
            host.adopt(endpoint)
        if self.logical and change.hosts:
            host = change.hosts[0]
            host.move(host.endpoint.address, host.endpoint.port)
        self.hosts = change.hosts
        self.assignment = change.assignment
        self.settings = change.settings
        self._take_over(change.balancing)
        self.stats.put(_MEMBERS, len(self.hosts))
        if change.health_version != self.health_version:
            self.refresh()
        return change.gone

    def _take_over(self, balancing):
        self._end_rebuild()
        balancing.follow(self._balancing)
        self._balancing = balancing
        self.balancer = balancing.root
        self.subsets = balancing.subsets
        self._drawn = []
        self.stats.put(_MEMBERS_HEALTHY, balancing.healthy)

    def refresh(self):
        """Some host became usable, or is not any more."""
        self.health_version += 1
        if len(self.hosts) <= _AT_ONCE:
            self._begin_rebuild()
            for _ in self._steps:
                pass
            self._take_over(self._builder.balancing)
            return
        self._stale = True
        if self._rebuild is None:
            self._rebuild = Rebuild(self)
        # What is under way began with another health: from the beginning.
        self._steps = None
        if not self._rebuild.armed:
            self.wheel.arm(self._rebuild, 0)

    def _begin_rebuild(self):
        self._builder = Builder(self.assignment, self.settings, self.wheel)
        self._steps = self._builder.build([Member(host, host.endpoint, host.health) for host in self.hosts])

    def rebuild_slice(self):
        until: cython.longlong = self.wheel.now_us() + _SLICE_US
        if self._steps is None:
            self._begin_rebuild()
        for _ in self._steps:
            if self.wheel.now_us() >= until:
                self.wheel.arm(self._rebuild, 0)
                return
        self._take_over(self._builder.balancing)

    def _end_rebuild(self):
        self._stale = False
        self._steps = None
        self._builder = None
        if self._rebuild is not None:
            self.wheel.disarm(self._rebuild)

    def close(self) -> None:
        """The cluster is gone from the configuration."""
        self.set_hosts([])

    # -- picking -------------------------------------------------------------------------------------------------------

    def pick(self, random, tried, key=0, subset=None):
        """A host that is to get a request, or None. Not one of `tried` (where it has failed already; None: no such), if
        there is another. `key` is the request's hash; 0: it has none. `subset` are the (name, value) that a host's
        metadata is to have, sorted; None: any."""
        host: Host
        balancer: Balancer
        if self.watch is not None and self.watch.changed() and self.watch.update():
            self.refresh()
        balancer = self.balancer
        if self.subsets is not None:
            balancer = self.subsets.select(subset)
        if balancer is None:
            return None
        host = self._drawn.pop(0) if self._drawn else balancer.pick(random, key, 0)
        if tried is None and not self._stale:
            return host
        return self._pick_again(balancer, host, random, tried, key)

    def _pick_again(self, balancer, host, random, tried, key):
        """`host`, unless it will not do: then up to `_PICKS` in all, then any that will, else the last."""
        attempt: cython.Py_ssize_t
        avoided: list = [] if tried is None else tried
        other: Host
        for attempt in range(1, _PICKS):
            if host is None or (host not in avoided and (host.usable or not self._stale)):
                return host
            host = balancer.pick(random, key, attempt)
        if host is None or (host not in avoided and (host.usable or not self._stale)):
            return host
        if self._stale:
            avoided = avoided + [other for other in balancer.hosts if not other.usable]
        other = balancer.other(avoided)
        return host if other is None else other

    def preconnect(self, host, random):
        """Opens connections ahead, as Envoy's preconnect_policy says, when `host` has got a request (it has the
        connection, or waits): `host` is to have its ratio of connections to requests, and the cluster its own, at the
        hosts that are picked next. At most `_AHEAD` of each kind at a time, and none because another failed.
        Envoy: ConnPoolImplBase::shouldConnect and tryCreateNewConnections, ClusterManagerImpl::maybePreconnect."""
        other: Host
        ahead: cython.Py_ssize_t = 0
        if self.per_upstream_preconnect > 1 and host.usable:
            while ahead < _AHEAD and host._open_ahead(self.per_upstream_preconnect, 0):
                ahead += 1
        if self.predictive_preconnect <= 1:
            return
        ahead = 0
        while ahead < _AHEAD and self.counts.own(REQUESTS) * self.predictive_preconnect > self.counts.own(CONNECTIONS):
            other = self._peek(ahead, random)
            if other is None or not other._open_ahead(self.predictive_preconnect, 1):
                return
            ahead += 1

    def _peek(self, ahead, random):
        """The host that will be picked after `ahead` others, if that can be told: it has been picked then."""
        if self.balancer is None or not self.balancer.foresees:
            return None
        while len(self._drawn) <= ahead:
            self._drawn.append(self.balancer.pick(random, 0, 0))
        return self._drawn[ahead]
