"""`explain` in a short-lived child (``python -m tage.sidecar.explain``), so that an agent neither loads the data plane
nor keeps its memory, and goes on with its own work meanwhile."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tage.sidecar import plan
from tage.sidecar.explain.findings import Explanation

TIMEOUT = 60.0
"""Seconds for the child; a table of ten thousand virtual hosts takes it about one."""

KINDS = ("overload", "listener", "routes", "cluster", "endpoints")
"""Kinds of sections that are looked at; certificates and keys are not, and do not leave the agent."""


class Question(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """`target` is a URL, or a path with a `host` header. `source` is the client's address. `listener` is a listener's
    name, address:port or port. `draw` draws one of the clusters that share the traffic, as a request would."""

    target: str
    method: str = "GET"
    headers: list[tuple[str, str]] = []
    source: str = ""
    listener: str = ""
    sni: str = ""
    draw: bool = False


class QuestionError(Exception):
    """It is no request, or it does not say enough; in the user's words."""


def header(text: str) -> tuple[str, str]:
    """From `NAME: VALUE`, as curl's -H takes it. Raises `QuestionError`."""
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise QuestionError(f"header {text!r}: give NAME: VALUE")
    return name.strip(), value.strip()


class Task(msgspec.Struct, frozen=True):
    """What the child reads: encoded sections as in `plan.Update`; the sidecar's run directory, empty: none."""

    sections: list[tuple[str, str, bytes]]
    question: Question
    run_dir: str = ""


class Answer(msgspec.Struct, frozen=True):
    """What it writes. `explanation` None: `error` says why there is none."""

    explanation: Explanation | None = None
    error: str = ""


async def explain_apart(sections: Mapping[plan.SectionKey, bytes], question: Question, run_dir: Path) -> Explanation:
    """`run_dir` is where the workers say what they know of hosts. Raises `QuestionError`."""
    task = Task(
        [(kind, name, blob) for (kind, name), blob in sections.items() if kind in KINDS], question, str(run_dir)
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tage.sidecar.explain", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(TIMEOUT):
            output, _ = await child.communicate(msgspec.msgpack.encode(task))
    except (TimeoutError, asyncio.CancelledError) as error:
        child.kill()
        await child.wait()
        if isinstance(error, TimeoutError):
            raise QuestionError(f"the answer took longer than {TIMEOUT:.0f} s") from None
        raise
    if child.returncode != 0:
        raise QuestionError(f"explaining ended with exit status {child.returncode}; the sidecar's log says more")
    answer = msgspec.msgpack.decode(output, type=Answer)
    if answer.explanation is None:
        raise QuestionError(answer.error)
    return answer.explanation
