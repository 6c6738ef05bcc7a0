"""The supervisor's loop: channels, signals and timers in one `selectors` loop; every wait has an end.

A child learns from the end of its channel that the supervisor is gone, and the supervisor that the child is. A child
whose channel ended or broke the rules gets no second one: unless it ends by itself it is killed, and started again.

Start: the workers, then the agent. End, on SIGTERM, SIGINT or SIGHUP: Drain to the workers, SIGTERM to the agent, the
listening sockets closed; what is left after the drain time, or at a second signal, is killed.

SIGUSR1 goes on to the workers, which open their access logs anew; SIGUSR2 to the agent, which reads its bootstrap anew.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence

from tage.sidecar import plan
from tage.sidecar.channel import ChannelClosed, ChannelError, FrameError, SelectorChannel, close_all, encode
from tage.sidecar.supervisor.children import Backoff, Child, start
from tage.sidecar.supervisor.rundir import RunDirectory
from tage.sidecar.supervisor.sockets import ListenerSockets
from tage.sidecar.supervisor.update import ANSWER_SECONDS, Command, Coordinator, Kill, Log, ToAgent, ToWorker

END_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
LAST_WORDS_SECONDS = 1.0
"""From the end of a child's channel to SIGKILL: time to exit with a status of its own."""
DRAIN_MARGIN_SECONDS = 1.0
"""Beyond the drain time, for a worker to exit."""
REAP_SECONDS = 5.0
"""For the kernel to end a killed process."""
PAUSE_SECONDS = 1.0
"""A worker that starts again later than this does not keep connections waiting for it while others are live."""
WORKER_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(1 << 20), "MALLOC_TRIM_THRESHOLD_": str(2 << 20)}
"""glibc's own (mallopt(3)) give the memory of a read's 256 KiB back to the kernel each time, and every page of the next
one is a fault: a large chunked body cost seven times the system time. Variables that are set already stand."""
CONFIGURATION_ERROR = 2
"""Exit status of an agent whose configuration is wrong, and then the supervisor's own."""


class _Slot:
    """The place of one child: a worker's index or None for the agent, who runs in it, when the next one starts."""

    __slots__ = ("backoff", "child", "restart_at", "worker")

    def __init__(self, worker: int | None) -> None:
        self.worker = worker
        self.child: Child | None = None
        self.backoff = Backoff()
        self.restart_at: float | None = None

    @property
    def name(self) -> str:
        who = "agent" if self.worker is None else f"worker {self.worker}"
        return who if self.child is None else f"{who} (pid {self.child.pid})"


