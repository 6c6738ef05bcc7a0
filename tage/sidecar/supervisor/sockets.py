"""The listening sockets: for every address one per worker, all bound with SO_REUSEPORT.

The supervisor binds them once and keeps them. A worker gets its own by descriptor, a replacement gets the same again:
connections that were waiting in its backlog are not lost. Sockets belong to addresses, not to listeners' names, so a
listener that is renamed, or two that swap addresses, go on with the sockets that are there.

A worker that does not come back at once would leave its share of the connections waiting. Its sockets are *paused*: the
kernel then gives new connections to the other workers' sockets, and resets those that wait already.

A change is *staged* (new sockets bound beside those in force), then committed (sockets of addresses that no listener
uses any more are closed) or aborted.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable, Mapping

from tage.sidecar.channel import MAX_DESCRIPTORS

BACKLOG = 1024
"""Connections that wait in one socket for its worker. The kernel caps it at net.core.somaxconn."""

Address = tuple[str, int]
"""IP address and port."""


class ListenError(Exception):
    """A listener cannot have its sockets; the message names listener, address and reason."""


class ListenerSockets:
    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._sockets: dict[Address, list[socket.socket]] = {}
        self._in_force: dict[str, Address] = {}
        self._staged: dict[str, Address] | None = None
        self._paused: set[int] = set()
        """Workers."""

    def stage(self, full: bool, upserts: Mapping[str, Address], removed: Iterable[str]) -> list[str]:
        """Binds what the listeners after this change need and do not have.

        Returns the names of the listeners that are new or have another address: those whose sockets a worker that runs
        with the listeners in force has to be given. Raises `ListenError`; nothing is then staged.
        """
        wanted = {} if full else dict(self._in_force)
        for name in removed:
            wanted.pop(name, None)
        wanted.update(upserts)
        _check(wanted)
        self._staged = wanted
        for name, address in wanted.items():
            if address in self._sockets:
                continue
            try:
                self._bind(address)
            except OSError as error:
                self.abort()
                raise ListenError(f"listener {name!r}: cannot listen on {_show(address)}: {_reason(error)}") from error
        return [name for name, address in wanted.items() if self._in_force.get(name) != address]

    def commit(self) -> None:
        if self._staged is not None:
            self._in_force, self._staged = self._staged, None
        self._close_unused()

    def abort(self) -> None:
        self._staged = None
        self._close_unused()

    def names(self) -> list[str]:
        """Of the listeners in force."""
        return list(self._in_force)

    def descriptors(self, worker: int, names: Iterable[str], *, staged: bool) -> list[int]:
        """One for each name, in order; still this object's. `staged` says which of its two addresses is meant."""
        listeners = self._staged if staged and self._staged is not None else self._in_force
        return [self._sockets[listeners[name]][worker].fileno() for name in names]

    def pause(self, worker: int) -> None:
        """Stops listening on this worker's sockets; they stay bound."""
        if worker in self._paused:
            return
        self._paused.add(worker)
        for sockets in self._sockets.values():
            _pause(sockets[worker])

    def resume(self, worker: int) -> None:
        """Listens again if `pause` was called. Raises `OSError`."""
        if worker in self._paused:
            self._paused.remove(worker)
            for sockets in self._sockets.values():
                sockets[worker].listen(BACKLOG)

    def close(self) -> None:
        self._in_force = {}
        self.abort()

    def _bind(self, address: Address) -> None:
        if not any(_overlap(address, held) for held in self._sockets):
            # With SO_REUSEPORT, bind succeeds beside another process of the same user that also sets it, and each gets
            # a part of the connections. Without it, it tells us.
            _bound(address, shared=False).close()
        bound: list[socket.socket] = []
        try:
            for worker in range(self._workers):
                bound.append(_bound(address, shared=True))
                bound[-1].listen(BACKLOG)  # a paused worker's, too: an address that cannot be listened on shows here
                if worker in self._paused:
                    _pause(bound[-1])
        except OSError:
            for sock in bound:
                sock.close()
            raise
        self._sockets[address] = bound

    def _close_unused(self) -> None:
        used = set(self._in_force.values())
        for address in [address for address in self._sockets if address not in used]:
            for sock in self._sockets.pop(address):
                sock.close()


def _check(listeners: Mapping[str, Address]) -> None:
    if len(listeners) > MAX_DESCRIPTORS:
        raise ListenError(f"{len(listeners)} listeners: a sidecar takes at most {MAX_DESCRIPTORS}")
    owners: dict[Address, str] = {}
    for name, address in listeners.items():
        host, port = address
        if _family(host) is None:
            raise ListenError(f"listener {name!r}: {host!r} is not an IP address")
        if not 0 < port < 65536:
            raise ListenError(f"listener {name!r}: {port} is not a port; give one from 1 to 65535")
        owner = owners.setdefault(address, name)
        if owner != name:
            raise ListenError(f"listener {name!r}: listener {owner!r} has the address {_show(address)} already")


def _family(host: str) -> socket.AddressFamily | None:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return family
    return None


def _bound(address: Address, *, shared: bool) -> socket.socket:
    family = _family(address[0]) or socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:  # as Envoy: `::` does not take IPv4 unless asked to
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def _pause(sock: socket.socket) -> None:
    # On a listening socket, Linux takes this for "listen no more"; address and options stay, listen() undoes it.
    sock.shutdown(socket.SHUT_RDWR)


def _overlap(a: Address, b: Address) -> bool:
    """Whether the kernel would call one of them in use because of the other."""
    same_family = _family(a[0]) == _family(b[0])
    return same_family and a[1] == b[1] and (a[0] == b[0] or bool({a[0], b[0]} & {"0.0.0.0", "::"}))


def _show(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _reason(error: OSError) -> str:
    if error.errno is None:
        return str(error)
    text = os.strerror(error.errno)
    text = text[:1].lower() + text[1:]
    if error.errno in (errno.EACCES, errno.EPERM):
        text += " (a port below 1024 needs the capability CAP_NET_BIND_SERVICE)"
    return text
