"""Files that RPC protocols may be taken from: those that whoever runs the sidecar has named (`tage sidecar --protocols
FILE_OR_DIR`, TAGE_PROTOCOLS), of a directory its ``*.py`` but for tests and what begins with an underscore. No
configuration brings code along; it names protocols.

All of them are a part of the plan, so that a worker that starts while the agent is dead has them. They are looked at
once a second. What is no Python stays out, and what was there before stays; whether it is a protocol is seen where it
is loaded, in the workers, which refuse the plan with it otherwise.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence

from tage.sidecar import plan
from tage.sidecar.polling import POLL_SECONDS, Complaints, Poller
from tage.sidecar.secrets import SecretError, Stamp, load, stamp
from tage.sidecar.translate.draft import DataSource, SecretDraft

VARIABLE = "TAGE_PROTOCOLS"
"""Files and directories, separated as in PATH. The agent inherits it."""
MAX_FILES = 256

logger = logging.getLogger(__name__)


def allowed() -> list[str]:
    return [os.path.abspath(part) for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]


class ProtocolFiles:
    """`changed` is told what the files hold now, all of them, whenever that is something else."""

    def __init__(
        self,
        allowed: Sequence[str],
        changed: Callable[[list[plan.ProtocolCode]], None],
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._allowed = allowed
        self._changed = changed
        self._sections: dict[str, plan.ProtocolCode] = {}
        """By file, as they were read last."""
        self._stamps: dict[str, Stamp] = {}
        self._complaints = Complaints(logger)
        self._poller = Poller(self.look, poll_seconds, "protocol files")

    def read(self) -> list[plan.ProtocolCode]:
        """For the start: as they are now. Raises `SecretError` for the first that cannot be used."""
        for path in self._allowed:
            for file in _files(path):
                found = stamp(file)  # before: what changes while it is read is read again
                self._sections[file] = _read(file)
                self._stamps[file] = found
        return self.all()

    def start(self) -> None:
        """Looks at them from now on."""
        if self._allowed:
            self._poller.start()

    def close(self) -> None:
        self._poller.close()

    def look(self) -> None:
        """Reads again what is another than before, and tells."""
        if self.update():
            self._changed(self.all())

    def update(self) -> bool:
        """Reads again what is another than before; whether anything was. What cannot be used is said."""
        former = dict(self._sections)
        present: set[str] = set()
        for path in self._allowed:
            try:
                files = list(_files(path))
            except SecretError as error:
                self._complaints.say(path, error)
                present |= {file for file in self._sections if file == path or os.path.dirname(file) == path}
                continue
            for file in files:
                present.add(file)
                self._look_at(file)
        for file in self._sections.keys() - present:
            logger.info("%s is gone", file)
            del self._sections[file]
            self._stamps.pop(file, None)
        return self._sections != former

    def _look_at(self, file: str) -> None:
        found = stamp(file)
        if found == self._stamps.get(file):
            return
        try:
            section = _read(file)
        except SecretError as error:
            self._complaints.say(file, error)
            return
        self._stamps[file] = found
        self._complaints.forget(file)
        if self._sections.get(file) != section:
            logger.info("%s: the protocols in it have changed", file)
            self._sections[file] = section

    def all(self) -> list[plan.ProtocolCode]:
        return [section for _, section in sorted(self._sections.items())]


def _files(path: str) -> Iterator[str]:
    """Raises `SecretError`."""
    if not os.path.isdir(path):
        yield path
        return
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        raise SecretError(f"{path}: {error.strerror}") from None
    found = [name for name in names if name.endswith(".py") and not name.startswith(("_", "test_", "conftest."))]
    if len(found) > MAX_FILES:
        raise SecretError(f"{path}: {len(found)} files; protocols are taken from {MAX_FILES} at most")
    for name in found:
        yield os.path.join(path, name)


def _read(file: str) -> plan.ProtocolCode:
    section = load(SecretDraft(plan.ProtocolCode(file, b""), {"source": DataSource(file)})).section
    assert isinstance(section, plan.ProtocolCode)
    return section
