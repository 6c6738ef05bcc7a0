"""The supervisor as a process, with the agent and the workers of `fakes`."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tage.sidecar import plan

pytestmark = pytest.mark.processes

BOUND = 15.0
"""Seconds for anything to happen."""


def until(what: Callable[[], object], bound: float = BOUND) -> None:
    end = time.monotonic() + bound
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def listener(name: str, port: int) -> tuple[str, str, bytes]:
    return ("listener", name, plan.encode(plan.Listener(name, "127.0.0.1", port)))


def cluster(name: str) -> tuple[str, str, bytes]:
    return ("cluster", name, b"")


class Mesh:
    """A supervisor with fakes; the test is the agent's mind."""

    def __init__(
        self,
        tmp_path: Path,
        workers: int = 2,
        drain_seconds: float = 5,
        answer_seconds: float = 10,
        agent: list[str] | None = None,
    ) -> None:
        self.run_dir = tmp_path / "run"
        self.err = tmp_path / "stderr"
        self.control = socket.socket(socket.AF_UNIX)
        self.control.bind(str(tmp_path / "control"))
        self.control.listen()
        self.control.settimeout(BOUND)
        options = {
            "run_dir": str(self.run_dir),
            "workers": workers,
            "drain_seconds": drain_seconds,
            "answer_seconds": answer_seconds,
            "control": str(tmp_path / "control"),
        }
        if agent is not None:
            options["agent"] = agent
        self.command = [sys.executable, "-m", "tests.sidecar.supervisor.fakes", "supervisor", json.dumps(options)]
        with self.err.open("wb") as err:
            self.process = subprocess.Popen(self.command, stderr=err)
        self.agent: socket.socket | None = None

    def accept_agent(self) -> plan.Hello:
        if self.agent is not None:
            self.agent.close()
        self.agent = self.control.accept()[0]
        self.agent.settimeout(BOUND)
        self.lines = self.agent.makefile("rb")
        hello = self.receive()
        assert isinstance(hello, plan.Hello)
        return hello

    def receive(self) -> plan.AnyMessage:
        return msgspec.json.decode(self.lines.readline(), type=plan.AnyMessage)

    def expect(self, message: plan.AnyMessage) -> None:
        """Reads on until it comes."""
        while self.receive() != message:
            pass

    def send(self, message: plan.AnyMessage) -> None:
        assert self.agent is not None
        self.agent.sendall(msgspec.json.encode(message) + b"\n")

    def update(self, version: int, *upserts: tuple[str, str, bytes], full: bool = False) -> str:
        """The result's error."""
        self.send(plan.Update(version, full, list(upserts)))
        while not isinstance(message := self.receive(), plan.Result):
            pass
        assert message.version == version
        return message.error

    def ask(self, port: int) -> tuple[int, int, int, list[str]]:
        """Index, pid, version and sections of the worker that answers."""
        with socket.create_connection(("127.0.0.1", port), BOUND) as sock:
            sock.settimeout(BOUND)
            index, pid, version, *sections = sock.makefile().read().split()
        return int(index), int(pid), int(version), sections

    def log(self) -> str:
        return self.err.read_text()

    def pids(self, who: str) -> list[int]:
        return [int(pid) for pid in re.findall(rf"{who} \(pid (\d+)\) started", self.log())]

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(BOUND)

    def close(self) -> None:
        """Whatever happened: nothing stays."""
        self.control.close()
        if self.agent is not None:
            self.agent.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in self.pids("worker .") + self.pids("agent"):
            try:
                until(lambda pid=pid: not alive(pid), 5)  # type: ignore[misc]
            except AssertionError:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                raise


Start = Callable[..., Mesh]


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Start]:
    started: list[Mesh] = []

    def start(**options: object) -> Mesh:
        started.append(Mesh(tmp_path, **options))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for one in started:
        one.close()


