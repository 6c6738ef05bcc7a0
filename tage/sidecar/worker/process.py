"""The worker's process: messages from the supervisor, one event loop, draining.

It lives as long as its channel: when the supervisor is gone there is nobody left to replace it, so it drains and ends.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys

import uvloop

from tage.dataplane.net.listener import AcceptingSocket
from tage.dataplane.net.reactor import Reactor
from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.streams.context import Context, ListenerState
from tage.dataplane.telemetry.store import StatStore
from tage.dataplane.upstream.shared import SharedFile
from tage.sidecar import plan
from tage.sidecar.channel import AsyncChannel, ChannelError
from tage.sidecar.worker.tables import Draft, PlanRefused, Tables

ORPHAN_DRAIN_SECONDS = 5.0
"""How long what is under way may take to finish when the supervisor is gone."""


class Worker:
    """Applies what the supervisor says, in order. `reopen_logs` is what SIGUSR1 asks for."""

    def __init__(self, channel: AsyncChannel, stats: StatStore, shared: SharedFile) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._channel = channel
        self._context = Context(TimerWheel(loop.call_later))
        self._reactor = Reactor(loop)
        self._context.overload = self._reactor.overload
        self._context.flushes = self._reactor.flushes
        self._tables = Tables(self._context, stats, loop, self._reactor, shared)
        self._accepting: dict[str, AcceptingSocket] = {}
        self._leaving: list[ListenerState] = []
        """Of listeners and chains that are gone, as long as they have connections."""
        self._draft: Draft | None = None
        self._draft_sockets: dict[str, socket.socket] = {}

    async def run(self) -> None:
        """Until told to drain, or until the supervisor is gone."""
        seconds = ORPHAN_DRAIN_SECONDS
        try:
            async for message, descriptors in self._channel:
                if isinstance(message, plan.Prepare):
                    await self._prepare(message, descriptors)
                elif isinstance(message, plan.Commit):
                    await self._commit(message)
                elif isinstance(message, plan.Abort):
                    self._abort()
                elif isinstance(message, plan.Drain):
                    seconds = message.seconds
                    break
                else:
                    raise AssertionError(f"a message that is not for workers: {message!r}")
        except ChannelError as error:
            print(f"worker: the channel to the supervisor broke: {error}", file=sys.stderr, flush=True)
        await self._drain(seconds)

    async def _prepare(self, message: plan.Prepare, descriptors: tuple[int, ...]) -> None:
        self._abort()
        # What is being built stays: collecting while it grows would only look at it again and again, at once.
        gc.disable()
        sockets = (socket.socket(fileno=descriptor) for descriptor in descriptors)
        self._draft_sockets = dict(zip(message.sockets, sockets, strict=True))
        try:
            self._draft = await self._tables.prepare(message)
        except PlanRefused as error:
            self._abort()
            await self._channel.send(plan.Prepared(message.version, str(error)))
        else:
            await self._channel.send(plan.Prepared(message.version))

    def reopen_logs(self) -> None:
        self._tables.logs.reopen()

    def _abort(self) -> None:
        gc.enable()
        self._draft = None
        self._tables.abort()
        for sock in self._draft_sockets.values():
            sock.close()
        self._draft_sockets = {}

    async def _commit(self, message: plan.Commit) -> None:
        draft = self._draft
        if draft is None or draft.version != message.version:
            raise AssertionError(f"commit of version {message.version}, which was not prepared")
        sockets, self._draft_sockets, self._draft = self._draft_sockets, {}, None
        swap = await self._tables.commit(draft)
        for name in swap.gone:
            self._stop_accepting(name)
        for state in swap.states:
            _drain_connections(state)
        self._leaving = [state for state in self._leaving + swap.states if state.connections]
        for name, sock in sockets.items():
            self._stop_accepting(name)
            self._accept(name, sock)
        for name, accepting in self._accepting.items():
            accepting.entrance = self._tables.listeners[name].entrance
        gc.freeze()  # the tables live long: the collector need not look at them again
        gc.enable()

    def _accept(self, name: str, sock: socket.socket) -> None:
        accepting = AcceptingSocket(self._reactor, self._context.wheel, sock, self._tables.listeners[name].entrance)
        accepting.start()
        self._accepting[name] = accepting

    def _stop_accepting(self, name: str) -> None:
        accepting = self._accepting.pop(name, None)
        if accepting is not None:
            accepting.close()

    async def _drain(self, seconds: float) -> None:
        """Accepts no more, answers what is under way, and says in each answer that the connection closes. Who is still
        there at the end is reset: it was not the end for him."""
        self._context.draining = True
        for name in list(self._accepting):
            self._stop_accepting(name)
        states = [state for listener in self._tables.listeners.values() for state in listener.states.values()]
        states += self._leaving
        for state in states:
            _drain_connections(state)
        deadline = self._loop.time() + seconds
        while any(state.connections for state in states) and self._loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        if any(state.connections for state in states):
            for state in states:
                for connection in list(state.connections):
                    connection.reset()
            await asyncio.sleep(0.01)  # they hear of it, and are logged, in the loop's next turns
        self._tables.logs.close()


def _drain_connections(state: ListenerState) -> None:
    for connection in list(state.connections):
        connection.drain()


async def _run(descriptor: int, stats: StatStore, shared: SharedFile) -> None:
    with AsyncChannel.from_descriptor(descriptor) as channel:
        worker = Worker(channel, stats, shared)
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, worker.reopen_logs)
        # The supervisor starts us with it blocked, so that one that comes before this is not our end.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
        await worker.run()


def main(argv: list[str]) -> int:
    """--channel FD --stats FILE --shared FILE --index N, as the supervisor gives them."""
    options = dict(zip(argv[::2], argv[1::2], strict=True))
    # The supervisor says when to end; a terminal's Ctrl-C goes to it as well.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    stats = StatStore(options["--stats"])
    shared = SharedFile(options["--shared"], int(options["--index"]))
    uvloop.run(_run(int(options["--channel"]), stats, shared))
    return 0
