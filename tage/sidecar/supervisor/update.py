"""The two-phase update of the plan, as a pure state machine: events in, commands out, the time given from outside.

One update is under way at a time, others wait in line::

    Update -> sockets staged -> Prepare to every live worker
                                  all Prepared    -> Commit to all, Result "" to the agent
                                  one refuses     -> Abort to all, Result with the reason
                                  one is silent   -> it is killed; Abort to the others, Result with the reason

A worker that starts is brought to the plan in force first (Prepare with all of it, Prepared, Commit) and joins the
update under way then. The update waits for it a little, so that a replacement does not miss a series of quick updates,
but a worker that does not get up never holds up the others: it gets the newer plan when it is behind after a commit.

Labels. On a worker's channel a plan has the agent's version, except that a number is never used twice there: an agent
that starts again counts on from the version in force and would reuse those that were refused, and a late answer to the
older one would pass for an answer to the newer one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Protocol

import msgspec

from tage.sidecar import plan
from tage.sidecar.channel import MAX_FRAME
from tage.sidecar.supervisor.sockets import Address, ListenError

ANSWER_SECONDS = 10.0
"""For one update, from its start; and for a starting worker to take the plan in force."""
CATCH_UP_SECONDS = 2.0
"""After a worker's start: so long an update waits for it while others are ready."""
MAX_WAITING = 16
"""Updates in line."""
MAX_PLAN = MAX_FRAME - (1 << 20)
"""Bytes of all sections: a worker that starts gets them in one frame."""
_SECTION_OVERHEAD = 32
"""Bytes that a frame adds to name (up to four a character) and section at most, the kind included."""


class ToWorker(msgspec.Struct, frozen=True):
    """Send it, with these descriptors, which stay the supervisor's."""

    worker: int
    message: plan.AnyMessage
    descriptors: tuple[int, ...] = ()


class ToAgent(msgspec.Struct, frozen=True):
    """Send it."""

    message: plan.AnyMessage


class Kill(msgspec.Struct, frozen=True):
    """End this worker's process now; no `worker_lost` is needed for it."""

    worker: int
    reason: str


class Log(msgspec.Struct, frozen=True):
    """Tell the operator."""

    text: str


Command = ToWorker | ToAgent | Kill | Log


class Listeners(Protocol):
    """What the machine asks of `sockets.ListenerSockets`."""

    def stage(self, full: bool, upserts: Mapping[str, Address], removed: Iterable[str]) -> list[str]: ...
    def commit(self) -> None: ...
    def abort(self) -> None: ...
    def names(self) -> list[str]: ...
    def descriptors(self, worker: int, names: Iterable[str], *, staged: bool) -> list[int]: ...


class _Phase(Enum):
    CATCHING_UP = "was sent the plan in force"
    LIVE = "has the plan in force"
    PREPARING = "live, was sent the update"
    PREPARED = "live, ready to commit the update"


class _Worker:
    __slots__ = ("label", "phase", "started")

    def __init__(self, now: float) -> None:
        self.phase = _Phase.LIVE
        self.label = 0
        """Of the plan that it catches up with."""
        self.started = now


class _Rollout:
    """The update under way."""

    __slots__ = ("deadline", "label", "names", "sections", "update")

    def __init__(
        self, update: plan.Update, label: int, sections: dict[plan.SectionKey, bytes], names: list[str], deadline: float
    ) -> None:
        self.update = update
        self.label = label
        self.sections = sections
        """Of the plan after it."""
        self.names = names
        """Of the listeners whose sockets go along."""
        self.deadline = deadline


