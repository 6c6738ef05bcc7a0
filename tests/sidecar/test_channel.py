"""Frames and channels: whole, in pieces, with descriptors, with a peer that breaks the rules or goes away."""

from __future__ import annotations

import asyncio
import fcntl
import os
import select
import socket
import struct
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from tage.sidecar import channel as ch
from tage.sidecar import plan

NAMES = st.text(max_size=20)
MESSAGES: st.SearchStrategy[plan.AnyMessage] = st.one_of(
    st.builds(plan.Hello, st.integers(0, 2**40), st.integers(1, 64)),
    st.builds(
        plan.Update,
        st.integers(0, 2**40),
        st.booleans(),
        st.lists(st.tuples(NAMES, NAMES, st.binary(max_size=200)), max_size=5),
        st.lists(st.tuples(NAMES, NAMES), max_size=5),
    ),
    st.builds(plan.Prepared, st.integers(0, 9), NAMES),
    st.builds(plan.Drain, st.floats(0, 100)),
)
Runner = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(autouse=True, scope="module")
def warm_loops() -> None:
    # A loop opens descriptors that it keeps when first used; `nothing_leaks` is to see ours only.
    async def nothing() -> None: ...

    for factory in (uvloop.new_event_loop, asyncio.new_event_loop):
        with asyncio.Runner(loop_factory=factory) as loop:
            loop.run(nothing())


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    before = set(os.listdir("/proc/self/fd"))
    yield
    assert set(os.listdir("/proc/self/fd")) <= before


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Runner:
    def runner(main: Coroutine[Any, Any, None]) -> None:
        factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as loop:
            loop.run(asyncio.wait_for(main, 20))

    return runner


def same_file(a: int, b: int) -> bool:
    return os.path.sameopenfile(a, b)


def big_update(size: int, version: int = 1) -> plan.Update:
    return plan.Update(version, True, [("cluster", "c", b"x" * size)])


# -- frames ------------------------------------------------------------------------------------------------------------


