"""The listening sockets on real loopback addresses."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from tage.sidecar.supervisor.sockets import ListenError, ListenerSockets


@pytest.fixture
def sockets() -> Iterator[ListenerSockets]:
    owner = ListenerSockets(2)
    yield owner
    owner.close()


def free_port(host: str = "127.0.0.1", family: int = socket.AF_INET) -> int:
    with socket.socket(family) as sock:
        sock.bind((host, 0))
        return int(sock.getsockname()[1])


def name_of(descriptor: int) -> tuple[str, int]:
    with socket.socket(fileno=os.dup(descriptor)) as sock:
        host, port = sock.getsockname()[:2]
        return host, port


def connects(port: int, host: str = "127.0.0.1") -> bool:
    try:
        socket.create_connection((host, port), 2).close()
    except ConnectionRefusedError:
        return False
    return True


def inode(descriptor: int) -> int:
    return os.fstat(descriptor).st_ino


def test_each_worker_gets_its_own(sockets: ListenerSockets) -> None:
    port = free_port()
    assert sockets.stage(True, {"x": ("127.0.0.1", port)}, []) == ["x"]
    first, second = (sockets.descriptors(worker, ["x"], staged=True)[0] for worker in (0, 1))
    assert inode(first) != inode(second)
    assert name_of(first) == name_of(second) == ("127.0.0.1", port)
    assert not os.get_blocking(first)
    assert not os.get_inheritable(first)
    assert connects(port)
    sockets.commit()
    assert sockets.names() == ["x"]
    assert sockets.descriptors(0, ["x"], staged=False) == [first]
    sockets.stage(True, {}, [])
    assert connects(port)
    sockets.commit()
    assert not connects(port)


def test_abort_leaves_what_was(sockets: ListenerSockets) -> None:
    old, new = free_port(), free_port()
    sockets.stage(True, {"x": ("127.0.0.1", old)}, [])
    sockets.commit()
    before = sockets.descriptors(0, ["x"], staged=False)
    assert sockets.stage(False, {"x": ("127.0.0.1", new)}, []) == ["x"]
    assert sockets.descriptors(0, ["x"], staged=False) == before
    assert name_of(sockets.descriptors(0, ["x"], staged=True)[0])[1] == new
    sockets.abort()
    assert connects(old)
    assert not connects(new)


def test_what_has_not_changed_is_not_handed_over_again(sockets: ListenerSockets) -> None:
    one, two = ("127.0.0.1", free_port()), ("127.0.0.1", free_port())
    sockets.stage(True, {"one": one}, [])
    sockets.commit()
    assert sockets.stage(True, {"one": one, "two": two}, []) == ["two"]
    sockets.commit()
    assert sockets.stage(False, {}, ["one"]) == []
    sockets.commit()
    assert sockets.names() == ["two"]


def test_swapped_and_renamed_listeners_keep_their_sockets(sockets: ListenerSockets) -> None:
    one, two = ("127.0.0.1", free_port()), ("127.0.0.1", free_port())
    sockets.stage(True, {"a": one, "b": two}, [])
    sockets.commit()
    a, b = sockets.descriptors(0, ["a", "b"], staged=False)
    assert sockets.stage(True, {"b": one, "c": two}, []) == ["b", "c"]
    assert sockets.descriptors(0, ["b", "c"], staged=True) == [a, b]
    sockets.commit()
    assert connects(one[1])
    assert connects(two[1])


def test_a_paused_worker_gets_no_connections(sockets: ListenerSockets) -> None:
    old, new = free_port(), free_port()
    sockets.stage(True, {"old": ("127.0.0.1", old)}, [])
    sockets.commit()
    sockets.pause(0)
    sockets.pause(0)
    sockets.stage(False, {"new": ("127.0.0.1", new)}, [])
    sockets.commit()
    assert accepted(sockets, "old", old) == accepted(sockets, "new", new) == {1}
    sockets.resume(0)
    sockets.resume(0)
    assert accepted(sockets, "old", old) == accepted(sockets, "new", new) == {0, 1}
    for worker in (0, 1):
        sockets.pause(worker)
    assert not connects(old)


def accepted(sockets: ListenerSockets, name: str, port: int) -> set[int]:
    """Which workers' sockets get connections."""
    workers = set()
    with ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 2))
        for worker in (0, 1):
            (descriptor,) = sockets.descriptors(worker, [name], staged=False)
            with socket.socket(fileno=os.dup(descriptor)) as listening, suppress(OSError):
                while True:
                    listening.accept()[0].close()
                    workers.add(worker)
    return workers


@pytest.mark.parametrize("shared", [False, True], ids=["alone", "other-sets-reuseport"])
def test_a_port_in_use_is_named(sockets: ListenerSockets, shared: bool) -> None:
    with socket.socket() as other:
        if shared:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port, free = other.getsockname()[1], free_port()
        with pytest.raises(ListenError) as error:
            sockets.stage(True, {"good": ("127.0.0.1", free), "bad": ("127.0.0.1", port)}, [])
    assert str(error.value) == f"listener 'bad': cannot listen on 127.0.0.1:{port}: address already in use"
    assert not connects(free)
    assert sockets.names() == []


def test_an_address_of_somebody_else(sockets: ListenerSockets) -> None:
    with pytest.raises(ListenError, match=r"listener 'x': cannot listen on 192.0.2.1:99: cannot assign requested"):
        sockets.stage(True, {"x": ("192.0.2.1", 99)}, [])


def test_any_address_beside_a_single_one(sockets: ListenerSockets) -> None:
    port = free_port("0.0.0.0")
    sockets.stage(True, {"one": ("127.0.0.1", port)}, [])
    sockets.commit()
    assert sockets.stage(False, {"any": ("0.0.0.0", port)}, []) == ["any"]


def test_ipv6(sockets: ListenerSockets) -> None:
    try:
        port = free_port("::1", socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    # As in Envoy, :: is IPv6 alone: the same port of 0.0.0.0 is another address.
    sockets.stage(True, {"six": ("::", port), "four": ("0.0.0.0", port)}, [])
    sockets.commit()
    assert connects(port, "::1")
    other = ListenerSockets(1)
    with pytest.raises(ListenError, match=rf"cannot listen on \[::1\]:{port}: address already in use"):
        other.stage(True, {"x": ("::1", port)}, [])


@pytest.mark.parametrize(
    ("listeners", "error"),
    [
        ({"x": ("localhost", 80)}, "listener 'x': 'localhost' is not an IP address"),
        ({"x": ("127.0.0.1", 0)}, "listener 'x': 0 is not a port"),
        ({"x": ("127.0.0.1", 65536)}, "listener 'x': 65536 is not a port"),
        ({"x": ("127.0.0.1", 9), "y": ("127.0.0.1", 9)}, "listener 'y': listener 'x' has the address 127.0.0.1:9"),
        ({str(i): ("127.0.0.1", i + 1) for i in range(251)}, "251 listeners: a sidecar takes at most 250"),
    ],
)
def test_what_no_socket_can_be(sockets: ListenerSockets, listeners: dict[str, tuple[str, int]], error: str) -> None:
    with pytest.raises(ListenError, match=error):
        sockets.stage(True, listeners, [])