def test_start_update_refusal_and_drain(mesh: Start) -> None:
    sidecar = mesh()
    assert sidecar.accept_agent() == plan.Hello(0, 2)
    port, second = free_port(), free_port()
    assert sidecar.update(1, listener("a", port), cluster("c"), full=True) == ""
    sidecar.expect(plan.WorkerState(2, 1))
    assert sidecar.ask(port)[2:] == (1, ["a", "c"])

    assert sidecar.update(2, listener("b", second), cluster("refused-by-1")) == "cluster 'refused-by-1': no"
    until(lambda: _refused(second))  # once the workers have heard of it
    assert sidecar.ask(port)[2] == 1

    assert sidecar.update(3, listener("b", second)) == ""
    assert sidecar.ask(second)[3] == ["a", "b", "c"]
    answered = {sidecar.ask(port)[0] for _ in range(60)}
    assert answered == {0, 1}  # each worker has its socket

    assert sidecar.update(4, listener("b", second), full=True) == ""
    until(lambda: _refused(port))
    assert sorted(os.listdir(sidecar.run_dir)) == ["shared.bin", "stats-0.bin", "stats-1.bin"]

    workers, agents = sidecar.pids("worker ."), sidecar.pids("agent")
    assert sidecar.end() == 0
    assert not any(alive(pid) for pid in workers + agents)
    assert not sidecar.run_dir.exists()
    assert all(line.startswith("supervisor: ") for line in sidecar.log().splitlines())


def _refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), BOUND).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_worker_is_replaced_while_the_agent_is_dead(mesh: Start) -> None:
    sidecar = mesh(workers=1)
    sidecar.accept_agent()
    port = free_port()
    assert sidecar.update(1, listener("a", port), cluster("c"), full=True) == ""
    agent = sidecar.pids("agent")[0]
    worker = sidecar.ask(port)[1]
    # The agent is stopped, not killed, so that no new one comes: it is as good as dead.
    os.kill(agent, signal.SIGSTOP)
    try:
        os.kill(worker, signal.SIGKILL)
        # The connection waits in the backlog of the socket that the supervisor kept.
        index, pid, version, sections = sidecar.ask(port)
    finally:
        os.kill(agent, signal.SIGCONT)
    assert (index, version, sections) == (0, 1, ["a", "c"])
    assert pid != worker
    assert f"worker 0 (pid {worker}) exited with signal 9; replaced\n" in sidecar.log()
    assert sidecar.end() == 0


def test_the_agent_is_killed_and_comes_back(mesh: Start) -> None:
    sidecar = mesh(workers=1)
    sidecar.accept_agent()
    port = free_port()
    assert sidecar.update(4, listener("a", port), full=True) == ""
    first = sidecar.pids("agent")[0]
    os.kill(first, signal.SIGKILL)
    assert sidecar.ask(port)[2] == 4
    assert sidecar.accept_agent() == plan.Hello(4, 1)
    assert sidecar.receive() == plan.WorkerState(1, 4)
    assert sidecar.update(5, cluster("c")) == ""
    # The result says that all have prepared and were told to commit; a worker's turn to do so comes a little later.
    until(lambda: sidecar.ask(port)[2:] == (5, ["a", "c"]))
    assert f"agent (pid {first}) exited with signal 9; replaced\n" in sidecar.log()
    assert sidecar.end() == 0


def test_a_port_in_use(mesh: Start) -> None:
    sidecar = mesh(workers=1)
    sidecar.accept_agent()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        error = f"listener 'a': cannot listen on 127.0.0.1:{port}: address already in use"
        assert sidecar.update(1, listener("a", port), full=True) == error
    assert sidecar.update(2, listener("a", port), full=True) == ""
    assert sidecar.ask(port)[2] == 2


def test_a_plan_that_kills_every_worker_is_refused_and_the_old_one_goes_on(mesh: Start) -> None:
    sidecar = mesh(workers=2)
    sidecar.accept_agent()
    port = free_port()
    assert sidecar.update(1, listener("a", port), full=True) == ""
    assert sidecar.update(2, cluster("crash")) == "worker died while preparing"
    sidecar.expect(plan.WorkerState(2, 1))
    assert sidecar.ask(port)[2:] == (1, ["a"])
    assert sidecar.update(3, cluster("c")) == ""


def test_a_silent_worker_is_killed_and_replaced(mesh: Start) -> None:
    sidecar = mesh(workers=1, answer_seconds=1.5)
    sidecar.accept_agent()
    port = free_port()
    assert sidecar.update(1, listener("a", port), full=True) == ""
    assert sidecar.update(2, cluster("silent")) == "worker 0 did not answer within 1.5 s"
    assert sidecar.ask(port)[2:] == (1, ["a"])
    assert "did not prepare update 2 within 1.5 s; killed" in sidecar.log()