@given(st.lists(MESSAGES, max_size=5), st.data())
def test_any_cut_gives_the_same_messages(messages: list[plan.AnyMessage], data: st.DataObject) -> None:
    stream = b"".join(ch.encode(message) for message in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    decoder = ch.FrameDecoder()
    got = [
        received
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
        for received in decoder.feed(stream[start:end])
    ]
    assert got == [(message, ()) for message in messages]


def test_byte_by_byte_with_descriptors() -> None:
    ends = os.pipe()
    decoder = ch.FrameDecoder()
    frame = ch.encode(plan.Commit(1)) + ch.encode(plan.Prepare(2, True, [], sockets=["a", "b"]), 2)
    first = len(ch.encode(plan.Commit(1)))
    got = []
    for i in range(len(frame)):
        got += decoder.feed(frame[i : i + 1], ends if i == first else ())
    assert got == [(plan.Commit(1), ()), (plan.Prepare(2, True, [], sockets=["a", "b"]), ends)]
    ch.close_all(ends)


@given(st.binary(max_size=300))
def test_only_frame_errors_escape(data: bytes) -> None:
    decoder = ch.FrameDecoder()
    try:
        decoder.feed(data)
    except ch.FrameError:
        pass
    finally:
        decoder.close()


@pytest.mark.parametrize(
    ("data", "descriptors", "error"),
    [
        (struct.pack("!IB", ch.MAX_FRAME + 1, 0), 0, "a frame of 67108865 bytes"),
        (struct.pack("!IB", 3, 251), 0, "251 descriptors"),
        (ch.encode(plan.Commit(1), 1), 0, "announces 1 descriptors, 0 came"),
        (ch.encode(plan.Commit(1), 2), 1, "announces 2 descriptors, 1 came"),
        (ch.encode(plan.Commit(1)), 1, "belong to no frame"),
        (ch.encode(plan.Commit(1), 1) + b"\xff\xff\xff\xff\xff", 1, "a frame of 4294967295 bytes"),
        (struct.pack("!IB", 1, 0) + b"\xc1", 0, "not a message"),
        (struct.pack("!IB", 0, 0), 0, "not a message"),
        (ch.encode(plan.Commit("x")), 0, "not a message"),  # type: ignore[arg-type]
    ],
)
def test_a_broken_frame_is_refused_and_its_descriptors_closed(data: bytes, descriptors: int, error: str) -> None:
    owned = [os.open("/dev/null", os.O_RDONLY) for _ in range(descriptors)]
    decoder = ch.FrameDecoder()
    with pytest.raises(ch.FrameError, match=error):
        decoder.feed(data, owned)
    for descriptor in owned:
        with pytest.raises(OSError):
            os.fstat(descriptor)


def test_what_is_too_large_is_not_encoded() -> None:
    with pytest.raises(ch.FrameError, match="Update of 67"):
        ch.encode(big_update(ch.MAX_FRAME))
    with pytest.raises(ch.FrameError, match="251 descriptors"):
        ch.encode(plan.Commit(1), 251)


# -- the supervisor's channel ------------------------------------------------------------------------------------------


def selector_pair() -> tuple[ch.SelectorChannel, ch.SelectorChannel]:
    a, b = socket.socketpair()
    return ch.SelectorChannel(a), ch.SelectorChannel(b)


def pump(sender: ch.SelectorChannel, receiver: ch.SelectorChannel, count: int) -> list[ch.Received]:
    """Moves bytes until `count` messages are there."""
    got: list[ch.Received] = []
    while len(got) < count:
        readable, writable, _ = select.select([receiver], [sender] if sender.wants_write else [], [], 5)
        assert readable or writable, "nothing moves"
        if writable:
            sender.on_writable()
        if readable:
            got += receiver.on_readable()
    return got


def test_large_frames_between_frames_with_descriptors() -> None:
    a, b = selector_pair()
    null, zero = os.open("/dev/null", os.O_RDONLY), os.open("/dev/zero", os.O_RDONLY)
    a.send(big_update(3 << 20, 1))
    a.send(big_update(1 << 20, 2), [null, zero])
    a.send(plan.Commit(3), [zero])
    a.send(plan.Commit(4))
    a.send(plan.Commit(5), [null])
    originals = {"null": null, "zero": zero}
    kept = {name: os.dup(fd) for name, fd in originals.items()}
    ch.close_all(originals.values())  # the channel has its own
    assert a.wants_write
    got = pump(a, b, 5)
    assert not a.wants_write
    assert [message.version for message, _ in got] == [1, 2, 3, 4, 5]  # type: ignore[union-attr]
    expected = [[], ["null", "zero"], ["zero"], [], ["null"]]
    for (_, descriptors), names in zip(got, expected, strict=True):
        assert len(descriptors) == len(names)
        for fd, name in zip(descriptors, names, strict=True):
            assert os.fstat(fd).st_rdev == os.fstat(kept[name]).st_rdev
            assert fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
        ch.close_all(descriptors)
    ch.close_all(kept.values())
    a.close()
    b.close()


def test_as_many_descriptors_as_a_frame_takes() -> None:
    a, b = selector_pair()
    null = os.open("/dev/null", os.O_RDONLY)
    a.send(plan.Commit(1), [null] * ch.MAX_DESCRIPTORS)
    a.send(plan.Commit(2), [null] * ch.MAX_DESCRIPTORS)
    for _, descriptors in pump(a, b, 2):
        assert len(descriptors) == ch.MAX_DESCRIPTORS
        ch.close_all(descriptors)
    os.close(null)
    a.close()
    b.close()


def test_unsent_and_unread_descriptors_are_closed() -> None:
    a, b = selector_pair()
    null = os.open("/dev/null", os.O_RDONLY)
    a.send(big_update(1 << 20))
    a.send(plan.Commit(1), [null])
    a.close()
    c, d = selector_pair()
    frame = ch.encode(plan.Commit(1), 1)
    c.send_frame(frame[:-1] + frame[-1:], [null])
    d.close()  # unread in the kernel
    c.close()
    b.close()
    os.close(null)


def test_half_a_frame_then_the_end() -> None:
    a, b = socket.socketpair()
    receiver = ch.SelectorChannel(b)
    null = os.open("/dev/null", os.O_RDONLY)
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("=i", null))
    a.sendmsg([ch.encode(plan.Commit(1), 1)[:-1]], [rights])
    assert receiver.on_readable() == []
    a.close()
    with pytest.raises(ch.ChannelClosed):
        receiver.on_readable()
    receiver.close()
    os.close(null)


