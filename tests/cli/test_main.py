from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tage.cli import COMMANDS, main


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_help_lists_every_command_and_imports_none(capsys: pytest.CaptureFixture[str]) -> None:
    code = "import sys; from tage.cli import main\ntry: main(['--help'])\nfinally: print(sorted(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert result.returncode == 0
    assert all(f"  {name}" in result.stdout for name in COMMANDS)
    for module in ("rich", "yaml", "msgspec", "asyncio", "grpc", "tage.cli.up", "tage.cli.resources"):
        assert f"'{module}'" not in result.stdout, module


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(name, "--help") == 0
    assert f"Example: tage {name}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["statsu"], "tage: No such command 'statsu'. Did you mean 'status'? (see `tage --help`)"),
        (["status", "-o", "xml"], "-o"),
        (["get", "pods"], "tage: unknown kind 'pods'; there are virtualservices (vs), destinationrules (dr)"),
        (["get"], "tage: no mesh runs here: start one with `tage up MESH.yaml`, or say --control HOST:PORT"),
        (["apply"], "tage: which file? Say -f FILE, or -f - for stdin"),
        (["apply", "-", "-f", "-"], "tage: stdin (-) can be read only once"),
        (["apply", "none.yaml"], "tage: none.yaml: cannot be read: No such file or directory"),
        (["delete", "vs"], "tage: which one? Say KIND NAME"),
        (["delete", "vs", "x", "-f", "y"], "tage: either KIND NAME or -f FILE, not both"),
        (["up", "none.yaml"], "none.yaml: cannot be read"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(argv: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*argv) == 2
    captured = capsys.readouterr()
    assert expected in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_a_control_plane_that_is_gone_is_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("status", "--control", "127.0.0.1:1") == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_wrong_file_is_refused_with_line_and_path_before_anything_is_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n"
        "spec:\n  hosts: [a]\n  http:\n  - timeot: 1s\n    route: [{destination: {host: a}}]\n"
    )
    assert run("apply", str(path), "--control", "127.0.0.1:1") == 2
    assert f"tage: {path}:7: spec.http[0].timeot" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "exactly one resource of kind Mesh is needed, there are: none"),
        (
            "apiVersion: tage.dev/v1alpha1\nkind: Mesh\nmetadata: {name: m}\nspec:\n  services:\n"
            "  - name: a\n    instances:\n    - command: no-such-program\n",
            ":8: spec.services[0].instances[0].command: no program 'no-such-program' that can be run",
        ),
    ],
)
def test_a_mesh_file_that_cannot_run_is_refused(
    text: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mesh.yaml"
    path.write_text(text)
    assert run("up", str(path)) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "tage").exists()


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out.startswith("tage")
