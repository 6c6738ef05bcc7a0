"""The guide to protocols of one's own, followed from top to bottom: its commands run as they stand there, in a folder
of their own, with the addresses and ports that this machine has for those that the guide prints."""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tage.cli.protocol import scaffold
from tage.config.load import load_text
from tage.xprotocol_testing import conformance

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guides" / "add-a-protocol.md"
TEXT = GUIDE.read_text()
PRINTED = "127.42.11.2:15664"
"""Where the guide's mesh takes in calls."""
LIMIT = 90.0


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def frames(cls: Any) -> dict[str, Any]:
    return {
        name: value for name in vars(cls) if not name.startswith("__") and (value := getattr(cls, name)) is not None
    }


def test_the_class_is_the_one_that_is_made():
    shown: dict[str, Any] = {}
    exec(blocks("python")[0], shown)
    made: dict[str, Any] = {}
    exec(scaffold.render("ledger")["ledger.py"], made)
    # `pairs` makes an object that knows no equals.
    one, other = frames(shown["Ledger"]), frames(made["Ledger"])
    assert one.pop("metadata").width == other.pop("metadata").width
    assert one == other
    conformance(shown["Ledger"](), ["examples", "names", "replies", "calls"]).verify()


def test_the_mesh_file_is_the_one_that_is_made():
    [shown, _] = blocks("yaml")
    [mesh] = load_text(shown)
    assert mesh == load_text(scaffold.render("ledger")["mesh.yaml"])[0]


def test_the_rules_load():
    assert [each.kind for each in load_text(blocks("yaml")[1])] == ["VirtualService"]


def test_files_are_there():
    for link in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (GUIDE.parent / link).exists(), link


def test_the_lines_are_about_those_that_are_counted():
    loader = importlib.machinery.SourceFileLoader("protocol_lines", str(ROOT / "scripts" / "protocol-lines"))
    spec = importlib.util.spec_from_loader("protocol_lines", loader)
    assert spec is not None
    script = importlib.util.module_from_spec(spec)
    loader.exec_module(script)
    quoted = re.findall(r"^\| (.*?) \| (\d+) \| (\d+) \| (.*?) \|$", TEXT, re.MULTILINE)
    counted = script.rows()
    assert [(what, files) for what, _, _, files in quoted] == [(what, files) for what, _, _, files in counted]
    for (_, *numbers, _), (_, *now, _) in zip(quoted, counted, strict=True):
        for one, other in zip(map(int, numbers), now, strict=True):  # they need not change with every commit
            assert abs(one - other) <= 5 + other // 20, "scripts/protocol-lines --write docs/guides/add-a-protocol.md"
    code = {what: lines for what, lines, _, _ in script.rows()}
    assert code["ledger (declared, examples/protocols)"] <= 60
    assert code["dubbo"] <= 200


class Reader:
    """Somebody who does what the guide says."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.env = dict(os.environ, XDG_RUNTIME_DIR=str(directory), PYTHONPATH=str(ROOT))
        for name in ("http_proxy", "TAGE_CONTROL"):
            self.env.pop(name, None)
        self.words = {"9000": str(free_port())}
        """What the guide prints: what it is here."""
        self.background: list[subprocess.Popen[bytes]] = []
        self.output = directory / "output"

    def does(self, command: str, *, code: int = 0) -> str:
        """Runs it, and gives what it printed."""
        done = subprocess.run(
            self._argv(command), cwd=self.directory, env=self.env, capture_output=True, text=True, timeout=LIMIT
        )
        assert done.returncode == code, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def starts(self, command: str, until: str) -> str:
        """Runs it beside the rest until it has said so much."""
        with self.output.open("wb") as output:
            env = {**self.env, **dict(re.findall(r"(\w+)=(\S+)", self._here(command)))}
            argv = [word for word in self._argv(command) if not re.fullmatch(r"[A-Z]+=\S+", word)]
            process = subprocess.Popen(argv, cwd=self.directory, env=env, stdout=output, stderr=subprocess.STDOUT)
        self.background.append(process)
        deadline = time.monotonic() + LIMIT
        while until not in self.output.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{command}\n{self.output.read_text()}")
            time.sleep(0.05)
        return self.output.read_text()

    def _here(self, command: str) -> str:
        for printed, real in self.words.items():
            command = command.replace(printed, real)
        return command

    def _argv(self, command: str) -> list[str]:
        argv = shlex.split(self._here(command.removesuffix(" &")))
        programs = {"python": [sys.executable], "tage": [sys.executable, "-c", "from tage.cli import main; main()"]}
        return [part for word in argv for part in programs.get(word, [word])]

    def leaves(self) -> None:
        for process in reversed(self.background):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(30)
                    continue
                process.kill()
                process.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path)
    yield reader
    reader.leaves()


@pytest.mark.processes
def test_it_works_as_it_stands(reader: Reader):
    [new, ends, check, pytest_, up, calls, canary, explain, stats] = [block.splitlines() for block in blocks("sh")]

    assert "ledger/ledger.py" in reader.does(*new)
    [folder, server, client] = ends
    reader.directory /= folder.removeprefix("cd ")
    reader.starts(server, "listens on")
    assert reader.does(client).split() == ["10", "answered", "by", "v1"]

    assert "0 failed" in reader.does(*check)
    assert "passed" in reader.does(*pytest_)

    said = reader.starts(*up, "is ready")
    address = re.search(r"x-ledger (\S+)", said)
    assert address is not None, said
    reader.words[PRINTED] = address.group(1)
    assert by_version(reader.does(*calls)).keys() == {"v1", "v2"}

    (reader.directory / "canary.yaml").write_text(blocks("yaml")[1])
    [apply, many, anns] = canary
    reader.does(apply)
    deadline = time.monotonic() + LIMIT
    while by_version(reader.does(anns)) != {"v2": 20}:  # the sidecars have the rules a moment later
        assert time.monotonic() < deadline, "Ann's calls do not go to version 2"
    answered = by_version(reader.does(many))
    assert sum(answered.values()) == 200
    assert answered["v1"] > 140

    told = reader.does(*explain)
    assert re.search(r"rules +1  testers  yes", told), told

    url = stats[0].split()[-1].replace(PRINTED.split(":")[0], address.group(1).split(":")[0])
    with urllib.request.urlopen(url, timeout=LIMIT) as response:
        metrics = response.read().decode()
    counted = [line for line in metrics.splitlines() if line.startswith("istio_requests_total{")]
    assert any('rpc_service="accounts",rpc_method="echo"' in line for line in counted), metrics


def by_version(printed: str) -> dict[str, int]:
    """What the client says: version -> answers. It failed if it says anything else."""
    return {version: int(count) for count, version in re.findall(r"(\d+) answered by (\w+)", printed)}
