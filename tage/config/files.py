"""Files that survive crashes: durable replacement, batches that happen wholly or not at all, and change detection.

A batch is prepared by writing every new file beside its place and forcing it to disk. Then a journal, which says what
is to be renamed and removed, takes its place in one rename: that is the moment at which the batch has happened. What
is left (renames, removals, the journal's own removal) can be repeated at will, so `recover` finishes it after a crash.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

JOURNAL = ".journal"
_STAGED = ".staged"
"""Suffix of files that a batch has prepared; without a journal they are leftovers."""

Signature = tuple[int, int, int, int]
"""(modification and change time in ns, inode, size): another one means that the file may have changed."""


class _Journal(msgspec.Struct, forbid_unknown_fields=True):
    renames: dict[str, str]
    """Staged file -> its place; both names in the directory of the journal."""
    removals: list[str]


def signature(status: os.stat_result) -> Signature:
    return (status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size)


def read_watched(path: Path) -> tuple[Signature, bytes]:
    """A file's content, and a signature that is not younger than it: a change while reading is seen by the next look.
    Raises `OSError`."""
    with open(path, "rb") as file:
        return signature(os.fstat(file.fileno())), file.read()


def sync_directory(directory: Path) -> None:
    """Makes renames and removals in it durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_durably(path: Path, content: bytes) -> None:
    """Gives the file that content: after a crash it has the old or the new, whole. Durable on return."""
    staged = _stage(path.parent, path.name, content)
    try:
        os.rename(staged, path)
    except OSError:
        _discard([staged])
        raise
    sync_directory(path.parent)


def change_durably(directory: Path, contents: Mapping[str, bytes], removals: Iterable[str] = ()) -> None:
    """Replaces and removes files of `directory`, all or none, durably. Nobody else may write there.

    Raises `OSError`; nothing has changed then, unless the disk fails while the last step is carried out: then the
    journal stays, and `recover` completes the batch.
    """
    removals = [name for name in removals if (directory / name).exists()]
    staged: list[Path] = []
    try:
        for name, content in contents.items():
            staged.append(_stage(directory, name, content))
        sync_directory(directory)  # what the journal names must not come later than the journal
        renames = {path.name: name for path, name in zip(staged, contents, strict=True)}
        replace_durably(directory / JOURNAL, msgspec.json.encode(_Journal(renames, removals)))
    except OSError:
        _discard([directory / JOURNAL, *staged])  # in this order
        raise
    recover(directory)


def recover(directory: Path) -> None:
    """Finishes a batch that a crash interrupted after its decisive moment, and clears away one that came earlier.

    Raises `OSError`, and `ValueError` for a journal that this program did not write.
    """
    journal = directory / JOURNAL
    if journal.exists():
        try:
            batch = msgspec.json.decode(journal.read_bytes(), type=_Journal)
        except msgspec.DecodeError as error:
            raise ValueError(f"{journal}: not a journal: {error}") from error
        for staged, name in batch.renames.items():
            with contextlib.suppress(FileNotFoundError):  # renamed before the crash
                os.rename(directory / staged, directory / name)
        for name in batch.removals:
            (directory / name).unlink(missing_ok=True)
        sync_directory(directory)
        journal.unlink()
        sync_directory(directory)
    _discard(directory.glob(f".*{_STAGED}"))


def _stage(directory: Path, name: str, content: bytes) -> Path:
    path = directory / f".{name}{_STAGED}"
    try:
        with open(path, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        _discard([path])
        raise
    return path


def _discard(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
