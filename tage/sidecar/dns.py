"""Keeps the addresses of DNS clusters (STRICT_DNS, LOGICAL_DNS) fresh.

A *watch* is one name with one policy. It asks, notes the answer, tells the clusters that have the name, sleeps.
Clusters with the same name and policy share a watch; each name of a cluster has a refresh of its own, as in Envoy. A
cluster is told when all of its names have been tried once, for a plan waits for it, and then whenever its endpoints
changed.

What an answer does is what Envoy does (source/extensions/clusters/dns, .../dns_resolver/cares):

- Addresses take the place of those before. Of two endpoints with the same address and port the first counts.
- "There is no such name" (NXDOMAIN) and "it has no address" (an empty answer) are answers as well: the addresses go.
  Not so with LOGICAL_DNS, where an empty answer is a failure.
- Anything else (SERVFAIL, REFUSED, no answer in time, no server) is a failure: the last good addresses stay, also those
  that a former agent found.
- `auto` asks for IPv6 addresses, and for IPv4 where there are none; `v4_preferred` the other way round; `all` for both.
  "None" is believed only when no question failed. Unlike in Envoy, with `all` the addresses of a family stay while only
  questions for it fail.
- The next question comes after dns_refresh_rate, with respect_dns_ttl after the smallest TTL of the answer (unless that
  is 0: a TTL has no other lower limit), plus a random part of dns_jitter. After a failure with dns_failure_refresh_rate
  it comes after a random part of base_interval, doubled each time up to max_interval, but not before `MIN_DELAY`.

Names that are IP addresses are not looked up.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

import msgspec

from tage.sidecar import plan
from tage.sidecar.cares import Answer, Cares, Family, LookupFailed
from tage.sidecar.translate.draft import Dns, DnsPolicy, DnsServers

LOOKUP_TIMEOUT = 5.0
"""Seconds for one question; a name takes two at most."""
MIN_DELAY = 100
"""ms between two lookups of a name: a random delay may come out as nothing."""
MAX_TTL = 7 * 86_400
"""Seconds; longer ones are not believed (RFC 8767 section 4)."""

logger = logging.getLogger(__name__)

Found = Callable[[str, list[plan.Endpoint]], None]
"""Is told a cluster and its endpoints, on the event loop."""
Random = Callable[[], float]
"""From 0 up to 1, 1 excluded."""


class Asks(Protocol):
    """`cares.Cares`, or what a test has in its place."""

    async def ask(self, host: str, family: Family) -> Answer:
        """Raises `LookupFailed`."""

    def close(self) -> None: ...


class Refresh:
    """When a name is asked again, in ms. Pure but for `draw`."""

    def __init__(self, policy: DnsPolicy, draw: Random = random.random) -> None:
        self._policy = policy
        self._draw = draw
        self._backoff = policy.failure_base

    def after_answer(self, ttl: int) -> float:
        """`ttl` in seconds, 0: none."""
        policy = self._policy
        self._backoff = policy.failure_base
        delay = float(min(ttl, MAX_TTL) * 1000 if policy.respect_ttl and ttl else policy.refresh)
        return delay + self._draw() * policy.jitter

    def after_failure(self) -> float:
        policy = self._policy
        if not self._backoff:
            return policy.refresh + self._draw() * policy.jitter
        delay = self._draw() * self._backoff
        self._backoff = min(2 * self._backoff, policy.failure_max)
        return max(delay, MIN_DELAY)


class Known(msgspec.Struct):
    """What is known of a name. Times in seconds since 1970, 0: never; `ttl` in seconds, 0: none."""

    addresses: dict[Family, tuple[str, ...]] = {}
    ttl: int = 0
    tried_at: float = 0.0
    resolved_at: float = 0.0
    error: str = ""
    """Of the last try; it may have found addresses all the same."""


_ATTEMPTS: dict[str, tuple[tuple[Family, ...], ...]] = {
    "auto": (("v6",), ("v4",)),
    "v4_preferred": (("v4",), ("v6",)),
    "v4_only": (("v4",),),
    "v6_only": (("v6",),),
    "all": (("v4", "v6"),),
}
"""Asked in turn until there is an address; what stands together is asked at the same time."""


class Watch:
    """One name with one policy, and the clusters that have it."""

    def __init__(self, host: str, policy: DnsPolicy, asks: Asks, known: Known) -> None:
        self.host = host
        self.policy = policy
        self.known = known
        self.clusters: set[str] = set()
        self.tried = False
        self.task: asyncio.Task[None] | None = None
        self._asks = asks

    async def look_up(self, now: Callable[[], float] = time.time) -> bool:
        """Asks once; whether there was an answer."""
        found: dict[Family, Answer] = {}
        errors: dict[Family, str] = {}
        for families in _ATTEMPTS[self.policy.family]:
            outcomes = await asyncio.gather(*(self._ask(family) for family in families))
            for family, outcome in zip(families, outcomes, strict=True):
                if isinstance(outcome, str):
                    errors[family] = outcome
                elif outcome.addresses:
                    found[family] = outcome
            if found:
                break
        known = self.known
        self.tried, known.tried_at = True, now()
        known.error = "; ".join(dict.fromkeys(errors.values()))
        if not found and self.policy.logical and not errors:
            known.error = "it has no address"
        if not found and known.error:
            return False
        kept = {family: known.addresses.get(family, ()) for family in errors if self.policy.family == "all"}
        known.addresses = {**kept, **{family: answer.addresses for family, answer in found.items()}}
        known.ttl = min((answer.ttl for answer in found.values()), default=0)
        known.resolved_at = known.tried_at
        return True

    async def _ask(self, family: Family) -> Answer | str:
        """An answer or why there is none."""
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT):
                return await self._asks.ask(self.host, family)
        except TimeoutError:
            return f"no answer within {LOOKUP_TIMEOUT:g} s"
        except LookupFailed as error:
            return str(error)

    def addresses(self) -> list[str]:
        """Those that become endpoints. Sorted, for another order is no change; but the first of an answer stays the
        first where it is the only one that counts."""
        known = self.known.addresses
        found = [address for family in ("v4", "v6") for address in known.get(family, ())]  # type: ignore[call-overload]
        return found[:1] if self.policy.logical else sorted(found)

    def status(self) -> dict[str, Any]:
        """For the admin API."""
        known = self.known
        return {
            "name": self.host,
            "addresses": self.addresses(),
            "ttl": known.ttl,
            "last_resolved": _utc(known.resolved_at),
            "last_tried": _utc(known.tried_at),
            "error": known.error,
        }


class Resolver:
    """`make` gives what asks some servers; `sleep` takes seconds."""

    def __init__(
        self,
        found: Found,
        *,
        make: Callable[[DnsServers], Asks] = Cares,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Random = random.random,
    ) -> None:
        """Call it on the running loop."""
        self._found = found
        self._make = make
        self._sleep = sleep
        self._draw = draw
        self._clusters: dict[str, Dns] = {}
        self._told: dict[str, list[plan.Endpoint]] = {}
        self._former: dict[str, list[plan.Endpoint]] = {}
        self._watches: dict[tuple[str, DnsPolicy], Watch] = {}
        self._asks: dict[DnsServers, Asks] = {}
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Gets the exception of a task that ended with one."""

    def remember(self, sections: Iterable[bytes]) -> None:
        """The endpoints that a former agent put in force: what names start with here, so that its death while nobody
        answers costs no address. Call it before `set`."""
        for blob in sections:
            section = plan.decode("endpoints", blob)
            assert isinstance(section, plan.Endpoints)
            resolved = [endpoint for endpoint in section.endpoints if endpoint.hostname]
            if resolved:
                self._former[section.name] = resolved

    def set(self, clusters: Mapping[str, Dns]) -> None:
        """What is to be kept fresh from now on. Cheap when nothing changed."""
        if clusters == self._clusters:
            return
        changed = [name for name, dns in clusters.items() if self._clusters.get(name) != dns]
        gone = [name for name, dns in self._clusters.items() if clusters.get(name) != dns]
        former = {_question(watch.host, watch.policy): watch.known for watch in self._watches.values()}
        leaving = {id(watch): watch for name in gone for watch in self._watches_of(name)}
        for name in gone:
            for watch in self._watches_of(name):
                watch.clusters.discard(name)
            self._told.pop(name, None)
        self._clusters = dict(clusters)
        for name in changed:
            self._join(name, clusters[name], former)
            # Later: whoever calls is in the middle of its own change.
            asyncio.get_running_loop().call_soon(self._tell_now, name)
        for watch in leaving.values():
            if not watch.clusters:
                self._forget(watch)
        used = {watch.policy.servers for watch in self._watches.values()}
        for servers in [servers for servers in self._asks if servers not in used]:
            self._asks.pop(servers).close()

    def status(self) -> dict[str, list[dict[str, Any]]]:
        """What is known of each cluster's names, for the admin API."""
        return {name: [watch.status() for watch in self._watches_of(name)] for name in self._clusters}

    def close(self) -> None:
        self.set({})
        self.failed.cancel()

    # -- watches -------------------------------------------------------------------------------------------------------

    def _watches_of(self, cluster: str) -> list[Watch]:
        """In the order of its names, each once."""
        dns = self._clusters[cluster]
        hosts = dict.fromkeys(name.address for name in dns.names)
        return [self._watches[host, dns.policy] for host in hosts if (host, dns.policy) in self._watches]

    def _join(self, cluster: str, dns: Dns, former: Mapping[Any, Known]) -> None:
        """Gives the cluster its watches. A new one starts with what another policy's watch knows by the same question,
        so that a change of policy loses no addresses, or with what a former agent knew."""
        policy = dns.policy
        for host in dict.fromkeys(name.address for name in dns.names if not _literal(name.address)):
            watch = self._watches.get((host, policy))
            if watch is None:
                if policy.servers not in self._asks:
                    self._asks[policy.servers] = self._make(policy.servers)
                found = former.get(_question(host, policy))
                known = msgspec.structs.replace(found) if found is not None else self._remembered(cluster, dns, host)
                watch = self._watches[host, policy] = Watch(host, policy, self._asks[policy.servers], known)
                watch.task = asyncio.create_task(self._keep(watch), name=f"dns {host}")
                watch.task.add_done_callback(self._ended)
            elif not watch.tried and not watch.addresses():
                watch.known = self._remembered(cluster, dns, host)
            watch.clusters.add(cluster)

    def _remembered(self, cluster: str, dns: Dns, host: str) -> Known:
        wanted = {(name.hostname or name.address, name.port) for name in dns.names if name.address == host}
        former = self._former.get(cluster, ())
        found = [endpoint.address for endpoint in former if (endpoint.hostname, endpoint.port) in wanted]
        known: dict[Family, list[str]] = {"v4": [], "v6": []}
        for address in dict.fromkeys(found):
            known["v6" if ":" in address else "v4"].append(address)
        return Known({family: tuple(addresses) for family, addresses in known.items()})

    def _forget(self, watch: Watch) -> None:
        del self._watches[watch.host, watch.policy]
        if watch.task is not None:
            watch.task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self.failed.done():
            self.failed.set_exception(error)

    async def _keep(self, watch: Watch) -> None:
        refresh = Refresh(watch.policy, self._draw)
        while True:
            before = watch.known.error
            answered = await watch.look_up()
            if watch.known.error:
                _log(watch, again=before == watch.known.error)
            for cluster in sorted(watch.clusters):
                self._tell(cluster)
            delay = refresh.after_answer(watch.known.ttl) if answered else refresh.after_failure()
            await self._sleep(delay / 1000)

    # -- clusters ------------------------------------------------------------------------------------------------------

    def _tell_now(self, cluster: str) -> None:
        """As `_tell`, outside any task."""
        try:
            self._tell(cluster)
        except Exception as error:
            if self.failed.done():
                raise
            self.failed.set_exception(error)

    def _tell(self, cluster: str) -> None:
        """Its endpoints, if all of its names have been tried and they are not those that it was told."""
        dns = self._clusters.get(cluster)
        if dns is None or not all(watch.tried for watch in self._watches_of(cluster)):
            return
        endpoints = list(self._endpoints(dns))
        if self._told.get(cluster) != endpoints:
            self._told[cluster] = endpoints
            self._found(cluster, endpoints)

    def _endpoints(self, dns: Dns) -> Iterable[plan.Endpoint]:
        seen: set[tuple[str, int]] = set()
        for name in dns.names:
            for address in self._addresses(name, dns.policy):
                if (address, name.port) not in seen:
                    seen.add((address, name.port))
                    hostname = name.hostname or name.address
                    yield msgspec.structs.replace(name, address=address, hostname=hostname)

    def _addresses(self, name: plan.Endpoint, policy: DnsPolicy) -> list[str]:
        return [name.address] if _literal(name.address) else self._watches[name.address, policy].addresses()


def _question(host: str, policy: DnsPolicy) -> tuple[str, str, DnsServers]:
    return host, policy.family, policy.servers


def _log(watch: Watch, *, again: bool) -> None:
    """A failure that goes on is told once."""
    logger.log(
        logging.DEBUG if again else logging.WARNING,
        "DNS: %s: %s; %s",
        watch.host,
        watch.known.error,
        "its last addresses stay" if watch.addresses() else "it has no address",
    )


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)) if seconds else ""


def _literal(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False
