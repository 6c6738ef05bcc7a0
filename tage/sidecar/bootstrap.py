"""What an agent starts with, from an ordinary Envoy v3 bootstrap.

``load_apart`` reads and translates the file in a short-lived child (``python -m tage.sidecar.translate FILE``), so that
an agent with static configuration never loads protobuf. The translation itself is `tage.sidecar.translate.bootstrap`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import sys
from pathlib import Path
from typing import Any

import msgspec

from tage.sidecar import plan
from tage.sidecar.translate.draft import ClusterDraft, ListenerDraft
from tage.sidecar.translate.problem import Problem, TranslateError

CHILD_TIMEOUT = 60.0
"""Seconds for the translating child; loading protobuf and a large file takes about one."""


class Control(msgspec.Struct, frozen=True):
    """The control plane, and what to ask it for."""

    address: str
    """host:port"""
    listeners: bool = True
    clusters: bool = True


class Bootstrap(msgspec.Struct, frozen=True):
    node: dict[str, Any] = {}
    """envoy.config.core.v3.Node as JSON, with proto field names."""
    admin: tuple[str, int] | None = None
    control: Control | None = None
    """None: static configuration only."""
    listeners: list[ListenerDraft] = []
    clusters: list[ClusterDraft] = []
    overload: plan.Overload | None = None


class Outcome(msgspec.Struct, frozen=True):
    """What the child writes. `bootstrap` None: there were problems."""

    bootstrap: Bootstrap | None = None
    problems: list[Problem] = []


async def load_apart(file: str | Path) -> Bootstrap:
    """Raises `TranslateError`, its problems led by the file's name."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tage.sidecar.translate", str(file), stdout=asyncio.subprocess.PIPE
    )
    try:
        output, _ = await asyncio.wait_for(child.communicate(), CHILD_TIMEOUT)
    except TimeoutError:
        child.kill()
        await child.wait()
        raise TranslateError([Problem(str(file), f"translation took longer than {CHILD_TIMEOUT:.0f} s")]) from None
    if child.returncode != 0:
        raise TranslateError([Problem(str(file), f"translation ended with exit status {child.returncode}")])
    outcome = msgspec.msgpack.decode(output, type=Outcome)
    if outcome.bootstrap is None:
        raise TranslateError([Problem(str(file), str(problem)) for problem in outcome.problems])
    return outcome.bootstrap


def is_loopback(host: str) -> bool:
    """Whether `host` is a loopback address, or `localhost`. Admin and control addresses have to be, until there is
    security to protect them elsewhere."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
