"""Keeps the addresses of STRICT_DNS clusters fresh.

One task a cluster resolves its names, tells what it found when that changed, and sleeps. All addresses become
endpoints. A name that cannot be resolved keeps its last good addresses, or has none yet; after the first try the
cluster is told about in any case, for a plan waits for it. Names that are IP addresses are not looked up.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping

from tage.sidecar import plan
from tage.sidecar.translate.draft import Dns, DnsName

LOOKUP_TIMEOUT = 5.0
"""Seconds for one name."""

logger = logging.getLogger(__name__)

Found = Callable[[str, list[plan.Endpoint]], None]
"""Is told a cluster and its endpoints, on the event loop."""


class Resolver:
    def __init__(self, found: Found) -> None:
        """Call it on the running loop."""
        self._found = found
        self._tasks: dict[str, tuple[Dns, asyncio.Task[None]]] = {}
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Gets the exception of a task that ended with one."""

    def set(self, clusters: Mapping[str, Dns]) -> None:
        """What is to be kept fresh from now on. Cheap when nothing changed."""
        for name in [name for name, (dns, _) in self._tasks.items() if clusters.get(name) != dns]:
            self._tasks.pop(name)[1].cancel()
        for name, dns in clusters.items():
            if name not in self._tasks:
                task = asyncio.create_task(self._keep(name, dns), name=f"dns {name}")
                task.add_done_callback(self._ended)
                self._tasks[name] = dns, task

    def close(self) -> None:
        self.set({})
        self.failed.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self.failed.done():
            self.failed.set_exception(error)

    async def _keep(self, cluster: str, dns: Dns) -> None:
        known: dict[DnsName, list[str]] = {}
        told: list[plan.Endpoint] | None = None
        while True:
            await asyncio.gather(*(self._look_up(name, dns, known) for name in dns.names))
            endpoints = [
                plan.Endpoint(address, name.port, name.weight, name.healthy)
                for name in dns.names
                for address in known.get(name, ())
            ]
            if endpoints != told:
                told = endpoints
                self._found(cluster, endpoints)
            if all(_literal(name.host) for name in dns.names):
                return
            await asyncio.sleep(dns.refresh / 1000)

    async def _look_up(self, name: DnsName, dns: Dns, known: dict[DnsName, list[str]]) -> None:
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT):
                addresses = await look_up(name.host, dns.family)
        except (OSError, UnicodeError) as error:  # TimeoutError is an OSError; UnicodeError: a label that is too long
            reason = (
                "no answer in time" if isinstance(error, TimeoutError) else getattr(error, "strerror", None) or error
            )
            logger.log(
                logging.WARNING if name not in known else logging.DEBUG,
                "DNS: %s: %s; %s",
                name.host,
                reason,
                "its last addresses stay" if known.get(name) else "it has no address",
            )
            known.setdefault(name, [])
            return
        known[name] = addresses


async def look_up(host: str, family: str) -> list[str]:
    """The addresses by Cluster.dns_lookup_family, sorted: a change of order is no change. Raises `OSError`."""
    v4, v6 = socket.AF_INET, socket.AF_INET6
    attempts = {
        "auto": [[v6], [v4]],
        "v4_preferred": [[v4], [v6]],
        "v4_only": [[v4]],
        "v6_only": [[v6]],
        "all": [[v4, v6]],
    }[family]
    if _literal(host):
        return [host]
    failure: OSError | None = None
    for families in attempts:
        found: set[str] = set()
        for each in families:
            try:
                entries = await asyncio.get_running_loop().getaddrinfo(host, None, family=each, type=socket.SOCK_STREAM)
            except socket.gaierror as error:
                failure = error
                continue
            found.update(str(entry[4][0]) for entry in entries)
        if found:
            return sorted(found)
    raise failure or OSError(f"{host} has no address")


def _literal(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False
