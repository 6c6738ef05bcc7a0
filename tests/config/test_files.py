"""Batches survive a crash at any step: the crash is an exception that no handler of ours expects."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tage.config import files


class Crash(BaseException):
    pass


class Crasher:
    """Lets `steps` calls that reach the disk pass, then the process "dies": no later one has an effect."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps = -1
        for owner, name in ((os, "rename"), (os, "fsync"), (Path, "unlink")):
            monkeypatch.setattr(owner, name, self._step(getattr(owner, name)))

    def _step(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            if self.steps == 0:
                raise Crash
            self.steps -= 1
            return call(*arguments, **options)

        return step


@pytest.fixture
def crasher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Crasher]:
    with monkeypatch.context() as patch:
        yield Crasher(patch)


def state(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.iterdir()}


def start(directory: Path) -> dict[str, str]:
    for path in directory.iterdir():
        path.unlink()
    before = {"a": "old", "b": "old", "gone": "old"}
    for name, text in before.items():
        (directory / name).write_text(text)
    return before


def test_a_batch_happens_wholly_or_not_at_all(tmp_path: Path, crasher: Crasher) -> None:
    after = {"a": "new", "b": "new", "c": "new"}
    contents = {name: text.encode() for name, text in after.items()}
    seen: list[dict[str, str]] = []
    for steps in range(100):
        crasher.steps = -1
        before = start(tmp_path)
        crasher.steps = steps
        try:
            files.change_durably(tmp_path, contents, ["gone", "never-was"])
        except Crash:
            crasher.steps = -1
            files.recover(tmp_path)
            assert state(tmp_path) in (before, after)
            seen.append(state(tmp_path))
        else:
            break
    assert state(tmp_path) == after
    assert len(seen) > 10
    assert before in seen
    assert after in seen
    # Once it has happened it does not go back.
    assert seen == sorted(seen, key=lambda found: found == after)


def test_recovery_itself_may_crash(tmp_path: Path, crasher: Crasher) -> None:
    start(tmp_path)
    crasher.steps = 7  # the journal stands, nothing is renamed yet
    with pytest.raises(Crash):
        files.change_durably(tmp_path, {"a": b"new", "b": b"new"}, ["gone"])
    assert (tmp_path / files.JOURNAL).exists()
    for steps in range(100):
        crasher.steps = steps
        try:
            files.recover(tmp_path)
        except Crash:
            continue
        break
    assert state(tmp_path) == {"a": "new", "b": "new"}


@pytest.mark.parametrize("failing", range(8))
def test_a_disk_that_refuses_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    before = start(tmp_path)
    calls = iter(range(100))

    def refusing(call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any) -> Any:
            if next(calls) == failing:
                raise OSError(28, "No space left on device")
            return call(*arguments)

        return step

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refusing(os.rename))
        patch.setattr(os, "fsync", refusing(os.fsync))
        # Four files are forced to disk, then the directory; then the journal: file, rename, directory.
        with pytest.raises(OSError, match="No space left"):
            files.change_durably(tmp_path, dict.fromkeys("abcd", b"new"), ["gone"])
    assert state(tmp_path) == before
    files.recover(tmp_path)
    assert state(tmp_path) == before


def test_one_file_is_replaced_wholly_or_not_at_all(tmp_path: Path, crasher: Crasher) -> None:
    target = tmp_path / "f"
    for steps in range(10):
        crasher.steps = -1
        target.write_text("old")
        crasher.steps = steps
        try:
            files.replace_durably(target, b"new")
        except Crash:
            assert target.read_text() in ("old", "new")
        else:
            break
    assert target.read_text() == "new"


def test_a_journal_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / files.JOURNAL).write_text("{}")
    with pytest.raises(ValueError, match="not a journal"):
        files.recover(tmp_path)


def test_signatures_see_replacement(tmp_path: Path) -> None:
    target = tmp_path / "f"
    files.replace_durably(target, b"one")
    seen, content = files.read_watched(target)
    assert content == b"one"
    assert files.signature(target.stat()) == seen
    files.replace_durably(target, b"two")
    assert files.signature(target.stat()) != seen
