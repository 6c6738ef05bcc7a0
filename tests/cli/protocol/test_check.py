"""`tage protocol check` and `list`: where a protocol comes from, what is told of it, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tage.dataplane.protocols.xprotocol.registry import BUILTIN
from tage.xprotocol_testing import CHECKS
from tests.cli.test_main import run

LEDGER = Path(__file__).parents[3] / "examples" / "protocols" / "ledger.py"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Its answers have another id than the request."""
    path = tmp_path / "broken.py"
    text = LEDGER.read_text() + (
        "\n    def reply(self, request, shape, status, message):\n"
        "        return super().reply(request[:4] + b'\\0\\0\\0\\7' + request[8:], shape, status, message)\n"
    )
    path.write_text(text)
    return path


def test_a_protocol_that_conforms(capsys: pytest.CaptureFixture[str]):
    assert run("protocol", "check", str(LEDGER)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1 : len(CHECKS) + 1]] == list(CHECKS)
    assert f"{len(CHECKS) - 2} ok, 0 failed, 2 not applicable" in lines[-1]  # it has no go-away


def test_one_that_does_not_is_told_with_the_bytes(broken: Path, capsys: pytest.CaptureFixture[str]):
    assert run("protocol", "check", f"{broken}:Ledger", "--only", "replies", "--only", "ids") == 1
    out = capsys.readouterr().out
    assert "replies: reply(400) has the id 7, the request 1" in out
    assert "00000000  4c 45 01 00 00 00 00 07" in out
    assert out.splitlines()[-1] == "1 ok, 1 failed, 0 not applicable"


def test_json_has_the_same(broken: Path, capsys: pytest.CaptureFixture[str]):
    assert run("protocol", "check", str(broken), "-o", "json") == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["protocol"], told["ok"]) == ("ledger", False)
    results = {each["check"]: each for each in told["checks"]}
    assert list(results) == list(CHECKS)
    assert results["replies"]["result"] == "failed"
    assert bytes.fromhex(results["replies"]["bytes"])[4:8] == b"\0\0\0\7"
    assert results["ids"]["result"] == "ok"


def test_recorded_frames_are_tried_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    frame = tmp_path / "frame"
    frame.write_bytes(b"LE\x01\x01" + bytes(20))
    assert run("protocol", "check", str(LEDGER), "--frame", str(frame), "--only", "examples") == 0
    assert "2 of request," in capsys.readouterr().out
    frame.write_bytes(b"LE\x01\x01" + bytes(21))
    assert run("protocol", "check", str(LEDGER), "--frame", str(frame), "--only", "examples") == 1
    assert "recorded frame 0 is not read as one frame" in capsys.readouterr().out
    assert run("protocol", "check", str(LEDGER), "--frame", str(tmp_path / "none")) == 2


@pytest.mark.parametrize(
    ("text", "source", "expected"),
    [
        ("", "p.py", "p.py: it has no class derived from tage.xprotocol.Protocol"),
        ("1/0", "p.py", "p.py: ZeroDivisionError: division by zero (p.py:1)"),
        ("def", "p.py", "p.py: line 1: SyntaxError: invalid syntax"),
        ("", "p.py:Nope", "p.py: no protocol 'Nope'"),
        ("", "other.py", "other.py: cannot be read: No such file or directory"),
        ("", "nothing", "nothing: neither a file nor a protocol; there are bolt, "),
        (
            "from tage.xprotocol import Protocol\nclass A(Protocol):\n    name = 'a'\n",
            "p.py",
            "p.py: A.request: no frame is declared",
        ),
    ],
)
def test_what_is_no_protocol_is_code_2(
    text: str, source: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.py").write_text(text)
    assert run("protocol", "check", source) == 2
    captured = capsys.readouterr()
    assert expected in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_an_unknown_check_is_code_2(capsys: pytest.CaptureFixture[str]):
    assert run("protocol", "check", str(LEDGER), "--only", "splt") == 2
    assert "--only splt: no such check; there are examples, split" in capsys.readouterr().err


def test_the_list_has_every_built_in_protocol(capsys: pytest.CaptureFixture[str]):
    assert run("protocol", "list", "-o", "json") == 0
    listed = {each["protocol"]: each for each in json.loads(capsys.readouterr().out)}
    assert set(BUILTIN) <= set(listed)
    assert all(each["what"] for each in listed.values())
    assert run("protocol", "list") == 0
    assert "bolt" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["new", "check", "list"])
def test_each_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]):
    assert run("protocol", name, "--help") == 0
    assert f"Example: tage protocol {name}" in " ".join(capsys.readouterr().out.split())
