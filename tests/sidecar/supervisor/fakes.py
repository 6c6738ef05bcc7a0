"""A small agent, a small worker and a supervisor that starts them: `python -m tests.sidecar.supervisor.fakes WHAT ...`.

The fake worker takes a plan like the real one, accepts connections on the sockets that it is given and answers each
with `<index> <pid> <version>` and the names of its sections; a cluster of a certain name makes it misbehave.
The fake agent relays: lines of JSON on a Unix socket that the test listens on, messages on its channel.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

import msgspec

from tage.sidecar import plan
from tage.sidecar.channel import AsyncChannel


class Worker:
    def __init__(self, index: int) -> None:
        self.index = index
        self.version = 0
        self.sections: set[str] = set()
        self.prepared: tuple[plan.Prepare, tuple[int, ...]] | None = None
        self.listening: dict[str, socket.socket] = {}

    async def run(self, descriptor: int) -> None:
        channel = AsyncChannel.from_descriptor(descriptor)
        async for message, descriptors in channel:
            if isinstance(message, plan.Prepare):
                error = self.misbehave({name for kind, name, _ in message.upserts if kind == "cluster"})
                if error == "silent":
                    continue
                self.prepared = message, descriptors
                await channel.send(plan.Prepared(message.version, error))
            elif isinstance(message, plan.Commit):
                self.commit()
            elif isinstance(message, plan.Abort):
                self.abort()
            elif isinstance(message, plan.Drain) and "stubborn" not in self.sections:
                return

    def misbehave(self, clusters: set[str]) -> str:
        if "crash" in clusters:
            os.kill(os.getpid(), signal.SIGKILL)
        if "refused-by-1" in clusters and self.index == 1:
            return "cluster 'refused-by-1': no"
        return "silent" if "silent" in clusters else ""

    def commit(self) -> None:
        assert self.prepared is not None
        message, descriptors = self.prepared
        self.prepared = None
        self.version = message.version
        if message.full:
            self.sections.clear()
        self.sections -= {name for _, name in message.removed}
        self.sections |= {name for _, name, _ in message.upserts}
        for name, descriptor in zip(message.sockets, descriptors, strict=True):
            self.close(name)
            self.listening[name] = socket.socket(fileno=descriptor)
            asyncio.get_running_loop().add_reader(descriptor, self.accept, self.listening[name])
        for name in set(self.listening) - self.sections:
            self.close(name)

    def close(self, name: str) -> None:
        if name in self.listening:
            asyncio.get_running_loop().remove_reader(self.listening[name])
            self.listening.pop(name).close()

    def abort(self) -> None:
        if self.prepared is not None:
            for descriptor in self.prepared[1]:
                os.close(descriptor)
        self.prepared = None

    def accept(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except BlockingIOError:
            return
        with connection:
            text = f"{self.index} {os.getpid()} {self.version} {' '.join(sorted(self.sections))}"
            connection.sendall(text.encode())


async def agent(control: str) -> None:
    channel = AsyncChannel.from_descriptor(int(os.environ["TAGE_CHANNEL_FD"]))
    reader, writer = await asyncio.open_unix_connection(control)

    async def to_supervisor() -> None:
        while line := await reader.readline():
            await channel.send(msgspec.json.decode(line, type=plan.AnyMessage))

    async def to_test() -> None:
        async for message, _ in channel:
            writer.write(msgspec.json.encode(message) + b"\n")

    tasks = {asyncio.create_task(to_supervisor()), asyncio.create_task(to_test())}
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


def supervise(arguments: list[str]) -> int:
    from tage.sidecar.supervisor.loop import Supervisor

    options = json.loads(arguments[0])
    me = [sys.executable, "-m", "tests.sidecar.supervisor.fakes"]
    return Supervisor(
        options["run_dir"],
        options["workers"],
        options.get("agent", [*me, "agent", options["control"]]),
        drain_seconds=options["drain_seconds"],
        answer_seconds=options["answer_seconds"],
        worker_argv=[*me, "worker"],
    ).run()


def main(what: str, arguments: list[str]) -> int:
    if what == "supervisor":
        return supervise(arguments)
    if what == "agent":
        asyncio.run(agent(arguments[0]))
        return 0
    options = dict(zip(arguments[::2], arguments[1::2], strict=True))
    Path(options["--stats"]).touch()
    asyncio.run(Worker(int(options["--index"])).run(int(options["--channel"])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
