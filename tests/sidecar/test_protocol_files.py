"""Files that protocols may be taken from: read at the start, and told of when they are others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tage.sidecar import plan
from tage.sidecar.protocol_files import ProtocolFiles, allowed
from tage.sidecar.secrets import SecretError

Told = list[list[plan.ProtocolCode]]


def files(*paths: Path) -> tuple[ProtocolFiles, Told]:
    told: Told = []
    return ProtocolFiles([str(path) for path in paths], told.append), told


def code(path: Path, text: str) -> plan.ProtocolCode:
    return plan.ProtocolCode(str(path), text.encode())


def put(path: Path, text: str) -> None:
    """As an editor does it: a new file under the old name."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    os.replace(fresh, path)


def test_what_is_allowed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TAGE_PROTOCOLS", raising=False)
    assert allowed() == []
    monkeypatch.setenv("TAGE_PROTOCOLS", f"{tmp_path}/a.py:{tmp_path}/b")
    assert allowed() == [f"{tmp_path}/a.py", f"{tmp_path}/b"]


def test_of_a_directory_its_protocols(tmp_path: Path) -> None:
    for name in ("b.py", "a.py", "test_a.py", "_own.py", "conftest.py", "a.txt"):
        (tmp_path / name).write_text("x = 1")
    found, _ = files(tmp_path)
    assert [section.name for section in found.read()] == [str(tmp_path / "a.py"), str(tmp_path / "b.py")]


def test_the_start_needs_all_of_them(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = (")
    found, _ = files(tmp_path / "a.py")
    with pytest.raises(SecretError, match=r"a\.py: line 1: "):
        found.read()
    missing, _ = files(tmp_path / "b.py")
    with pytest.raises(SecretError, match=r"b\.py: No such file or directory"):
        missing.read()


def test_what_changes_comes_and_goes_is_told(tmp_path: Path) -> None:
    a, b = tmp_path / "a.py", tmp_path / "b.py"
    a.write_text("x = 1")
    found, told = files(tmp_path)
    assert found.read() == [code(a, "x = 1")]
    found.look()
    assert told == []
    put(a, "x = 2")
    found.look()
    assert told.pop() == [code(a, "x = 2")]
    b.write_text("y = 1")
    found.look()
    assert told.pop() == [code(a, "x = 2"), code(b, "y = 1")]
    a.unlink()
    found.look()
    assert told.pop() == [code(b, "y = 1")]
    found.look()
    assert told == []


def test_what_cannot_be_used_leaves_what_was_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    a = tmp_path / "a.py"
    a.write_text("x = 1")
    found, told = files(a)
    found.read()
    put(a, "x = (")
    found.look()
    found.look()
    a.unlink()
    found.look()
    assert told == []
    assert [record.message.partition("; ")[0] for record in caplog.records] == [
        f"{a}: line 1: '(' was never closed",
        f"{a}: No such file or directory",
    ]
    put(a, "x = 2")
    found.look()
    assert told == [[code(a, "x = 2")]]


def test_a_file_that_was_broken_at_the_start_is_read_when_it_is_not(tmp_path: Path) -> None:
    a = tmp_path / "a.py"
    a.write_text("x = (")
    found, _ = files(tmp_path)
    with pytest.raises(SecretError):
        found.read()
    assert not found.update()
    put(a, "x = 1")
    assert found.update()
    assert found.all() == [code(a, "x = 1")]
