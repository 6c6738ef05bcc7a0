"""Starting a child on its channel, and how long to wait before it is started again."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Mapping

from tage.sidecar.channel import SelectorChannel

FIRST_DELAY = 0.1
MAX_DELAY = 5.0
STEADY = 30.0
"""Seconds after which a child counts as having worked."""


class Backoff:
    """Seconds to wait before a restart: 0 the first time, then `FIRST_DELAY` doubling to `MAX_DELAY`.

    It starts anew when the child has lived for `STEADY` seconds.
    """

    __slots__ = ("_failures",)

    def __init__(self) -> None:
        self._failures = 0

    def delay(self, lived: float) -> float:
        """Call it once for each end of the child, which lived so many seconds."""
        if lived >= STEADY:
            self._failures = 0
        self._failures += 1
        if self._failures == 1:
            return 0.0
        # The exponent is bounded because a float's range is, and a child can fail for years.
        return min(FIRST_DELAY * 2 ** min(self._failures - 2, 16), MAX_DELAY)


class Child:
    """A running child. `channel` is None from when it was given up until the process has ended."""

    __slots__ = ("channel", "kill_at", "pid", "started")

    def __init__(self, pid: int, channel: SelectorChannel) -> None:
        self.pid = pid
        self.channel: SelectorChannel | None = channel
        self.started = time.monotonic()
        self.kill_at: float | None = None


def start(command: Callable[[int], list[str]], environment: Callable[[int], Mapping[str, str]]) -> Child:
    """Starts what `command` and `environment` say, given the number of the descriptor of the child's channel end.

    Output and working directory are inherited, input is empty. Raises `OSError`.
    """
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            theirs.set_inheritable(True)
            argv = command(theirs.fileno())
            pid = os.posix_spawnp(
                argv[0],
                argv,
                environment(theirs.fileno()),
                file_actions=[(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)],
                # A terminal sends SIGINT to all of us; the supervisor is who decides how the others end. SIGUSR1 and
                # SIGUSR2 wait until a worker, or the agent, has a handler for it.
                setsigmask=[signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2],
                # Python ignores these two; exec would hand that on.
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
            )
    except BaseException:
        ours.close()
        raise
    return Child(pid, SelectorChannel(ours))
