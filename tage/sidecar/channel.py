"""Messages between supervisor, agent and workers: frames over a local stream socket, with descriptors.

A frame is ``u32 length | u8 descriptors | body``, the numbers in network order; the body is one of `plan.AnyMessage` in
MessagePack, `length` counts the body alone. Descriptors travel as SCM_RIGHTS with the frame's first bytes.

The kernel keeps descriptors in their place in the byte stream: one read returns those of at most one write, and no byte
behind that write. So they have arrived once the frame's first byte has, and a queue in order of arrival is all that is
needed to give each frame its own (unix(7); `MSG_CMSG_CLOEXEC`, since every receiver also starts processes or may).

``FrameDecoder``     sans-I/O: bytes and descriptors in, messages with their descriptors out
``SelectorChannel``  for the supervisor's `selectors` loop; never blocks, its outgoing buffer is bounded
``AsyncChannel``     for agent and workers, on asyncio or uvloop

Who receives a message owns its descriptors and closes them. What was received but not handed out is closed with the
channel. A sender keeps its own descriptors: the channel duplicates what it has to hold.

Errors: `ChannelError` is the base of `ChannelClosed` (the peer is gone), `FrameError` (the peer broke the rules above)
and `ChannelOverflow` (the peer does not read). After any of them the channel is of no more use; close it.
"""

from __future__ import annotations

import os
import socket
import struct
from collections import deque
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

import msgspec

from tage.sidecar.plan import AnyMessage

if TYPE_CHECKING:
    from asyncio import Future

MAX_FRAME = 64 << 20
"""Bytes of a frame's body."""
MAX_DESCRIPTORS = 250
"""Of one frame. The kernel takes 253 in one call (SCM_MAX_FD)."""
MAX_UNSENT = 256 << 20
"""Bytes that wait in one channel for a peer that does not read."""

_READ = 128 << 10
"""Bytes of one read: what a worker copies between two turns of its loop stays well below 100 us."""
_HEADER = struct.Struct("!IB")
_ANCILLARY = socket.CMSG_SPACE(253 * 4)

Received = tuple[AnyMessage, tuple[int, ...]]
"""A message and its descriptors, which are the receiver's to close."""

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[AnyMessage] = msgspec.msgpack.Decoder(AnyMessage)


class ChannelError(Exception):
    """The channel cannot be used any more."""


class ChannelClosed(ChannelError):
    """The peer is gone, or this side was closed."""


class FrameError(ChannelError):
    """What arrived is not a frame of this protocol."""


class ChannelOverflow(ChannelError):
    """The peer does not read: `MAX_UNSENT` is reached."""


def encode(message: AnyMessage, descriptors: int = 0) -> bytes:
    """The frame of `message` that announces so many descriptors. Raises `FrameError` where a limit is passed."""
    body = _encoder.encode(message)
    if len(body) > MAX_FRAME:
        raise FrameError(f"a {type(message).__name__} of {len(body)} bytes: a frame takes at most {MAX_FRAME}")
    if descriptors > MAX_DESCRIPTORS:
        raise FrameError(f"{descriptors} descriptors: a frame takes at most {MAX_DESCRIPTORS}")
    return _HEADER.pack(len(body), descriptors) + body


class FrameDecoder:
    """Bytes and descriptors in order of arrival -> messages. Holds at most one unfinished frame."""

    __slots__ = ("_buffer", "_descriptors")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._descriptors: deque[int] = deque()

    def feed(self, data: bytes, descriptors: Sequence[int] = ()) -> list[Received]:
        """Takes what one read returned; gives the messages that it completes.

        Raises `FrameError`; every descriptor that the decoder holds, those of messages not yet returned included, is
        then closed.
        """
        self._buffer += data
        self._descriptors.extend(descriptors)
        messages: list[Received] = []
        try:
            while (received := self._next()) is not None:
                messages.append(received)
            if len(self._descriptors) > (MAX_DESCRIPTORS if self._buffer else 0):
                raise FrameError(f"{len(self._descriptors)} descriptors that belong to no frame")
        except FrameError:
            for _, owned in messages:
                close_all(owned)
            self.close()
            raise
        return messages

    def _next(self) -> Received | None:
        if len(self._buffer) < _HEADER.size:
            return None
        length, count = _HEADER.unpack_from(self._buffer)
        if length > MAX_FRAME:
            raise FrameError(f"a frame of {length} bytes: at most {MAX_FRAME}")
        if count > MAX_DESCRIPTORS:
            raise FrameError(f"a frame with {count} descriptors: at most {MAX_DESCRIPTORS}")
        if count > len(self._descriptors):
            raise FrameError(f"a frame announces {count} descriptors, {len(self._descriptors)} came with it")
        end = _HEADER.size + length
        if len(self._buffer) < end:
            return None
        try:
            with memoryview(self._buffer) as view, view[_HEADER.size : end] as body:
                message = _decoder.decode(body)
        except msgspec.DecodeError as error:
            raise FrameError(f"not a message: {error}") from error
        del self._buffer[:end]
        return message, tuple(self._descriptors.popleft() for _ in range(count))

    def close(self) -> None:
        """Forgets the unfinished frame and closes its descriptors."""
        self._buffer.clear()
        close_all(self._descriptors)
        self._descriptors.clear()


