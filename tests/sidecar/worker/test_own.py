"""Which hosts are listeners of this sidecar."""

import socket

import pytest

from tage.sidecar import plan
from tage.sidecar.worker.own import OwnAddresses


def own(*listeners):
    return OwnAddresses([plan.Listener(f"{address}:{port}", address, port) for address, port in listeners])


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="no IPv6 loopback here")


@pytest.mark.parametrize("host", ["127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0"])
def test_a_listener_s_address(host):
    addresses = own(("127.0.0.1", 80), ("127.0.0.2", 81))
    assert addresses.has(host, 80)
    assert not addresses.has(host, 81)


def test_other_addresses():
    addresses = own(("127.0.0.1", 80), ("::1", 81))
    assert not addresses.has("127.0.0.2", 80)
    assert not addresses.has("::1", 80)
    assert addresses.has("0:0:0:0:0:0:0:1", 81)
    assert addresses.has("::", 81)
    assert not own().has("127.0.0.1", 80)


def test_a_listener_on_every_address_has_those_of_the_machine():
    addresses = own(("0.0.0.0", 80))
    assert addresses.has("127.0.0.1", 80)
    assert addresses.has("127.9.8.7", 80)
    assert addresses.has("0.0.0.0", 80)
    assert not addresses.has("192.0.2.1", 80)  # RFC 5737: nobody's
    assert not addresses.has("127.0.0.1", 81)
    assert not addresses.has("::1", 80)


@needs_ipv6
def test_every_address_of_ipv6():
    addresses = own(("::", 80))
    assert addresses.has("::1", 80)
    assert not addresses.has("2001:db8::1", 80)  # RFC 3849: nobody's
    assert not addresses.has("127.0.0.1", 80)