def test_back_off(mesh: Start) -> None:
    sidecar = mesh(workers=1)
    sidecar.accept_agent()
    for count in range(1, 4):
        os.kill(sidecar.pids("worker 0")[-1], signal.SIGKILL)
        until(lambda count=count: len(sidecar.pids("worker 0")) > count)  # type: ignore[misc]
    ends = re.findall(r"worker 0 .* exited with signal 9; (.*)", sidecar.log())
    assert ends == ["replaced", "replaced in 0.1 s", "replaced in 0.2 s"]


def test_a_worker_that_stays_away_takes_no_connections_along(mesh: Start) -> None:
    sidecar = mesh(workers=2)
    sidecar.accept_agent()
    port = free_port()
    assert sidecar.update(1, listener("a", port), full=True) == ""
    while "replaced in 1.6 s" not in sidecar.log():  # 0, 0.1, 0.2, 0.4, 0.8 come before it
        pid = sidecar.pids("worker 1")[-1]
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    assert {sidecar.ask(port)[0] for _ in range(40)} == {0}
    until(lambda: sidecar.ask(port)[0] == 1)


def test_what_does_not_drain_is_killed(mesh: Start) -> None:
    sidecar = mesh(workers=1, drain_seconds=0.2)
    sidecar.accept_agent()
    assert sidecar.update(1, cluster("stubborn"), full=True) == ""
    began = time.monotonic()
    assert sidecar.end() == 0
    assert 1.2 <= time.monotonic() - began < 4
    assert "is still there at the end; killed" in sidecar.log()
    assert not sidecar.run_dir.exists()


def test_a_second_signal_ends_the_waiting(mesh: Start) -> None:
    sidecar = mesh(workers=1, drain_seconds=60)
    sidecar.accept_agent()
    assert sidecar.update(1, cluster("stubborn"), full=True) == ""
    sidecar.process.send_signal(signal.SIGINT)
    until(lambda: "SIGINT received" in sidecar.log())
    assert sidecar.end(signal.SIGINT) == 0


def test_children_end_with_the_supervisor(mesh: Start) -> None:
    sidecar = mesh()
    sidecar.accept_agent()
    children = sidecar.pids("worker .") + sidecar.pids("agent")
    assert len(children) == 3
    sidecar.process.kill()
    sidecar.process.wait()
    until(lambda: not any(alive(pid) for pid in children))


def test_an_agent_that_refuses_its_configuration(mesh: Start) -> None:
    sidecar = mesh(agent=[sys.executable, "-c", "import sys; sys.exit('no such file: bad.yaml' and 2)"])
    assert sidecar.process.wait(BOUND) == 2
    assert re.search(r"agent \(pid \d+\) exited with status 2: its configuration was refused", sidecar.log())
    assert not sidecar.run_dir.exists()


def test_an_agent_that_is_not_there(mesh: Start) -> None:
    sidecar = mesh(agent=["/nowhere/agent"])
    assert sidecar.process.wait(BOUND) == 2
    assert "supervisor: cannot start agent: /nowhere/agent: No such file or directory" in sidecar.log()


def test_an_agent_that_sends_rubbish_is_replaced(mesh: Start) -> None:
    sidecar = mesh()
    sidecar.accept_agent()
    sidecar.send(plan.Commit(1))
    assert sidecar.accept_agent() == plan.Hello(0, 2)
    assert "cannot be talked to: sent a Commit, which is not its to send; killed" in sidecar.log()


def test_one_supervisor_for_a_run_directory(mesh: Start) -> None:
    sidecar = mesh()
    sidecar.accept_agent()
    command = [sys.executable, "-m", "tage.sidecar.supervisor", "--run-dir", str(sidecar.run_dir)]
    second = subprocess.run([*command, "--workers", "1", "--", "true"], capture_output=True, text=True, timeout=BOUND)
    assert second.returncode == 1
    assert second.stderr == f"supervisor: run directory {sidecar.run_dir}: another supervisor uses it\n"


def test_it_stays_small(tmp_path: Path) -> None:
    """Modules that it must not import; each costs megabytes in every sidecar."""
    code = """if True:
        import sys
        from tage.sidecar.supervisor.__main__ import main
        main(["--run-dir", sys.argv[1], "--workers", "1", "--", "/nowhere/agent"])
        big = {"asyncio", "grpc", "google", "argparse", "subprocess", "inspect", "logging", "yaml", "typer", "uvloop"}
        print(sorted(big & set(sys.modules)))
    """
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "run")], capture_output=True, text=True, timeout=BOUND
    )
    assert done.stdout == "[]\n", done.stderr
