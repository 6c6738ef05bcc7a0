"""Requests shared out over localities by their weights, within one priority.

A locality's weight counts in full as long as enough of its hosts are available: times min(1, overprovisioning factor x
available / all) (LocalityLbEndpoints.load_balancing_weight; Envoy: HostSetImpl::effectiveLocalityWeight).
"""

import cython

from tage.dataplane.upstream.balancing.balancer import Balancer, all_foresee
from tage.dataplane.upstream.balancing.edf import Edf


class Localities(Balancer):
    """Turns by weight of `parts`, a balancer for each locality that has weight and hosts. At least one."""

    def __init__(self, hosts: list, parts: list, weights) -> None:
        Balancer.__init__(self, hosts)
        self.foresees = all_foresee(parts)
        self._parts = parts
        self._turns = Edf(weights)

    def pick(self, random, key, attempt):
        at: cython.Py_ssize_t = self._turns.first()
        part: Balancer = self._parts[at]
        self._turns.advance(self._turns.weights[at])
        return part.pick(random, key, attempt)

    def follow(self, former):
        if isinstance(former, Localities):
            like: Localities = former
            self._turns.seek(like._turns.now, like._turns.last)
