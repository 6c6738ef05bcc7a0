"""What all balancers have in common."""


class Balancer:
    """Picks from `hosts`. `foresees`: what it will pick can be told beforehand, by picking it (Envoy's
    peekAnotherHost)."""

    def __init__(self, hosts: list) -> None:
        self.hosts = hosts
        self.foresees = False

    def pick(self, random, key, attempt):
        """A host, or None. `key` is the request's hash, 0: it has none. `attempt` counts the picks for one try of a
        request, from 0."""
        raise NotImplementedError

    def other(self, tried):
        """Any host that `pick` may give and that is not in `tried`, or None."""
        for host in self.hosts:
            if host not in tried:
                return host
        return None

    def follow(self, former):
        """Takes the place of a balancer of the same kind: goes on where that stopped, where that means something."""


def all_foresee(parts: list) -> bool:
    part: Balancer
    for part in parts:
        if part is None or not part.foresees:
            return False
    return True
