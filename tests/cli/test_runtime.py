from __future__ import annotations

import os
import subprocess
from pathlib import Path

import msgspec
import pytest

from tage.cli.errors import CommandError
from tage.cli.runtime import RunDirectory, RunningMesh, directory, find_control, running, start_time


def write(base: Path, mesh: RunningMesh) -> Path:
    base.mkdir(mode=0o700, exist_ok=True)
    path = base / f"{mesh.name}.json"
    path.write_bytes(msgspec.json.encode(mesh))
    return path


def test_the_option_wins_then_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGE_CONTROL", "127.0.0.9:1")
    assert find_control("127.0.0.1:15014") == "127.0.0.1:15014"
    assert find_control("") == "127.0.0.9:1"


@pytest.mark.parametrize("wrong", ["127.0.0.1", ":15014", "host:", "host:port", "host:0", "host:70000"])
def test_an_address_that_is_none_is_refused(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match="--control: expected HOST:PORT") as caught:
        find_control(wrong)
    assert caught.value.code == 2
    monkeypatch.setenv("TAGE_CONTROL", wrong)
    with pytest.raises(CommandError, match="TAGE_CONTROL: expected HOST:PORT"):
        find_control("")


def test_none_one_and_several_meshes(runtime_directory: Path) -> None:
    with pytest.raises(CommandError, match="no mesh runs here: start one with `tage up"):
        find_control("")
    write(runtime_directory, RunningMesh("a", os.getpid(), "127.1.0.1:15014", "127.1.0.1:15010"))
    assert find_control("") == "127.1.0.1:15014"
    write(runtime_directory, RunningMesh("b", os.getpid(), "127.2.0.1:15014", "127.2.0.1:15010"))
    with pytest.raises(CommandError, match=r"a \(127.1.0.1:15014\), b \(127.2.0.1:15014\); say which"):
        find_control("")


def test_files_of_dead_processes_are_removed(runtime_directory: Path) -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    dead = write(runtime_directory, RunningMesh("dead", child.pid, "x:1", "x:2"))
    reused = write(runtime_directory, RunningMesh("reused", os.getpid(), "x:1", "x:2", started=1))
    alive = write(runtime_directory, RunningMesh("alive", os.getpid(), "x:1", "x:2", started=start_time(os.getpid())))
    assert [mesh.name for mesh in running()] == ["alive"]
    assert (dead.exists(), reused.exists(), alive.exists()) == (False, False, True)


def test_without_xdg_the_directory_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_RUNTIME_DIR", value)
        assert directory() == Path(f"/tmp/tage-{os.getuid()}")


def test_a_directory_that_others_can_open_is_refused(runtime_directory: Path) -> None:
    runtime_directory.mkdir()
    runtime_directory.chmod(0o755)
    with pytest.raises(CommandError, match="not a directory that only you can open"):
        RunDirectory("a")
    runtime_directory.rmdir()
    runtime_directory.symlink_to("/tmp")
    with pytest.raises(CommandError, match="not a directory that only you can open"):
        RunDirectory("a")


def test_a_run_directory_is_private_clears_leftovers_and_leaves_nothing(runtime_directory: Path) -> None:
    left = runtime_directory / "a.run" / "web-1"
    left.mkdir(parents=True)
    runtime_directory.chmod(0o700)
    (left / "stats-0.bin").touch()
    run = RunDirectory("a")
    assert list(run.path.iterdir()) == []
    run.register("127.1.0.1:15014", "127.1.0.1:15010", "127.1.0.2:15001")
    assert running()[0].client == "127.1.0.2:15001"
    with pytest.raises(CommandError, match="mesh a already runs here"):
        RunDirectory("a")
    other = RunDirectory("b")
    (run.path / "file").touch()
    run.close()
    assert [path.name for path in runtime_directory.iterdir()] == ["b.run"]
    other.close()
    assert not runtime_directory.exists()
