from __future__ import annotations

import pytest

from tage.sidecar.supervisor.__main__ import Options, UsageError, main


def test_arguments() -> None:
    options = Options(["--run-dir", "/r", "--workers=3", "--", "agent", "--", "-x"])
    assert (options.run_dir, options.workers, options.drain_seconds) == ("/r", 3, 5.0)
    assert options.agent_argv == ["agent", "--", "-x"]
    assert Options(["--run-dir=/r", "--workers", "1", "--drain-seconds", "0.5", "--", "a"]).drain_seconds == 0.5


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "the agent's command is missing; give it after --"),
        (["--run-dir", "/r", "--workers", "1", "--"], "missing after --"),
        (["--run-dir", "/r", "--", "a"], "--workers is missing"),
        (["--workers", "1", "--", "a"], "--run-dir is missing"),
        (["--workers", "--", "a"], "--workers needs a value"),
        (["--what", "--", "a"], "unknown option '--what'"),
        (["--run-dir", "/r", "--workers", "0", "--", "a"], "--workers 0: give a whole number from 1 to 64"),
        (["--run-dir", "/r", "--workers", "1.5", "--", "a"], "--workers 1.5: give a whole"),
        (["--run-dir", "/r", "--workers", "1", "--drain-seconds", "nan", "--", "a"], "--drain-seconds nan: give"),
    ],
)
def test_wrong_arguments(arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match=error):
        Options(arguments)
    assert main(arguments) == 2
    assert "usage: " in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "example: " in capsys.readouterr().out
