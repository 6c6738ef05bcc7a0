"""Hosts and settings -> balancers. Not compiled: it runs when endpoints or their health change.

In steps, so that a worker can carry traffic between any two; nothing that is in use is touched. Of a change nobody
needs to tell what it was: everything is built anew from what holds now.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.upstream.balancing.balancer import Balancer
from tage.dataplane.upstream.balancing.least_request import LeastRequest, WeightedLeastRequest
from tage.dataplane.upstream.balancing.localities import Localities
from tage.dataplane.upstream.balancing.priorities import Priorities
from tage.dataplane.upstream.balancing.random_host import RandomHost, WeightedRandomHost
from tage.dataplane.upstream.balancing.round_robin import RoundRobin, WeightedRoundRobin
from tage.dataplane.upstream.balancing.shares import Level, Shares
from tage.dataplane.upstream.balancing.slow_start import SlowStart
from tage.dataplane.upstream.host import Health

STEP = 128
"""Hosts that are looked at between two turns of the loop; a few hundred microseconds."""

_FAILED = Health.EDS_FAILED | Health.CHECK_FAILED | Health.EJECTED | Health.UNCHECKED

Steps = Generator[None, None, None]
Building = Generator[None, None, Balancer | None]


class Member(NamedTuple):
    """A host with what the configuration says of it, or is going to say; `health` as `Host.health` will be."""

    host: Any
    endpoint: Any
    health: int

    @property
    def usable(self) -> bool:
        return not self.health & _FAILED


class Balancing:
    """What was built: `root` balances over all hosts, unless there are `subsets`. `parts` are what can follow others of
    the same key."""

    def __init__(self) -> None:
        self.root: Balancer | None = None
        self.subsets: Any = None
        """`subsets.Subsets`, or None."""
        self.parts: dict[Any, Balancer] = {}
        self.healthy = 0

    def follow(self, former: Balancing) -> None:
        """Goes on where that stopped."""
        for key, part in self.parts.items():
            like = former.parts.get(key)
            if like is not None:
                part.follow(like)


class Builder:
    """Builds one `Balancing`."""

    def __init__(self, assignment: Any, settings: Any, wheel: TimerWheel) -> None:
        self._assignment = assignment
        self._settings = settings
        self._wheel = wheel
        self._hashes = settings.policy in ("ring_hash", "maglev")
        self._weighs = settings.locality_weighted and len(assignment.localities) > 1
        """Whether localities have weights."""
        self.balancing = Balancing()

    def build(self, members: Sequence[Member]) -> Steps:
        """In steps; the result is `balancing` then."""
        for at in range(0, len(members), STEP):
            self.balancing.healthy += sum(member.usable for member in members[at : at + STEP])
            yield
        if self._settings.subsets is None:
            self.balancing.root = yield from self._over(members, ())
        else:
            yield from self._subsets(members, self._settings.subsets)

    # -- subsets -------------------------------------------------------------------------------------------------------

    def _subsets(self, members: Sequence[Member], wanted: Any) -> Steps:
        from tage.dataplane.upstream.balancing.subsets import Else, Subsets  # here: few clusters have any

        self._weighs = self._weighs and wanted.locality_weight_aware
        groups: dict[tuple[tuple[str, str], ...], list[Member]] = {}
        for selector in wanted.selectors:
            for at, member in enumerate(members):
                metadata = member.endpoint.metadata
                if all(name in metadata for name in selector.keys):
                    pairs = tuple((name, metadata[name]) for name in sorted(selector.keys))
                    groups.setdefault(pairs, []).append(member)
                if at % STEP == STEP - 1:
                    yield
        by_metadata = {}
        for pairs, group in groups.items():
            by_metadata[pairs] = yield from self._over(group, (pairs,))
        # What requests get that no subset is for, each built once.
        asked = {wanted.fallback, *(selector.fallback for selector in wanted.selectors)}
        fallbacks: dict[str, Balancer | None] = {"none": None}
        if "any" in asked or wanted.panic_any:
            fallbacks["any"] = yield from self._over(members, ("any",))
        if "default" in asked:
            chosen = [
                member
                for member in members
                if all(member.endpoint.metadata.get(name) == value for name, value in wanted.default.items())
            ]
            fallbacks["default"] = yield from self._over(chosen, ("default",))
        selectors: dict[tuple[str, ...], Any] = {}
        for selector in wanted.selectors:
            if selector.fallback == "keys":
                selectors.setdefault(tuple(sorted(selector.keys)), frozenset(selector.fallback_keys))
            elif selector.fallback:
                selectors.setdefault(tuple(sorted(selector.keys)), fallbacks[selector.fallback])
        fallback = fallbacks[wanted.fallback]
        any_host = fallbacks.get("any")
        if wanted.panic_any and any_host is not None and wanted.fallback == "default":
            fallback = any_host if fallback is None else Else(fallback, any_host)
        self.balancing.subsets = Subsets(by_metadata, selectors, fallback)  # type: ignore[arg-type]

    # -- priorities ----------------------------------------------------------------------------------------------------

    def _over(self, members: Sequence[Member], key: tuple[Any, ...]) -> Building:
        """A balancer over these, None where they are none. `key` tells which they are."""
        settings = self._settings
        levels: list[list[Member]] = [[]]
        for at, member in enumerate(members):
            while member.endpoint.priority >= len(levels):
                levels.append([])
            levels[member.endpoint.priority].append(member)
            if at % STEP == STEP - 1:
                yield
        healthy, degraded = [], []
        for level in levels:
            usable = [member for member in level if member.usable]
            yield
            healthy.append([member for member in usable if not member.health & Health.DEGRADED])
            degraded.append([member for member in usable if member.health & Health.DEGRADED])
            yield
        counts = [
            Level(len(all_), len(fit), len(rest)) for all_, fit, rest in zip(levels, healthy, degraded, strict=True)
        ]
        shares = Shares(counts, self._assignment.overprovisioning, settings.panic_threshold)
        parts: list[Balancer | None] = []
        loads: list[int] = []
        for kind, wanted, chosen in (("healthy", shares.healthy, healthy), ("degraded", shares.degraded, degraded)):
            for priority, load in enumerate(wanted):
                if not load:
                    continue
                loads.append(load)
                if shares.panics[priority]:
                    fails = settings.fail_on_panic and not self._hashes
                    level = [] if fails else levels[priority]
                    parts.append((yield from self._level(level, level, (*key, priority, "all"), panics=True)))
                else:
                    # Degraded hosts are in no ring or table, as in Envoy.
                    mine = (healthy if self._hashes else chosen)[priority]
                    parts.append((yield from self._level(mine, levels[priority], (*key, priority, kind))))
        if len(parts) == 1:
            return parts[0]
        hosts = [host for part in parts if part is not None for host in part.hosts]
        return Priorities(hosts, parts, loads, self._hashes)

    # -- localities ----------------------------------------------------------------------------------------------------

    def _level(
        self, members: list[Member], level: list[Member], key: tuple[Any, ...], *, panics: bool = False
    ) -> Building:
        """Those of a priority that get requests; `level` has the others too."""
        if self._hashes:
            return (yield from self._hashing(members))
        if not self._weighs or panics:
            return (yield from self._leaf(members, key))
        there, of = self._counted(members), self._counted(level)
        yield
        parts: list[Balancer] = []
        weights: list[float] = []
        for index in sorted(of):
            available = there.get(index, 0) / of[index]
            share = min(1.0, self._assignment.overprovisioning / 100 * available)
            weight = self._assignment.localities[index].weight * share
            if weight > 0:
                mine = [member for member in members if member.endpoint.locality == index]
                part = yield from self._leaf(mine, (*key, index))
                if part is not None:
                    parts.append(part)
                    weights.append(weight)
        if not parts:
            return (yield from self._leaf(members, key))
        result = Localities([host for part in parts for host in part.hosts], parts, weights)
        self.balancing.parts[(*key, "localities")] = result
        return result

    @staticmethod
    def _counted(members: list[Member]) -> dict[int, int]:
        counts: dict[int, int] = {}
        for member in members:
            counts[member.endpoint.locality] = counts.get(member.endpoint.locality, 0) + 1
        return counts

    # -- hosts ---------------------------------------------------------------------------------------------------------

    def _leaf(self, members: list[Member], key: tuple[Any, ...]) -> Building:
        """Balances over these as they are; None where they are none."""
        members = [member for member in members if member.endpoint.weight > 0]
        if not members:
            return None
        hosts = [member.host for member in members]
        weights = [member.endpoint.weight for member in members]
        yield
        leaf = self._of_policy(hosts, weights)
        self.balancing.parts[key] = leaf
        yield
        return leaf

    def _of_policy(self, hosts: list[Any], weights: list[int]) -> Balancer:
        settings = self._settings
        equal = min(weights) == max(weights)
        if settings.policy == "random":
            return RandomHost(hosts) if equal else WeightedRandomHost(hosts, weights)
        slow_start = self._slow_start(hosts)
        if settings.policy == "least_request":
            if equal and slow_start is None:
                return LeastRequest(hosts, settings.choice_count)
            return WeightedLeastRequest(hosts, weights, settings.active_request_bias, slow_start)
        if settings.policy != "round_robin":
            raise ValueError(f"there is no load balancing policy {settings.policy!r}")
        if equal and slow_start is None:
            return RoundRobin(hosts)
        return WeightedRoundRobin(hosts, weights, slow_start)

    def _hashing(self, members: list[Member]) -> Building:
        """A ring or a table. Its localities' weights count, though not how much of them is available, as in Envoy."""
        from tage.dataplane.upstream.balancing import hashes  # here: few clusters hash

        weights = self._normalized(members)
        yield
        members = [member for member, weight in zip(members, weights, strict=True) if weight > 0]
        weights = [weight for weight in weights if weight > 0]
        if not members:
            return None
        return (yield from hashes.build(members, weights, self._settings))

    def _normalized(self, members: list[Member]) -> list[float]:
        """Weights that add up to 1."""
        if not self._weighs:
            total = sum(member.endpoint.weight for member in members)
            return [member.endpoint.weight / total for member in members] if total else [0.0] * len(members)
        sums: dict[int, int] = {}
        for member in members:
            sums[member.endpoint.locality] = sums.get(member.endpoint.locality, 0) + member.endpoint.weight
        localities = self._assignment.localities
        all_weights = sum(localities[index].weight for index in sums)
        if not all_weights:
            return [0.0] * len(members)
        return [
            member.endpoint.weight
            * (localities[member.endpoint.locality].weight / all_weights)
            / sums[member.endpoint.locality]
            for member in members
        ]

    def _slow_start(self, hosts: list[Any]) -> SlowStart | None:
        """None where no host is starting."""
        wanted = self._settings.slow_start
        if wanted is None or len(hosts) < 2:
            return None
        result = SlowStart(self._wheel, wanted.window, wanted.aggression, wanted.minimum)
        for host in hosts:
            result.watch(host)
        return result if result.active() else None
