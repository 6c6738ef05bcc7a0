"""Playbooks of the two-phase update: feed events, expect commands. No process, no socket, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from tage.sidecar import plan
from tage.sidecar.supervisor import update as up
from tage.sidecar.supervisor.sockets import Address, ListenError
from tage.sidecar.supervisor.update import Kill, Log, ToAgent, ToWorker


class FakeListeners:
    """Descriptor of a listener's socket: its port * 10 + the worker's index."""

    def __init__(self) -> None:
        self.in_force: dict[str, Address] = {}
        self.staged: dict[str, Address] | None = None
        self.refuse = ""

    def stage(self, full: bool, upserts: Mapping[str, Address], removed: Iterable[str]) -> list[str]:
        assert self.staged is None
        if self.refuse:
            raise ListenError(self.refuse)
        self.staged = {} if full else dict(self.in_force)
        for name in removed:
            self.staged.pop(name, None)
        self.staged.update(upserts)
        return [name for name, address in self.staged.items() if self.in_force.get(name) != address]

    def commit(self) -> None:
        assert self.staged is not None
        self.in_force, self.staged = self.staged, None

    def abort(self) -> None:
        self.staged = None

    def names(self) -> list[str]:
        return list(self.in_force)

    def descriptors(self, worker: int, names: Iterable[str], *, staged: bool) -> list[int]:
        listeners = self.staged if staged else self.in_force
        assert listeners is not None
        return [listeners[name][1] * 10 + worker for name in names]


class Book:
    """A coordinator with fake listeners and a clock."""

    def __init__(self, workers: int = 2, started: int | None = None) -> None:
        self.now = 0.0
        self.listeners = FakeListeners()
        self.machine = up.Coordinator(self.listeners, workers)
        assert self.machine.agent_connected() == [
            ToAgent(plan.Hello(0, workers)),
            ToAgent(plan.WorkerState(0, 0)),
        ]
        for index in range(workers if started is None else started):
            assert self.start(index) == [ToAgent(plan.WorkerState(index + 1, 0))]

    def start(self, worker: int) -> list[up.Command]:
        return self.machine.worker_started(worker, self.now)

    def lose(self, worker: int) -> list[up.Command]:
        return self.machine.worker_lost(worker, self.now)

    def update(self, version: int, *, full: bool = False, **clusters: bytes) -> list[up.Command]:
        upserts = [("cluster", name, blob) for name, blob in clusters.items()]
        return self.machine.update(plan.Update(version, full, upserts), self.now)

    def prepared(self, worker: int, version: int, error: str = "") -> list[up.Command]:
        return self.machine.prepared(worker, plan.Prepared(version, error), self.now)

    def after(self, seconds: float) -> list[up.Command]:
        self.now += seconds
        return self.machine.tick(self.now)

    def in_force(self, version: int, **clusters: bytes) -> None:
        """Brings an update through all live workers."""
        workers = [
            command.worker for command in self.update(version, full=False, **clusters) if isinstance(command, ToWorker)
        ]
        for worker in workers:
            commands = self.prepared(worker, version)
        assert ToAgent(plan.Result(version)) in commands


def prepare(version: int, full: bool = False, **clusters: bytes) -> plan.Prepare:
    return plan.Prepare(version, full, [("cluster", name, blob) for name, blob in clusters.items()])


def refused(version: int, error: str) -> list[up.Command]:
    return [Log(f"update {version} refused: {error}"), ToAgent(plan.Result(version, error))]


def listener(name: str, port: int) -> tuple[str, str, bytes]:
    return ("listener", name, plan.encode(plan.Listener(name, "127.0.0.1", port)))


# -- two phases --------------------------------------------------------------------------------------------------------


def test_all_prepare_then_all_commit() -> None:
    book = Book()
    assert book.update(1, full=True, a=b"A") == [
        ToWorker(0, prepare(1, True, a=b"A")),
        ToWorker(1, prepare(1, True, a=b"A")),
    ]
    assert book.prepared(1, 1) == []
    assert book.machine.version == 0
    assert book.prepared(0, 1) == [
        ToWorker(0, plan.Commit(1)),
        ToWorker(1, plan.Commit(1)),
        ToAgent(plan.Result(1)),
        ToAgent(plan.WorkerState(2, 1)),
    ]
    assert book.machine.version == 1
    assert book.machine.deadline() is None


def test_one_refusal_aborts_everywhere() -> None:
    book = Book()
    book.update(1, a=b"A")
    book.prepared(0, 1)
    assert book.prepared(1, 1, "cluster 'a': no") == [
        ToWorker(0, plan.Abort(1)),
        ToWorker(1, plan.Abort(1)),
        *refused(1, "cluster 'a': no"),
    ]
    assert book.machine.version == 0


def test_an_answer_to_an_aborted_prepare_is_not_taken_for_the_next() -> None:
    """The agent may use a refused version again; on the workers' channels a number is used once."""
    book = Book()
    book.update(1, a=b"A")
    book.prepared(0, 1, "no")
    assert book.update(1, a=b"B") == [ToWorker(0, prepare(2, a=b"B")), ToWorker(1, prepare(2, a=b"B"))]
    assert book.prepared(1, 1) == []  # late, from before the abort
    assert book.prepared(0, 2) == []
    assert book.prepared(1, 2)[-2:] == [ToAgent(plan.Result(1)), ToAgent(plan.WorkerState(2, 1))]


