from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tage.cli.errors import CommandError
from tage.cli.up.addresses import APP_PORTS, INBOUND_PORT, XDS_PORT, allocate, is_taken


def free(address: str, port: int) -> bool:
    return False


@given(name=st.text(min_size=1, max_size=20), count=st.integers(1, 600))
def test_addresses_are_distinct_loopback_and_outside_the_common_block(name: str, count: int) -> None:
    found = allocate(name, count, free)
    addresses = {found.control, *found.instances}
    assert len(addresses) == count + 1
    assert all(ipaddress.ip_address(address).is_loopback for address in addresses)
    assert not any(address.startswith("127.0.") for address in addresses)
    assert not any(address.endswith((".0", ".255")) for address in addresses)
    assert found == allocate(name, count, free)


def test_control_plane_is_one_and_the_client_entry_two() -> None:
    found = allocate("bookshop", 3, free)
    block = found.control.rpartition(".")[0]
    assert found.control == f"{block}.1"
    assert found.instances == (f"{block}.2", f"{block}.3", f"{block}.4")
    assert found.app_port == 8080


def test_a_block_with_a_taken_port_is_passed_over() -> None:
    first = allocate("bookshop", 3, free)
    second = allocate("bookshop", 3, lambda address, port: (address, port) == (first.instances[2], INBOUND_PORT))
    assert second.control != first.control
    assert not {first.control, *first.instances} & {second.control, *second.instances}


def test_more_ports_of_sidecars_are_looked_at_too() -> None:
    first = allocate("bookshop", 3, free)
    taken = {(first.control, 15102), (first.instances[2], 15101)}
    assert allocate("bookshop", 3, lambda *at: at in taken) == first
    assert allocate("bookshop", 3, lambda *at: at in taken, [15102]) == first, "the control plane has none of them"
    assert allocate("bookshop", 3, lambda *at: at in taken, [15101]) != first


def test_a_port_taken_on_all_addresses_is_named() -> None:
    with pytest.raises(CommandError, match=r"port 15010 in use on every loopback address tried \(127\."):
        allocate("bookshop", 3, lambda address, port: port == XDS_PORT)


def test_applications_get_another_port_when_theirs_is_taken_everywhere() -> None:
    assert allocate("bookshop", 3, lambda address, port: port in (8080, 8081)).app_port == 8082
    with pytest.raises(CommandError, match=str(APP_PORTS[-1])):
        allocate("bookshop", 3, lambda address, port: port in APP_PORTS)


def test_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address, port = server.getsockname()
        assert is_taken(address, port)
        with socket.create_connection((address, port)):
            server.accept()[0].close()
    # The accepted side closed first, so its connection lingers in TIME_WAIT.
    assert not is_taken(address, port)