def close_all(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def read(sock: socket.socket) -> tuple[bytes, tuple[int, ...]]:
    """One non-blocking read: bytes and close-on-exec descriptors.

    Raises `BlockingIOError` when there is nothing yet, `ChannelClosed` at the stream's end, and `FrameError` when
    descriptors got lost on the way in.
    """
    try:
        data, ancillary, flags, _ = sock.recvmsg(_READ, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
    except ConnectionError as error:
        raise ChannelClosed("the peer is gone") from error
    descriptors: list[int] = []
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            count = len(payload) // 4
            descriptors.extend(struct.unpack(f"={count}i", payload[: count * 4]))
    if flags & socket.MSG_CTRUNC:
        close_all(descriptors)
        raise FrameError("descriptors were lost on arrival: this process has no free ones left (see `ulimit -n`)")
    if not data:
        raise ChannelClosed("the peer closed the channel")
    return data, tuple(descriptors)


class _Outbox:
    """Frames that wait for the socket, with duplicates of their descriptors."""

    __slots__ = ("_frames", "unsent")

    def __init__(self) -> None:
        self._frames: deque[tuple[memoryview, tuple[int, ...]]] = deque()
        self.unsent = 0
        """Bytes."""

    def put(self, frame: bytes, descriptors: Sequence[int]) -> None:
        if self.unsent + len(frame) > MAX_UNSENT:
            raise ChannelOverflow(f"the peer does not read: {self.unsent} bytes are waiting for it")
        held: list[int] = []
        try:
            for descriptor in descriptors:
                held.append(os.dup(descriptor))
        except OSError:
            close_all(held)
            raise
        self._frames.append((memoryview(frame), tuple(held)))
        self.unsent += len(frame)

    def flush(self, sock: socket.socket) -> bool:
        """Writes what the socket takes; whether that was all. Raises `ChannelClosed`, `OSError`."""
        while self._frames:
            view, descriptors = self._frames[0]
            try:
                if descriptors:
                    rights = struct.pack(f"={len(descriptors)}i", *descriptors)
                    sent = sock.sendmsg([view], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
                else:
                    sent = sock.send(view)
            except BlockingIOError:
                return False
            except ConnectionError as error:
                raise ChannelClosed("the peer is gone") from error
            close_all(descriptors)
            self.unsent -= sent
            if sent == len(view):
                self._frames.popleft()
            else:
                self._frames[0] = (view[sent:], ())
        return True

    def close(self) -> None:
        for _, descriptors in self._frames:
            close_all(descriptors)
        self._frames.clear()
        self.unsent = 0


class SelectorChannel:
    """A channel for a `selectors` loop: register it, ask `wants_write` after each use, call what is ready."""

    __slots__ = ("_decoder", "_outbox", "_sock")

    def __init__(self, sock: socket.socket) -> None:
        """Takes `sock` over."""
        sock.setblocking(False)
        self._sock = sock
        self._decoder = FrameDecoder()
        self._outbox = _Outbox()

    def fileno(self) -> int:
        return self._sock.fileno()

    @property
    def wants_write(self) -> bool:
        return self._outbox.unsent > 0

    def send(self, message: AnyMessage, descriptors: Sequence[int] = ()) -> None:
        """Sends now what the socket takes and keeps the rest for `on_writable`. Raises `ChannelError`, `OSError`."""
        self.send_frame(encode(message, len(descriptors)), descriptors)

    def send_frame(self, frame: bytes, descriptors: Sequence[int] = ()) -> None:
        """As `send`, for a frame made by `encode` once and sent to several; it announces these descriptors' number."""
        self._outbox.put(frame, descriptors)
        self._outbox.flush(self._sock)

    def on_writable(self) -> None:
        """Raises `ChannelClosed`, `OSError`."""
        self._outbox.flush(self._sock)

    def on_readable(self) -> list[Received]:
        """One read's messages. Raises `ChannelClosed`, `FrameError`."""
        try:
            data, descriptors = read(self._sock)
        except BlockingIOError:
            return []
        return self._decoder.feed(data, descriptors)

    def close(self) -> None:
        self._decoder.close()
        self._outbox.close()
        self._sock.close()


class AsyncChannel:
    """A channel on the running asyncio or uvloop loop: any number of senders, one receiver.

    ::

        channel = AsyncChannel.from_descriptor(int(os.environ["TAGE_CHANNEL_FD"]))
        async for message, descriptors in channel:  # ends when the peer is gone
            ...
    """

    __slots__ = ("_closed", "_decoder", "_flushing", "_loop", "_outbox", "_ready", "_receiver", "_sock")

    def __init__(self, sock: socket.socket) -> None:
        """Takes `sock` over. Call it on the loop's thread, while the loop runs."""
        from asyncio import get_running_loop  # here, for the supervisor must not pay 5 MB for it

        sock.setblocking(False)
        self._sock = sock
        self._loop = get_running_loop()
        self._decoder = FrameDecoder()
        self._outbox = _Outbox()
        self._ready: deque[Received] = deque()
        self._receiver: Future[None] | None = None
        self._flushing: list[Future[None]] = []
        self._closed = False

    @classmethod
    def from_descriptor(cls, descriptor: int) -> AsyncChannel:
        """The channel that a process inherited. Raises `OSError` when there is no such socket."""
        os.set_inheritable(descriptor, False)
        return cls(socket.socket(fileno=descriptor))

    async def send(self, message: AnyMessage, descriptors: Sequence[int] = ()) -> None:
        """Returns when the kernel has everything. Cancelling it does not take the message back.

        Raises `ChannelError`, `OSError`.
        """
        if self._closed:
            raise ChannelClosed("the channel is closed")
        self._outbox.put(encode(message, len(descriptors)), descriptors)
        if self._outbox.flush(self._sock):
            return
        flushed = self._loop.create_future()
        self._flushing.append(flushed)
        self._loop.add_writer(self._sock, self._on_writable)
        await flushed

    def _on_writable(self) -> None:
        failure: Exception | None = None
        try:
            if not self._outbox.flush(self._sock):
                return
        except (ChannelError, OSError) as error:
            failure = error
        self._loop.remove_writer(self._sock)
        self._finish_senders(failure)

    def _finish_senders(self, failure: Exception | None) -> None:
        waiting, self._flushing = self._flushing, []
        for flushed in waiting:
            if flushed.done():  # cancelled
                continue
            if failure is None:
                flushed.set_result(None)
            else:
                flushed.set_exception(failure)

    async def receive(self) -> Received:
        """The next message with its descriptors. Raises `ChannelClosed` at the stream's end, `FrameError`.

        At most one read is made in one turn of the loop, so that a large plan does not hold up traffic.
        """
        while not self._ready:
            await self._readable()
            try:
                data, descriptors = read(self._sock)
            except BlockingIOError:
                continue
            self._ready.extend(self._decoder.feed(data, descriptors))
        return self._ready.popleft()

    async def _readable(self) -> None:
        if self._closed:
            raise ChannelClosed("the channel is closed")
        if self._receiver is not None:
            raise RuntimeError("AsyncChannel.receive() is already waiting in another task")
        self._receiver = receiver = self._loop.create_future()
        self._loop.add_reader(self._sock, self._on_readable)
        try:
            await receiver
        finally:
            self._receiver = None
            if not self._closed:
                self._loop.remove_reader(self._sock)
        if self._closed:  # between the wake-up and here
            raise ChannelClosed("the channel was closed")

    def _on_readable(self) -> None:
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)

    def __aiter__(self) -> AsyncChannel:
        return self

    async def __anext__(self) -> Received:
        try:
            return await self.receive()
        except ChannelClosed:
            raise StopAsyncIteration from None

    def close(self) -> None:
        """Ends waiting `send` and `receive` calls with `ChannelClosed`. What the kernel does not have yet is lost."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        closed = ChannelClosed("the channel was closed")
        self._finish_senders(closed)
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_exception(closed)
        for _, descriptors in self._ready:
            close_all(descriptors)
        self._ready.clear()
        self._decoder.close()
        self._outbox.close()
        self._sock.close()

    def __enter__(self) -> AsyncChannel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