def test_versions_only_go_up() -> None:
    book = Book()
    book.in_force(5)
    assert book.update(5) == refused(5, "version 5 is not above 5, which is in force")


def test_updates_wait_in_line() -> None:
    book = Book(1)
    book.update(1, a=b"A")
    for version in range(2, 2 + up.MAX_WAITING):
        assert book.update(version) == []
    assert book.update(99) == refused(99, "busy")
    assert book.prepared(0, 1) == [
        ToWorker(0, plan.Commit(1)),
        ToAgent(plan.Result(1)),
        ToWorker(0, prepare(2)),
        ToAgent(plan.WorkerState(1, 1)),
    ]
    assert book.prepared(0, 2, "no") == [ToWorker(0, plan.Abort(2)), *refused(2, "no"), ToWorker(0, prepare(3))]


def test_sections_merge_go_away_and_are_replaced() -> None:
    book = Book(1)
    book.in_force(1, a=b"A", b=b"B")
    book.machine.update(plan.Update(2, False, [("cluster", "c", b"C")], [("cluster", "a")]), 0)
    book.prepared(0, 2)
    book.lose(0)
    assert ToWorker(0, prepare(2, True, b=b"B", c=b"C")) in book.start(0)
    book.prepared(0, 2)
    book.update(3, full=True, d=b"D")
    book.prepared(0, 3)
    book.lose(0)
    assert ToWorker(0, prepare(3, True, d=b"D")) in book.start(0)


