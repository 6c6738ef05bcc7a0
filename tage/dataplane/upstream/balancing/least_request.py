"""The host with the fewest requests under way, of this worker's. Source: Cluster.LeastRequestLbConfig."""

import cython

from tage.dataplane import native
from tage.dataplane.upstream.balancing.balancer import Balancer
from tage.dataplane.upstream.balancing.edf import Edf
from tage.dataplane.upstream.host import Host


class LeastRequest(Balancer):
    """Of hosts with the same weight: the least busy of `choices` that are drawn, the first of equals."""

    def __init__(self, hosts: list, choices: cython.Py_ssize_t) -> None:
        Balancer.__init__(self, hosts)
        self._choices = choices

    def pick(self, random, key, attempt):
        n: cython.Py_ssize_t = len(self.hosts)
        best: Host
        other: Host
        left: cython.Py_ssize_t = self._choices - 1
        if n == 0:
            return None
        best = self.hosts[random.below(n)]
        while left > 0:
            other = self.hosts[random.below(n)]
            if other.active < best.active:
                best = other
            left -= 1
        return best


class WeightedLeastRequest(Balancer):
    """Turns by weight, and the weight is the host's, divided by (requests under way + 1) ** `bias`, whenever it has had
    its turn. At least one host."""

    def __init__(self, hosts: list, weights, bias: cython.double, slow_start=None) -> None:
        Balancer.__init__(self, hosts)
        self.foresees = True
        self._turns = Edf(weights)
        self._bias = bias
        self._slow_start = slow_start

    def pick(self, random, key, attempt):
        at: cython.Py_ssize_t = self._turns.first()
        host: Host = self.hosts[at]
        weight: cython.double = self._turns.weights[at]
        if self._bias == 1:
            weight /= host.active + 1
        elif self._bias != 0:
            weight /= native.power(host.active + 1, self._bias)
        if self._slow_start is not None:
            weight *= self._slow_start.factor(host)
        self._turns.advance(weight)
        return host

    def follow(self, former):
        if isinstance(former, WeightedLeastRequest):
            like: WeightedLeastRequest = former
            self._turns.seek(like._turns.now, like._turns.last)
