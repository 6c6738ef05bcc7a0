"""Messages on the channels agent <-> supervisor <-> worker."""

from __future__ import annotations

import msgspec


class Message(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """One frame on a channel."""


class Hello(Message, frozen=True):
    """Supervisor -> agent, first. `version` is that of the plan in force (0: none); the agent's next is higher.
    `workers` is how many there are. `endpoints` are the sections of that kind, encoded: names that a former agent could
    resolve may not be resolvable now."""

    version: int
    workers: int
    endpoints: list[bytes] = []


class Update(Message, frozen=True):
    """Agent -> supervisor: make this the plan. `full`: what is not named goes away."""

    version: int
    full: bool
    upserts: list[tuple[str, str, bytes]]
    """(kind, name, encoded section)"""
    removed: list[tuple[str, str]] = []


class Prepare(Message, frozen=True):
    """Supervisor -> worker: an `Update`, with the sockets of its new listeners.
    One descriptor of the frame for each name in `sockets`, in order."""

    version: int
    full: bool
    upserts: list[tuple[str, str, bytes]]
    removed: list[tuple[str, str]] = []
    sockets: list[str] = []


class Prepared(Message, frozen=True):
    """Worker -> supervisor. `error` empty: ready to commit."""

    version: int
    error: str = ""


class Commit(Message, frozen=True):
    """Supervisor -> worker: swap."""

    version: int


class Abort(Message, frozen=True):
    """Supervisor -> worker: throw the prepared tables away."""

    version: int


class Result(Message, frozen=True):
    """Supervisor -> agent: what became of an `Update`. `error` empty: in force in all live workers."""

    version: int
    error: str = ""


class WorkerState(Message, frozen=True):
    """Supervisor -> agent, whenever it changes: how many workers are live with the plan in force."""

    live: int
    version: int


class Drain(Message, frozen=True):
    """Supervisor -> worker, before it ends: stop accepting, answer what is under way, close; exit within `seconds`."""

    seconds: float


AnyMessage = Hello | Update | Prepare | Prepared | Commit | Abort | Result | WorkerState | Drain