def test_a_peer_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ch, "MAX_UNSENT", 1 << 20)
    a, b = selector_pair()
    a.send(big_update(900_000))
    assert a.wants_write
    with pytest.raises(ch.ChannelOverflow, match="does not read"):
        a.send(big_update(900_000))
    a.close()
    b.close()


def test_sending_to_a_peer_that_is_gone() -> None:
    a, b = selector_pair()
    b.close()
    with pytest.raises(ch.ChannelClosed):
        a.send(plan.Commit(1))
    a.close()


# -- the channel of agent and workers ----------------------------------------------------------------------------------


def test_both_directions_at_once(run: Runner) -> None:
    """Each side sends more than the sockets hold before it reads all: nobody waits for the other for ever."""

    async def side(channel: ch.AsyncChannel) -> None:
        async def sender() -> None:
            for version in range(4):
                await channel.send(big_update(1 << 20, version), [0] if version % 2 else [])

        sending = asyncio.create_task(sender())
        for version in range(4):
            message, descriptors = await channel.receive()
            assert message == big_update(1 << 20, version)
            assert len(descriptors) == version % 2
            assert all(same_file(fd, 0) for fd in descriptors)
            ch.close_all(descriptors)
        await sending

    async def main() -> None:
        a, b = map(ch.AsyncChannel, socket.socketpair())
        with a, b:
            await asyncio.gather(side(a), side(b))

    run(main())


def test_the_peer_goes(run: Runner) -> None:
    async def main() -> None:
        a, b = map(ch.AsyncChannel, socket.socketpair())
        await b.send(plan.Commit(1))
        await b.send(plan.Commit(2))
        b.close()
        assert [message async for message, _ in a] == [plan.Commit(1), plan.Commit(2)]
        with pytest.raises(ch.ChannelClosed):
            await a.receive()
        with pytest.raises(ch.ChannelClosed):
            await a.send(plan.Commit(1))
        with pytest.raises(ch.ChannelClosed):
            await b.send(plan.Commit(1))
        a.close()

    run(main())


def test_closing_ends_those_who_wait(run: Runner) -> None:
    async def main() -> None:
        a, b = map(ch.AsyncChannel, socket.socketpair())
        sending = asyncio.create_task(a.send(big_update(4 << 20), [0]))
        receiving = asyncio.create_task(a.receive())
        cancelled = asyncio.create_task(a.send(big_update(4 << 20)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task"):
            await a.receive()
        cancelled.cancel()
        a.close()
        for task in (sending, receiving):
            with pytest.raises(ch.ChannelClosed):
                await task
        b.close()

    run(main())


def test_a_cancelled_receive_loses_nothing(run: Runner) -> None:
    async def main() -> None:
        a, b = map(ch.AsyncChannel, socket.socketpair())
        with a, b:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(a.receive(), 0.01)
            sending = asyncio.create_task(b.send(big_update(2 << 20)))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(a.receive(), 0)
            assert (await a.receive())[0] == big_update(2 << 20)
            await sending

    run(main())


def test_an_inherited_descriptor(run: Runner) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        theirs.set_inheritable(True)
        fd = theirs.detach()
        a, b = ch.AsyncChannel(ours), ch.AsyncChannel.from_descriptor(fd)
        assert not os.get_inheritable(fd)
        with a, b:
            await a.send(plan.Drain(1.5))
            assert (await b.receive())[0] == plan.Drain(1.5)

    run(main())


def test_a_broken_frame(run: Runner) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        with ch.AsyncChannel(ours) as channel, theirs:
            theirs.send(b"\xff" * 64)
            with pytest.raises(ch.FrameError):
                await channel.receive()

    run(main())
