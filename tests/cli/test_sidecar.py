from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tage.cli import main


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What the command would become."""
    argv: list[str] = []
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(os, "execv", lambda path, arguments: argv.extend(arguments))
    return argv


def test_control(executed: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["sidecar", "--control", "127.0.0.1:15010", "--service", "a", "--label", "x=1", "--label", "y=2"])
    assert caught.value.code == 0
    run_dir = str(tmp_path / "tage" / f"sidecar-{os.getpid()}")
    assert executed == [
        *(sys.executable, "-m", "tage.sidecar.supervisor", "--run-dir", run_dir, "--workers", "1", "--"),
        *(sys.executable, "-m", "tage.sidecar.agent", "--run-dir", run_dir, "--control", "127.0.0.1:15010"),
        *("--service", "a", "--namespace", "default", "--address", "127.0.0.1", "--label", "x=1", "--label", "y=2"),
    ]


def test_bootstrap(executed: list[str], tmp_path: Path) -> None:
    file = tmp_path / "b.yaml"
    file.touch()
    with pytest.raises(SystemExit):
        main(["sidecar", "--bootstrap", str(file), "--run-dir", "/r", "--workers", "2", "--admin-port", "9901"])
    assert executed[3:7] == ["--run-dir", "/r", "--workers", "2"]
    assert executed[executed.index("--bootstrap") + 1] == str(file)
    assert executed[-2:] == ["--admin-port", "9901"]


def test_directories_of_filters(executed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGE_FILTERS", "/former")
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(["sidecar", "--control", "127.0.0.1:15010", "--filters", "a", "--filters", str(tmp_path)])
    assert caught.value.code == 0
    assert os.environ["TAGE_FILTERS"] == f"{tmp_path / 'a'}:{tmp_path}"
    assert "--filters" not in executed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give one of --bootstrap FILE and --control HOST:PORT"),
        (["--control", "a:1", "--bootstrap", "f"], "give one of --bootstrap FILE and --control HOST:PORT"),
        (["--bootstrap", "/nowhere"], "--bootstrap /nowhere: no such file"),
        (["--control", "a:1", "--filters", "/nowhere"], "--filters /nowhere: no such directory"),
    ],
)
def test_wrong_usage(
    executed: list[str], capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["sidecar", *arguments])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
    assert not executed
