"""c-ares behind asyncio: one question, one family, its answer with the TTL.

c-ares does the work on a thread of its own and calls back; why it is c-ares: docs/decisions/0002-dns-resolver.md. It
reads /etc/resolv.conf (servers, search domains, options) and /etc/hosts, asks one server after the other, and again
over TCP what came back truncated.

A channel lives as long as something is asked on it. The next question makes a new one (0.2 ms), which reads those
files anew, has no answer in c-ares' cache (which the binding cannot turn off), and holds neither thread nor socket
while nothing is asked. The same question asked twice at the same time goes out once.

c-ares cannot take a question back: one that nobody waits for any more goes on to its end, which its timeouts bound.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from tage.sidecar.translate.draft import DnsServers

if TYPE_CHECKING:
    import pycares

TRY_TIMEOUT = 2.0
"""Seconds for a server's answer to the first try; c-ares' own default."""
TRIES = 2
"""Of each server, the second with twice the time."""
MAX_ADDRESSES = 4096
"""Of one answer: more than fit into a DNS message (64 KiB), but not into /etc/hosts."""

_NO_SORT = 1 << 7
"""ARES_AI_NOSORT, from ares.h: the order is the server's, and no socket is opened to find a better one."""

Family = Literal["v4", "v6"]
_FAMILIES = {"v4": socket.AF_INET, "v6": socket.AF_INET6}


class Answer(msgspec.Struct, frozen=True):
    """`addresses` empty: there is no such name, or it has none of the family. `ttl` in seconds is the smallest on the
    way, aliases included; 0: none, as in /etc/hosts."""

    addresses: tuple[str, ...] = ()
    ttl: int = 0


class LookupFailed(Exception):
    """No answer, or none that says anything about the name: the message says why."""


class Cares:
    """The servers that some names are asked from."""

    def __init__(self, servers: DnsServers) -> None:
        self._servers = servers
        self._channel: pycares.Channel | None = None
        self._waiting: dict[tuple[str, Family], list[asyncio.Future[Answer]]] = {}
        self._closed = False

    async def ask(self, host: str, family: Family) -> Answer:
        """Raises `LookupFailed`. The caller limits the time."""
        key = (host, family)
        future = asyncio.get_running_loop().create_future()
        waiting = self._waiting.get(key)
        if waiting is None:
            self._waiting[key] = [future]
            self._start(host, family)
        else:
            waiting.append(future)
        return await future

    def close(self) -> None:
        self._closed = True
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _start(self, host: str, family: Family) -> None:
        loop = asyncio.get_running_loop()

        def done(result: pycares.AddrInfoResult | None, error: int | None) -> None:
            # On c-ares' thread; or here and now, for what needs no server.
            if not self._closed:
                loop.call_soon_threadsafe(self._finish, (host, family), result, error)

        try:
            if self._channel is None:
                self._channel = _open(self._servers)
            self._channel.getaddrinfo(host, None, family=_FAMILIES[family], flags=_NO_SORT, callback=done)
        except (UnicodeError, RuntimeError, ValueError) as error:  # of the name, which is not ASCII
            self._fail((host, family), str(error))
        except _ares_error() as error:
            self._fail((host, family), f"c-ares: {error}")

    def _finish(self, key: tuple[str, Family], result: pycares.AddrInfoResult | None, error: int | None) -> None:
        import pycares

        if result is not None:
            self._settle(key, _answer(result))
        elif error in (pycares.errno.ARES_ENODATA, pycares.errno.ARES_ENOTFOUND):
            self._settle(key, Answer())
        else:
            self._fail(key, str(pycares.errno.strerror(error or 0)))

    def _settle(self, key: tuple[str, Family], answer: Answer) -> None:
        for future in self._taken(key):
            future.set_result(answer)

    def _fail(self, key: tuple[str, Family], reason: str) -> None:
        for future in self._taken(key):
            future.set_exception(LookupFailed(reason))

    def _taken(self, key: tuple[str, Family]) -> list[asyncio.Future[Answer]]:
        """Those that still wait for the answer; with the last one the channel goes."""
        found = [future for future in self._waiting.pop(key) if not future.done()]
        if not self._waiting and self._channel is not None:
            self._channel.close()
            self._channel = None
        return found


def _ares_error() -> type[Exception]:
    import pycares

    return pycares.AresError


def _open(servers: DnsServers) -> pycares.Channel:
    """Raises `pycares.AresError`."""
    import pycares  # here: a megabyte that agents without DNS clusters do not need

    flags = pycares.ARES_FLAG_EDNS  # c-ares' default, which giving flags replaces
    flags |= pycares.ARES_FLAG_USEVC if servers.tcp else 0
    flags |= pycares.ARES_FLAG_NOSEARCH if servers.no_search else 0
    options: dict[str, Any] = {"timeout": TRY_TIMEOUT, "tries": TRIES}
    if servers.fallback:
        try:
            return pycares.Channel(flags=flags | pycares.ARES_FLAG_NO_DFLT_SVR, **options)
        except pycares.AresError:  # the system names no server
            pass
    return pycares.Channel(flags=flags, servers=servers.addresses or None, **options)


def _answer(result: pycares.AddrInfoResult) -> Answer:
    addresses: dict[str, None] = {}
    for node in result.nodes[:MAX_ADDRESSES]:
        host = node.addr[0]
        addresses[host.decode() if isinstance(host, bytes) else host] = None
    ttls = [node.ttl for node in result.nodes] + [cname.ttl for cname in result.cnames]
    return Answer(tuple(addresses), max(0, min(ttls, default=0)))