class Coordinator:
    """Keeps the plan in force and brings it to the workers. An event returns the commands that it causes, in order."""

    def __init__(self, listeners: Listeners, workers: int, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._listeners = listeners
        self._slots = workers
        self._answer_seconds = answer_seconds
        self._workers: dict[int, _Worker] = {}
        self._sections: dict[plan.SectionKey, bytes] = {}
        self._version = 0
        self._label = 0
        """The highest that was used; `_label_in_force` is that of the plan in force."""
        self._label_in_force = 0
        self._waiting: deque[plan.Update] = deque()
        self._rollout: _Rollout | None = None
        self._agent = False
        self._reported = plan.WorkerState(0, 0)
        self._out: list[Command] = []

    @property
    def version(self) -> int:
        """Of the plan in force; 0: there is none yet."""
        return self._version

    @property
    def live(self) -> int:
        """Workers that have the plan in force."""
        return self._state().live

    def deadline(self) -> float | None:
        """When `tick` is due."""
        due = [worker.started + self._answer_seconds for worker in self._catching_up()]
        if self._rollout is not None:
            due.append(self._rollout.deadline)
            if self._all_answered():
                due += [worker.started + CATCH_UP_SECONDS for worker in self._catching_up()]
        return min(due, default=None)

    # -- events --------------------------------------------------------------------------------------------------------

    def agent_connected(self) -> list[Command]:
        self._agent = True
        self._reported = self._state()
        endpoints = [blob for (kind, _), blob in self._sections.items() if kind == "endpoints"]
        self._to_agent(plan.Hello(self._version, self._slots, endpoints))
        self._to_agent(self._reported)
        return self._commands()

    def agent_lost(self) -> list[Command]:
        """Drops what the agent asked for and did not live to hear about: the next one counts from the plan in force."""
        self._agent = False
        self._waiting.clear()
        if self._rollout is not None:
            self._abort()
        return self._commands()

    def update(self, update: plan.Update, now: float) -> list[Command]:
        if len(self._waiting) >= MAX_WAITING:
            self._refuse(update, "busy")
        else:
            self._waiting.append(update)
            self._next(now)
        return self._commands()

    def worker_started(self, worker: int, now: float) -> list[Command]:
        self._workers[worker] = _Worker(now)
        if self._version:
            self._catch_up(worker)
        else:
            self._join(worker)
        return self._commands()

    def worker_lost(self, worker: int, now: float) -> list[Command]:
        """Its process or its channel ended. Without effect for one that is not known."""
        lost = self._workers.pop(worker, None)
        if lost is not None and self._rollout is not None:
            if lost.phase is not _Phase.CATCHING_UP and not self._taking_part():
                self._fail("worker died while preparing", now)
            else:
                self._commit_if_ready(now)
        return self._commands()

    def prepared(self, number: int, message: plan.Prepared, now: float) -> list[Command]:
        worker = self._workers.get(number)
        rollout = self._rollout
        if worker is None:
            pass
        elif worker.phase is _Phase.CATCHING_UP and message.version == worker.label:
            if message.error:
                self._kill(number, f"refused the plan in force: {message.error}")
                self._commit_if_ready(now)
            else:
                self._to_worker(number, plan.Commit(worker.label))
                worker.phase = _Phase.LIVE
                self._join(number)
        elif worker.phase is _Phase.PREPARING and rollout is not None and message.version == rollout.label:
            if message.error:
                self._fail(message.error, now)
            else:
                worker.phase = _Phase.PREPARED
                self._commit_if_ready(now)
        # Anything else answers a Prepare that was aborted since.
        return self._commands()

    def tick(self, now: float) -> list[Command]:
        for number, worker in list(self._workers.items()):
            if worker.phase is _Phase.CATCHING_UP and now >= worker.started + self._answer_seconds:
                self._kill(number, f"did not take the plan in force within {self._answer_seconds:g} s")
        rollout = self._rollout
        if rollout is not None and now >= rollout.deadline:
            silent = [number for number, worker in self._workers.items() if worker.phase is _Phase.PREPARING]
            for number in silent:
                self._kill(number, f"did not prepare update {rollout.update.version} within {self._answer_seconds:g} s")
            if silent:
                who = "worker " + ", ".join(map(str, silent))
                self._fail(f"{who} did not answer within {self._answer_seconds:g} s", now)
            elif not self._taking_part():
                self._fail(f"no worker was running within {self._answer_seconds:g} s", now)
        self._commit_if_ready(now)
        return self._commands()

    # -- one update ----------------------------------------------------------------------------------------------------

    def _next(self, now: float) -> None:
        """Starts the update that is first in line, unless one is under way."""
        while self._rollout is None and self._waiting:
            update = self._waiting.popleft()
            try:
                self._rollout = self._staged(update, now)
            except (ListenError, _Refused) as error:
                self._refuse(update, str(error))
                continue
            self._label = self._rollout.label
            for number in self._workers:
                self._join(number)

    def _staged(self, update: plan.Update, now: float) -> _Rollout:
        if update.version <= self._version:
            raise _Refused(f"version {update.version} is not above {self._version}, which is in force")
        sections = {} if update.full else dict(self._sections)
        for key in update.removed:
            sections.pop(key, None)
        for kind, name, blob in update.upserts:
            sections[kind, name] = blob
        size = sum(4 * len(name) + len(blob) + _SECTION_OVERHEAD for (_, name), blob in sections.items())
        size += sum(4 * len(name) + _SECTION_OVERHEAD for _, name in update.removed)
        if size > MAX_PLAN:
            raise _Refused(f"the plan would take {size} bytes: at most {MAX_PLAN}")
        removed = [name for kind, name in update.removed if kind == "listener"]
        names = self._listeners.stage(update.full, _addresses(update), removed)
        return _Rollout(update, max(self._label + 1, update.version), sections, names, now + self._answer_seconds)

    def _join(self, number: int) -> None:
        """A live worker takes part in the update under way."""
        rollout, worker = self._rollout, self._workers[number]
        if rollout is None or worker.phase is not _Phase.LIVE:
            return
        worker.phase = _Phase.PREPARING
        update = rollout.update
        message = plan.Prepare(rollout.label, update.full, update.upserts, update.removed, rollout.names)
        self._to_worker(number, message, self._listeners.descriptors(number, rollout.names, staged=True))

    def _commit_if_ready(self, now: float) -> None:
        rollout = self._rollout
        if rollout is None or not self._all_answered():
            return
        if any(now < worker.started + CATCH_UP_SECONDS for worker in self._catching_up()):
            return
        self._rollout = None
        self._version, self._sections = rollout.update.version, rollout.sections
        self._label_in_force = rollout.label
        for number, worker in self._workers.items():
            if worker.phase is _Phase.PREPARED:
                worker.phase = _Phase.LIVE
                self._to_worker(number, plan.Commit(rollout.label))
        self._listeners.commit()
        for number, worker in self._workers.items():
            if worker.phase is _Phase.CATCHING_UP:
                self._to_worker(number, plan.Abort(worker.label))
                self._catch_up(number)
        self._to_agent(plan.Result(rollout.update.version))
        self._next(now)

    def _fail(self, error: str, now: float) -> None:
        """Refuses the update under way."""
        assert self._rollout is not None
        update = self._rollout.update
        self._abort()
        self._refuse(update, error)
        self._next(now)

    def _abort(self) -> None:
        assert self._rollout is not None
        label, self._rollout = self._rollout.label, None
        for number, worker in self._workers.items():
            if worker.phase in (_Phase.PREPARING, _Phase.PREPARED):
                worker.phase = _Phase.LIVE
                self._to_worker(number, plan.Abort(label))
        self._listeners.abort()

    def _refuse(self, update: plan.Update, error: str) -> None:
        self._out.append(Log(f"update {update.version} refused: {error}"))
        self._to_agent(plan.Result(update.version, error))

    # -- workers -------------------------------------------------------------------------------------------------------

    def _catch_up(self, number: int) -> None:
        worker = self._workers[number]
        worker.phase, worker.label = _Phase.CATCHING_UP, self._label_in_force
        upserts = [(kind, name, blob) for (kind, name), blob in self._sections.items()]
        names = self._listeners.names()
        message = plan.Prepare(worker.label, True, upserts, [], names)
        self._to_worker(number, message, self._listeners.descriptors(number, names, staged=False))

    def _catching_up(self) -> list[_Worker]:
        return [worker for worker in self._workers.values() if worker.phase is _Phase.CATCHING_UP]

    def _taking_part(self) -> bool:
        return any(worker.phase in (_Phase.PREPARING, _Phase.PREPARED) for worker in self._workers.values())

    def _all_answered(self) -> bool:
        """Every worker that was asked to prepare has, and there is one."""
        phases = {worker.phase for worker in self._workers.values()}
        return _Phase.PREPARED in phases and _Phase.PREPARING not in phases

    def _kill(self, number: int, reason: str) -> None:
        del self._workers[number]
        self._out.append(Kill(number, reason))

    # -- output --------------------------------------------------------------------------------------------------------

    def _state(self) -> plan.WorkerState:
        live = sum(worker.phase is not _Phase.CATCHING_UP for worker in self._workers.values())
        return plan.WorkerState(live, self._version)

    def _to_worker(self, number: int, message: plan.AnyMessage, descriptors: Iterable[int] = ()) -> None:
        self._out.append(ToWorker(number, message, tuple(descriptors)))

    def _to_agent(self, message: plan.AnyMessage) -> None:
        if self._agent:
            self._out.append(ToAgent(message))

    def _commands(self) -> list[Command]:
        state = self._state()
        if state != self._reported:
            self._reported = state
            self._to_agent(state)
        commands, self._out = self._out, []
        return commands


class _Refused(Exception):
    """An update that no worker is asked about."""


def _addresses(update: plan.Update) -> dict[str, Address]:
    """Of the listeners that an update brings. Raises `_Refused`."""
    addresses: dict[str, Address] = {}
    for kind, name, blob in update.upserts:
        if kind != "listener":
            continue
        try:
            listener = plan.decode(kind, blob)
        except msgspec.DecodeError as error:
            raise _Refused(f"listener {name!r}: {error}") from error
        assert isinstance(listener, plan.Listener)
        addresses[name] = listener.address, listener.port
    return addresses
