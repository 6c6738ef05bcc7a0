"""Which hosts of clusters are this sidecar itself: whose address and port a listener of its own has."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

from tage.sidecar import plan

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class OwnAddresses:
    """A listener on the unspecified address has every address of the machine; such an address is one that a socket can
    be bound to. Asked once for each address, and only where the port is that of such a listener."""

    def __init__(self, listeners: Iterable[plan.Listener]) -> None:
        self._exact: set[tuple[Address, int]] = set()
        self._everywhere: set[tuple[int, int]] = set()
        """IP version and port."""
        self._local: dict[Address, bool] = {}
        for listener in listeners:
            address = ipaddress.ip_address(listener.address)
            if address.is_unspecified:
                self._everywhere.add((address.version, listener.port))
            else:
                self._exact.add((_plain(address), listener.port))
        self._ports = {port for _, port in self._exact | self._everywhere}

    def has(self, host: str, port: int) -> bool:
        """`host` is an IP address."""
        if port not in self._ports:
            return False
        address = _plain(ipaddress.ip_address(host))
        if (address, port) in self._exact:
            return True
        return (address.version, port) in self._everywhere and self._is_local(address)

    def _is_local(self, address: Address) -> bool:
        if address not in self._local:
            self._local[address] = _binds(address)
        return self._local[address]


def _plain(address: Address) -> Address:
    """One form for each address: an IPv4 address mapped into IPv6 is itself, and who connects to the unspecified
    address reaches loopback."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_unspecified:
        return ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    return address


def _binds(address: Address) -> bool:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind((str(address), 0))
        except OSError:  # EADDRNOTAVAIL, or there is no IPv6 here
            return False
    return True