def test_a_plan_that_no_frame_can_carry() -> None:
    book = Book(1)
    blob = bytes(up.MAX_PLAN // 2)
    book.in_force(1, a=blob)
    (log, result) = book.update(2, b=blob)
    assert isinstance(log, Log)
    assert isinstance(result, ToAgent)
    assert "the plan would take" in log.text


# -- listeners ---------------------------------------------------------------------------------------------------------


def test_new_listeners_sockets_go_along() -> None:
    book = Book()
    one, two = listener("one", 1001), listener("two", 1002)
    assert book.machine.update(plan.Update(1, True, [one, two]), 0) == [
        ToWorker(0, plan.Prepare(1, True, [one, two], [], ["one", "two"]), (10010, 10020)),
        ToWorker(1, plan.Prepare(1, True, [one, two], [], ["one", "two"]), (10011, 10021)),
    ]
    book.prepared(0, 1)
    book.prepared(1, 1)
    moved = listener("two", 1003)
    commands = book.machine.update(plan.Update(2, False, [one, moved]), 0)
    assert commands[1] == ToWorker(1, plan.Prepare(2, False, [one, moved], [], ["two"]), (10031,))
    book.prepared(0, 2, "no")
    assert book.listeners.in_force == {"one": ("127.0.0.1", 1001), "two": ("127.0.0.1", 1002)}
    assert book.listeners.staged is None


def test_a_replacement_gets_all_sockets_of_the_plan_in_force_while_an_update_is_under_way() -> None:
    book = Book()
    one, two = listener("one", 1001), listener("one", 1002)
    book.machine.update(plan.Update(1, True, [one]), 0)
    book.prepared(0, 1)
    book.prepared(1, 1)
    book.machine.update(plan.Update(2, False, [two]), 0)
    book.lose(1)
    assert book.start(1) == [ToWorker(1, plan.Prepare(1, True, [one], [], ["one"]), (10011,))]
    assert book.prepared(1, 1)[:2] == [
        ToWorker(1, plan.Commit(1)),
        ToWorker(1, plan.Prepare(2, False, [two], [], ["one"]), (10021,)),
    ]


def test_a_port_in_use_refuses_the_update_and_the_next_goes_on() -> None:
    book = Book(1)
    book.listeners.refuse = "listener 'x': cannot listen on 127.0.0.1:1: address already in use"
    assert book.update(1) == refused(1, book.listeners.refuse)
    book.listeners.refuse = ""
    book.in_force(2)


def test_a_listener_that_cannot_be_read() -> None:
    book = Book(1)
    commands = book.machine.update(plan.Update(1, True, [("listener", "x", b"\x81\xa4name\x01")]), 0)
    assert isinstance(commands[0], Log)
    assert commands[0].text.startswith("update 1 refused: listener 'x': ")
    assert "$.name" in commands[0].text


# -- workers that die, are silent, or start ----------------------------------------------------------------------------


def test_a_silent_worker_is_killed_and_the_update_refused() -> None:
    book = Book()
    book.update(1)
    book.prepared(0, 1)
    assert book.machine.deadline() == 10
    assert book.after(9.9) == []
    assert book.after(0.1) == [
        Kill(1, "did not prepare update 1 within 10 s"),
        ToWorker(0, plan.Abort(1)),
        *refused(1, "worker 1 did not answer within 10 s"),
        ToAgent(plan.WorkerState(1, 0)),
    ]
    assert book.lose(1) == []


def test_a_worker_that_dies_leaves_the_update_to_the_others() -> None:
    book = Book()
    book.update(1, a=b"A")
    book.prepared(0, 1)
    assert book.lose(1) == [
        ToWorker(0, plan.Commit(1)),
        ToAgent(plan.Result(1)),
        ToAgent(plan.WorkerState(1, 1)),
    ]
    assert book.start(1) == [ToWorker(1, prepare(1, True, a=b"A"))]
    assert book.prepared(1, 1) == [ToWorker(1, plan.Commit(1)), ToAgent(plan.WorkerState(2, 1))]


def test_the_only_worker_dies_while_preparing() -> None:
    book = Book(1)
    book.update(1)
    assert book.lose(0) == [*refused(1, "worker died while preparing"), ToAgent(plan.WorkerState(0, 0))]


def test_an_update_waits_for_the_first_worker() -> None:
    book = Book(2, started=0)
    assert book.update(1) == []
    book.now = 9
    assert book.start(0) == [ToWorker(0, prepare(1)), ToAgent(plan.WorkerState(1, 0))]
    assert book.prepared(0, 1)[0] == ToWorker(0, plan.Commit(1))


def test_no_worker_within_the_bound() -> None:
    book = Book(1, started=0)
    book.update(1)
    assert book.after(10) == refused(1, "no worker was running within 10 s")


def test_an_update_waits_a_little_for_a_replacement() -> None:
    book = Book()
    book.in_force(1, a=b"A")
    book.lose(1)
    book.start(1)
    assert book.update(2, b=b"B") == [ToWorker(0, prepare(2, b=b"B"))]
    assert book.prepared(0, 2) == []
    assert book.machine.deadline() == up.CATCH_UP_SECONDS
    assert book.prepared(1, 1) == [
        ToWorker(1, plan.Commit(1)),
        ToWorker(1, prepare(2, b=b"B")),
        ToAgent(plan.WorkerState(2, 1)),
    ]
    assert book.prepared(1, 2)[:2] == [ToWorker(0, plan.Commit(2)), ToWorker(1, plan.Commit(2))]


def test_a_replacement_that_does_not_get_up_holds_up_nobody() -> None:
    book = Book()
    book.in_force(1, a=b"A")
    book.lose(1)
    book.start(1)
    book.update(2, b=b"B")
    book.prepared(0, 2)
    assert book.after(up.CATCH_UP_SECONDS) == [
        ToWorker(0, plan.Commit(2)),
        ToWorker(1, plan.Abort(1)),
        ToWorker(1, prepare(2, True, a=b"A", b=b"B")),
        ToAgent(plan.Result(2)),
        ToAgent(plan.WorkerState(1, 2)),
    ]
    assert book.prepared(1, 1) == []  # late
    book.in_force(3)
    assert book.after(8) == [Kill(1, "did not take the plan in force within 10 s")]
    assert book.machine.deadline() is None


def test_a_replacement_that_refuses_the_plan_in_force_is_killed() -> None:
    book = Book(1)
    book.in_force(1)
    book.lose(0)
    book.start(0)
    assert book.prepared(0, 1, "cannot") == [Kill(0, "refused the plan in force: cannot")]
    assert book.lose(0) == []
    assert book.start(0) == [ToWorker(0, prepare(1, True))]
    assert book.prepared(0, 1) == [ToWorker(0, plan.Commit(1)), ToAgent(plan.WorkerState(1, 1))]


# -- the agent ---------------------------------------------------------------------------------------------------------


def test_without_an_agent_a_replacement_gets_the_plan() -> None:
    book = Book(1)
    book.in_force(7, a=b"A")
    assert book.machine.agent_lost() == []
    assert book.lose(0) == []
    assert book.start(0) == [ToWorker(0, prepare(7, True, a=b"A"))]
    assert book.prepared(0, 7) == [ToWorker(0, plan.Commit(7))]
    assert book.machine.agent_connected() == [ToAgent(plan.Hello(7, 1)), ToAgent(plan.WorkerState(1, 7))]


def test_a_new_agent_is_told_the_endpoints_in_force() -> None:
    book = Book(1)
    book.machine.update(plan.Update(7, True, [("cluster", "a", b"A"), ("endpoints", "a", b"E")]), book.now)
    assert book.machine.agent_lost() == [ToWorker(0, plan.Abort(7))]
    assert book.machine.agent_connected()[0] == ToAgent(plan.Hello(0, 1))  # it never was in force
    book.machine.update(plan.Update(7, True, [("cluster", "a", b"A"), ("endpoints", "a", b"E")]), book.now)
    book.prepared(0, 8)
    book.machine.agent_lost()
    assert book.machine.agent_connected()[0] == ToAgent(plan.Hello(7, 1, [b"E"]))


def test_an_agent_that_dies_takes_its_updates_along() -> None:
    book = Book(1)
    book.in_force(7)
    book.update(8, a=b"A")
    book.update(9, b=b"B")
    assert book.machine.agent_lost() == [ToWorker(0, plan.Abort(8))]
    assert book.machine.agent_connected()[0] == ToAgent(plan.Hello(7, 1))
    assert book.update(8, c=b"C") == [ToWorker(0, prepare(9, c=b"C"))]
    assert book.prepared(0, 8) == []  # of the first 8
    assert ToAgent(plan.Result(8)) in book.prepared(0, 9)
    # A replacement hears the number that the other workers have.
    book.lose(0)
    assert book.start(0)[0] == ToWorker(0, prepare(9, True, c=b"C"))


@pytest.mark.parametrize("phase", ["idle", "preparing"])
def test_unknown_workers_and_stray_answers_change_nothing(phase: str) -> None:
    book = Book(1)
    if phase == "preparing":
        book.update(1)
    assert book.prepared(5, 1) == []
    assert book.prepared(0, 77, "what?") == []
    assert book.lose(5) == []
