"""Hosts in turn."""

import cython

from tage.dataplane.upstream.balancing.balancer import Balancer
from tage.dataplane.upstream.balancing.edf import Edf
from tage.dataplane.upstream.host import Host


class RoundRobin(Balancer):
    """Of hosts with the same weight."""

    def __init__(self, hosts: list) -> None:
        Balancer.__init__(self, hosts)
        self.foresees = True
        self._next = 0

    def pick(self, random, key, attempt):
        if self._next >= len(self.hosts):
            if not self.hosts:
                return None
            self._next = 0
        host: Host = self.hosts[self._next]
        self._next += 1
        return host

    def follow(self, former):
        if isinstance(former, RoundRobin):
            like: RoundRobin = former
            self._next = like._next


class WeightedRoundRobin(Balancer):
    """Each as often as its weight says, evenly spread. `slow_start` (`SlowStart`) may lower the weights of some for a
    while. At least one host."""

    def __init__(self, hosts: list, weights, slow_start=None) -> None:
        Balancer.__init__(self, hosts)
        self.foresees = True
        self._turns = Edf(weights)
        self._slow_start = slow_start

    def pick(self, random, key, attempt):
        at: cython.Py_ssize_t = self._turns.first()
        host: Host = self.hosts[at]
        weight: cython.double = self._turns.weights[at]
        if self._slow_start is not None:
            weight *= self._slow_start.factor(host)
        self._turns.advance(weight)
        return host

    def follow(self, former):
        if isinstance(former, WeightedRoundRobin):
            like: WeightedRoundRobin = former
            self._turns.seek(like._turns.now, like._turns.last)
