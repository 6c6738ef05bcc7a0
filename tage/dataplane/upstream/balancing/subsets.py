"""Subsets of a cluster's hosts by their metadata. Source: Cluster.LbSubsetConfig.

A selector names keys; hosts that have the same values for all of its keys are a subset. A request whose metadata has
exactly the keys of a selector goes to the subset with its values. Where there is no such subset, the selector says what
then, or the cluster does.
"""

import cython

from tage.dataplane.upstream.balancing.balancer import Balancer
from tage.dataplane.upstream.host import Host

_DEPTH = cython.declare(cython.int, 16)  # of selectors that lead to others with fewer keys


class Subsets:
    """`by_metadata` maps ((name, value), ...), sorted, to balancers. `selectors` map names, sorted, to what they say is
    to be done: a balancer, None (no host), or fewer names to look for. `fallback` is a balancer, or None: no host."""

    def __init__(self, by_metadata: dict, selectors: dict, fallback: Balancer = None) -> None:
        self.by_metadata = by_metadata
        self.selectors = selectors
        self.fallback = fallback

    def select(self, metadata):
        """The balancer for a request with this metadata (None: it has none), or None."""
        _turn: cython.int
        for _turn in range(_DEPTH):
            if not metadata:
                break
            if metadata in self.by_metadata:
                return self.by_metadata[metadata]
            names: tuple = tuple([name for name, value in metadata])
            if names not in self.selectors:
                break
            then = self.selectors[names]
            if then is None or isinstance(then, Balancer):
                return then
            metadata = tuple([pair for pair in metadata if pair[0] in then])
        return self.fallback


class Else(Balancer):
    """Another balancer where one has no host (panic_mode_any)."""

    def __init__(self, first: Balancer, second: Balancer) -> None:
        Balancer.__init__(self, second.hosts)
        self._first = first
        self._second = second

    def pick(self, random, key, attempt):
        host: Host = self._first.pick(random, key, attempt)
        return self._second.pick(random, key, attempt) if host is None else host
