"""The same host for the same key, as long as the hosts are the same, and mostly when they are not: what ring hash,
maglev and bounded loads have in common."""

from tage.dataplane.upstream.balancing.balancer import Balancer


class Hashing(Balancer):
    """At least one host. Without a key a host is drawn."""

    def place(self, key, attempt):
        """The index of the host for this key. Each `attempt` gives a place of its own, which may be the same host's."""
        raise NotImplementedError

    def pick(self, random, key, attempt):
        return self.hosts[self.place(key or random.next(), attempt)]
