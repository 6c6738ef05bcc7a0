"""Certificates, what is trusted, and code of filters and protocols, as files hold them: read, checked, and read again
when a file changes (`protocol_files` watches those of protocols).

What was read is looked at before anybody is given it: a certificate whose key has not been replaced yet is half of a
change, as is a filter that is no Python, and what was there stays until the other half is there.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from tage.sidecar import plan
from tage.sidecar.polling import POLL_SECONDS, Complaints, Poller
from tage.sidecar.translate.draft import FileSection, SecretDraft

MAX_SIZE = 4 << 20
"""Bytes of one file; a bundle of all public CAs has a quarter of a MiB."""

Stamp = tuple[Any, ...]

logger = logging.getLogger(__name__)


class SecretError(Exception):
    """A file cannot be read or does not serve; the message says what of it, and why."""


def load(draft: SecretDraft) -> SecretDraft:
    """With what its sources hold now. Raises `SecretError`."""
    section = msgspec.structs.replace(
        draft.section,
        **{field: _read(source.file) if source.file else source.inline for field, source in draft.sources.items()},
    )
    _check(section, draft)
    return SecretDraft(section, draft.sources)


def _check(section: FileSection, draft: SecretDraft) -> None:
    if isinstance(section, plan.FilterCode | plan.ProtocolCode):
        _check_code(section)
        return
    from tage.dataplane.net import tls  # here: it loads OpenSSL, which an agent without TLS does without

    try:
        if isinstance(section, plan.Certificate):
            tls.check_pair(tls.KeyPair(section.chain, section.key, section.password))
        else:
            tls.check_trust(tls.Trust(section.ca, section.crl))
    except tls.TlsError as error:
        files = " and ".join(source.file for source in draft.sources.values() if source.file)
        raise SecretError(f"{files}: {error}" if files else str(error)) from None


def _check_code(section: plan.FilterCode | plan.ProtocolCode) -> None:
    """That it is Python. Whether it works is seen where it is loaded, which is in the workers."""
    try:
        compile(section.source, section.name, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise SecretError(f"{section.name}: line {error.lineno}: {error.msg}") from None
    except ValueError as error:  # NUL characters
        raise SecretError(f"{section.name}: {error}") from None


def _read(file: str) -> bytes:
    try:
        with open(file, "rb") as stream:
            data = stream.read(MAX_SIZE + 1)
    except OSError as error:
        raise SecretError(f"{file}: {error.strerror}") from None
    if len(data) > MAX_SIZE:
        raise SecretError(f"{file}: is larger than {MAX_SIZE >> 20} MiB")
    return data


class SecretFiles:
    """Watches the files of the drafts that it was given last; `changed` is told what they hold now."""

    def __init__(self, changed: Callable[[FileSection], None], poll_seconds: float = POLL_SECONDS) -> None:
        self._changed = changed
        self._drafts: dict[str, SecretDraft] = {}
        self._stamps: dict[str, Stamp] = {}
        self._complaints = Complaints(logger)
        self._poller = Poller(self._look_at_all, poll_seconds, "secret files")

    @property
    def watching(self) -> bool:
        return self._poller.running

    def set(self, drafts: Iterable[SecretDraft]) -> None:
        """What is to be watched from now on. Cheap when nothing changed."""
        wanted = {
            draft.section.name: draft for draft in drafts if any(source.file for source in draft.sources.values())
        }
        for name in wanted.keys() - self._drafts.keys():
            # Unknown: the first look reads it again, for it may have changed since the translation read it.
            self._stamps[name] = ()
        for name in self._drafts.keys() - wanted.keys():
            self._stamps.pop(name)
            self._complaints.forget(name)
        for name, draft in wanted.items():
            self._drafts.setdefault(name, draft)
        self._drafts = {name: self._drafts[name] for name in wanted}
        if self._drafts:
            self._poller.start()
        else:
            self._poller.close()

    def close(self) -> None:
        self._poller.close()

    def _look_at_all(self) -> None:
        for name in list(self._drafts):
            self.look(name)

    def look(self, name: str) -> None:
        """Reads one again if one of its files is another than before."""
        draft = self._drafts[name]
        stamps = tuple(stamp(source.file) for source in draft.sources.values() if source.file)
        if stamps == self._stamps[name]:
            return
        try:
            fresh = load(draft)
        except SecretError as error:
            # Not remembered: it is tried again, for the rest of the change may come without a new stamp.
            self._complaints.say(name, error)
            return
        self._stamps[name] = stamps
        self._complaints.forget(name)
        if fresh.section != draft.section:
            self._drafts[name] = fresh
            logger.info("%s: the files have changed", name)
            self._changed(fresh.section)


def stamp(file: str) -> Stamp:
    """Another one whenever the file is another."""
    try:
        found = os.stat(file)
    except OSError as error:
        return (error.errno,)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