class Supervisor:
    """`run` it once, on the main thread."""

    def __init__(
        self,
        run_dir: str,
        workers: int,
        agent_argv: Sequence[str],
        *,
        drain_seconds: float = 5.0,
        answer_seconds: float = ANSWER_SECONDS,
        worker_argv: Sequence[str] = (sys.executable, "-m", "tage.sidecar.worker"),
    ) -> None:
        """`worker_argv` is followed by `--channel FD --stats FILE --shared FILE --index N`; the agent finds its
        channel's descriptor in the environment, TAGE_CHANNEL_FD. Raises `RunDirectoryError`."""
        self._run_dir = RunDirectory(run_dir, workers)
        self._agent_argv = list(agent_argv)
        self._worker_argv = list(worker_argv)
        self._drain_seconds = drain_seconds
        self._listeners = ListenerSockets(workers)
        self._coordinator = Coordinator(self._listeners, workers, answer_seconds)
        self._workers = [_Slot(index) for index in range(workers)]
        self._agent = _Slot(None)
        self._slots = [*self._workers, self._agent]
        self._selector = selectors.DefaultSelector()
        self._broken: deque[tuple[_Slot, Child, Exception]] = deque()
        """Channels that failed; they are given up between events, so that no event happens within another."""
        self._frame: tuple[plan.AnyMessage | None, bytes] = (None, b"")
        """The last that was encoded: all workers get the same Prepare."""
        self._end_at: float | None = None
        """When the end is no longer waited for; None: it has not begun."""
        self._killed = False
        self._status = 0

    def run(self) -> int:
        """Returns the exit status: 0, or 2 when the agent refused its configuration before there was any plan."""
        wakeup, wakeup_write = os.pipe()
        os.set_blocking(wakeup, False)
        os.set_blocking(wakeup_write, False)
        signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
        for number in (*END_SIGNALS, signal.SIGCHLD, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, _wake)
        self._selector.register(wakeup, selectors.EVENT_READ)
        try:
            for slot in self._slots:
                if self._end_at is None:
                    self._start(slot)
            self._settle()
            while not self._finished():
                self._turn(wakeup)
        finally:
            self._clean_up()
        return self._status

    def _turn(self, wakeup: int) -> None:
        for key, mask in self._selector.select(self._timeout()):
            if key.fd == wakeup:
                self._on_signals(os.read(wakeup, 4096))
            else:
                slot, child = key.data
                self._on_channel(slot, child, mask)
            self._settle()
        self._on_time(time.monotonic())
        self._settle()

    def _timeout(self) -> float | None:
        due = [slot.restart_at for slot in self._slots]
        due += [slot.child.kill_at for slot in self._slots if slot.child is not None]
        if self._end_at is None:
            due.append(self._coordinator.deadline())
        else:
            due.append(self._end_at + (REAP_SECONDS if self._killed else 0.0))
        first = min((at for at in due if at is not None), default=None)
        return None if first is None else max(0.0, first - time.monotonic())

    def _on_time(self, now: float) -> None:
        for slot in self._slots:
            if slot.restart_at is not None and now >= slot.restart_at:
                self._start(slot)
            if slot.child is not None and slot.child.kill_at is not None and now >= slot.child.kill_at:
                self._kill(slot, "closed its channel but did not exit")
        if self._end_at is None:
            due = self._coordinator.deadline()
            if due is not None and now >= due:
                self._do(self._coordinator.tick(now))
        elif now >= self._end_at and not self._killed:
            self._killed = True
            for slot in self._slots:
                self._kill(slot, "is still there at the end")

    # -- children ------------------------------------------------------------------------------------------------------

    def _start(self, slot: _Slot) -> None:
        slot.restart_at = None
        argv = self._agent_argv if slot.worker is None else self._worker_argv
        try:
            child = start(lambda fd: self._command(slot.worker, fd), lambda fd: _environment(slot.worker, fd))
        except OSError as error:
            self._not_started(slot, f"cannot start {slot.name}: {argv[0]}: {error.strerror}", error)
            return
        slot.child = child
        log(f"{slot.name} started")
        if child.channel is not None:
            self._selector.register(child.channel, selectors.EVENT_READ, (slot, child))
        if slot.worker is None:
            self._do(self._coordinator.agent_connected())
        else:
            self._do(self._coordinator.worker_started(slot.worker, child.started))

    def _not_started(self, slot: _Slot, text: str, error: OSError) -> None:
        if isinstance(error, (FileNotFoundError, PermissionError)) and self._is_agent_before_any_plan(slot):
            log(text)
            self._end(CONFIGURATION_ERROR)
            return
        delay = slot.backoff.delay(0.0)
        log(f"{text}; next try in {delay:g} s")
        slot.restart_at = time.monotonic() + delay

    def _command(self, worker: int | None, descriptor: int) -> list[str]:
        if worker is None:
            return self._agent_argv
        files = ["--stats", self._run_dir.stats_file(worker), "--shared", self._run_dir.shared_file]
        return [*self._worker_argv, "--channel", str(descriptor), *files, "--index", str(worker)]

    def _reap(self) -> None:
        for slot in self._slots:
            if slot.child is None:
                continue
            pid, status = os.waitpid(slot.child.pid, os.WNOHANG)
            if pid:
                self._on_exit(slot, slot.child, os.waitstatus_to_exitcode(status))

    def _on_exit(self, slot: _Slot, child: Child, code: int) -> None:
        text = f"{slot.name} exited with " + (f"signal {-code}" if code < 0 else f"status {code}")
        self._drop_channel(slot, child)
        slot.child = None
        if slot.worker is not None:
            self._count_out(slot.worker)
        if self._end_at is not None:
            log(text)
        elif code == CONFIGURATION_ERROR and self._is_agent_before_any_plan(slot):
            log(f"{text}: its configuration was refused")
            self._end(CONFIGURATION_ERROR)
        else:
            delay = slot.backoff.delay(time.monotonic() - child.started)
            log(f"{text}; replaced" + (f" in {delay:g} s" if delay else ""))
            slot.restart_at = time.monotonic() + delay
            if slot.worker is not None and delay >= PAUSE_SECONDS and self._coordinator.live:
                self._listeners.pause(slot.worker)

    def _count_out(self, worker: int) -> None:
        try:
            self._run_dir.count_out(worker)
        except OSError as error:
            log(f"worker {worker}: what it had under way still counts: {error.strerror}")

    def _is_agent_before_any_plan(self, slot: _Slot) -> bool:
        return slot is self._agent and self._coordinator.version == 0

    def _kill(self, slot: _Slot, reason: str) -> None:
        """Its exit is noticed by way of SIGCHLD."""
        if slot.child is not None:
            log(f"{slot.name} {reason}; killed")
            slot.child.kill_at = None
            os.kill(slot.child.pid, signal.SIGKILL)

    # -- channels ------------------------------------------------------------------------------------------------------

    def _on_channel(self, slot: _Slot, child: Child, mask: int) -> None:
        channel = child.channel
        if channel is None:  # given up since the selector spoke
            return
        received = []
        try:
            if mask & selectors.EVENT_WRITE:
                channel.on_writable()
                self._watch(channel)
            if mask & selectors.EVENT_READ:
                received = channel.on_readable()
        except (ChannelError, OSError) as error:
            self._broken.append((slot, child, error))
        for _, descriptors in received:
            close_all(descriptors)  # nobody has to send the supervisor any
        for message, _ in received:
            if child.channel is not None:
                self._on_message(slot, child, message)

    def _on_message(self, slot: _Slot, child: Child, message: plan.AnyMessage) -> None:
        if self._end_at is not None:
            return
        now = time.monotonic()
        if slot.worker is None and isinstance(message, plan.Update):
            self._do(self._coordinator.update(message, now))
        elif slot.worker is not None and isinstance(message, plan.Prepared):
            self._do(self._coordinator.prepared(slot.worker, message, now))
        else:
            self._broken.append((slot, child, FrameError(f"sent a {type(message).__name__}, which is not its to send")))

    def _send(self, slot: _Slot, message: plan.AnyMessage, descriptors: Sequence[int] = ()) -> None:
        child = slot.child
        if child is None or child.channel is None:
            return
        if self._frame[0] is not message:
            self._frame = (message, encode(message, len(descriptors)))
        try:
            child.channel.send_frame(self._frame[1], descriptors)
            self._watch(child.channel)
        except (ChannelError, OSError) as error:
            self._broken.append((slot, child, error))

    def _watch(self, channel: SelectorChannel) -> None:
        key = self._selector.get_key(channel)
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if channel.wants_write else 0)
        if key.events != events:
            self._selector.modify(channel, events, key.data)

    def _settle(self) -> None:
        while self._broken:
            self._give_up(*self._broken.popleft())

    def _give_up(self, slot: _Slot, child: Child, error: Exception) -> None:
        if child.channel is None:
            return
        self._drop_channel(slot, child)
        if isinstance(error, ChannelClosed):
            child.kill_at = time.monotonic() + LAST_WORDS_SECONDS
        else:
            self._kill(slot, f"cannot be talked to: {error}")

    def _drop_channel(self, slot: _Slot, child: Child) -> None:
        if child.channel is None:
            return
        self._selector.unregister(child.channel)
        child.channel.close()
        child.channel = None
        if self._end_at is not None:
            return
        if slot.worker is None:
            self._do(self._coordinator.agent_lost())
        else:
            self._do(self._coordinator.worker_lost(slot.worker, time.monotonic()))

    def _do(self, commands: Iterable[Command]) -> None:
        """Carries out all that one event causes; descriptors in it are good until the next event."""
        for command in commands:
            if isinstance(command, ToWorker):
                if isinstance(command.message, plan.Commit):
                    self._resume(command.worker)
                self._send(self._workers[command.worker], command.message, command.descriptors)
            elif isinstance(command, ToAgent):
                self._send(self._agent, command.message)
            elif isinstance(command, Kill):
                self._kill(self._workers[command.worker], command.reason)
            elif isinstance(command, Log):
                log(command.text)
        self._frame = (None, b"")

    def _resume(self, worker: int) -> None:
        try:
            self._listeners.resume(worker)
        except OSError as error:
            log(f"worker {worker}: cannot listen again: {error.strerror}")

    # -- the end -------------------------------------------------------------------------------------------------------

    def _on_signals(self, numbers: bytes) -> None:
        for number in numbers:
            if number in END_SIGNALS:
                log(f"{signal.Signals(number).name} received")
                self._end(0)
            elif number == signal.SIGUSR1:
                self._reopen_logs()
            elif number == signal.SIGUSR2 and self._agent.child is not None:
                os.kill(self._agent.child.pid, signal.SIGUSR2)
        self._reap()

    def _reopen_logs(self) -> None:
        for slot in self._workers:
            if slot.child is not None:
                os.kill(slot.child.pid, signal.SIGUSR1)

    def _end(self, status: int) -> None:
        """Begins the end; at the second call there is no more waiting."""
        if self._end_at is not None:
            self._end_at = time.monotonic()
            return
        self._status = status
        self._end_at = time.monotonic() + self._drain_seconds + DRAIN_MARGIN_SECONDS
        for slot in self._slots:
            slot.restart_at = None
            if slot.worker is not None:
                self._send(slot, plan.Drain(self._drain_seconds))
            elif slot.child is not None:
                os.kill(slot.child.pid, signal.SIGTERM)
        self._listeners.close()

    def _finished(self) -> bool:
        if self._end_at is None:
            return False
        left = [slot.name for slot in self._slots if slot.child is not None]
        if left and time.monotonic() >= self._end_at + REAP_SECONDS:
            log(f"{', '.join(left)} cannot be killed; ending without")
            return True
        return not left

    def _clean_up(self) -> None:
        for slot in self._slots:
            if slot.child is None:
                continue
            if slot.child.channel is not None:
                slot.child.channel.close()
            os.kill(slot.child.pid, signal.SIGKILL)
        self._listeners.close()
        self._selector.close()
        self._run_dir.close()


def _environment(worker: int | None, descriptor: int) -> dict[str, str]:
    if worker is None:
        return {**os.environ, "TAGE_CHANNEL_FD": str(descriptor)}
    return {**WORKER_MALLOC, **os.environ}


def _wake(number: int, frame: object) -> None:
    """A signal with a handler in Python writes its number to the wake-up descriptor; there is no more to do here."""


def log(text: str) -> None:
    with contextlib.suppress(OSError):  # stderr was a pipe whose reader is gone: traffic goes on, nobody is told
        print(f"supervisor: {text}", file=sys.stderr, flush=True)
