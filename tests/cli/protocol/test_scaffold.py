"""`tage protocol new`: what it writes works as it is, and nothing is overwritten."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tage.cli.protocol import scaffold
from tage.config.load import load_text
from tests.cli.test_main import run

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "protocols"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A protocol whose name has a hyphen, as `tage protocol new` leaves it."""
    directory = tmp_path_factory.mktemp("made") / "stock-feed"
    scaffold.write("stock-feed", directory)
    return directory


def test_the_committed_example_is_what_comes_out_for_ledger():
    for name, text in scaffold.render("ledger").items():
        assert (EXAMPLE / name).read_text() == text, f"tage protocol new ledger --directory {EXAMPLE}"


def test_names_are_made_of_the_protocols_name(made: Path):
    assert sorted(path.name for path in made.iterdir()) == [
        "mesh.yaml",
        "stock_feed.py",
        "stock_feed_client.py",
        "stock_feed_server.py",
        "stock_feed_wire.py",
        "test_stock_feed.py",
    ]
    text = (made / "stock_feed.py").read_text()
    assert "class StockFeed(Protocol):" in text
    assert 'name = "stock-feed"' in text
    assert "TAGE_SIDECAR_X_STOCK_FEED" in (made / "stock_feed_client.py").read_text()


def test_the_mesh_file_loads(made: Path):
    kinds = [resource.kind for resource in load_text((made / "mesh.yaml").read_text())]
    assert kinds == ["Mesh", "DestinationRule"]


def test_the_files_are_told_and_what_is_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run("protocol", "new", "feed", "--directory", str(tmp_path)) == 0
    told = capsys.readouterr().out
    assert f"Next: read {tmp_path}/feed.py, change it, and run: tage protocol check {tmp_path}/feed.py" in told
    assert all(str(path) in told for path in tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    mine = tmp_path / "feed_wire.py"
    mine.write_text("mine")
    assert run("protocol", "new", "feed", "--directory", str(tmp_path)) == 2
    assert f"{mine}: there already, and not overwritten" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["feed_wire.py"]
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("name", ["", "Ledger", "9p", "a/b", "a-", "bolt", "dubbo-thrift", "x" * 41, "class"])
def test_a_name_that_cannot_be_is_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run("protocol", "new", name, "--directory", str(tmp_path / "d")) == 2
    assert "is no name for a protocol" in capsys.readouterr().err
    assert not (tmp_path / "d").exists()


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "file").touch()
    assert run("protocol", "new", "feed", "--directory", str(tmp_path / "file")) == 2
    assert "cannot be written" in capsys.readouterr().err


def command(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = dict(os.environ, PYTHONPATH=str(ROOT))
    return subprocess.run(
        [sys.executable, *arguments], cwd=directory, env=env, capture_output=True, text=True, timeout=300
    )


@pytest.mark.processes
def test_its_own_test_passes(made: Path):
    done = command(made, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_stock_feed.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d\d+ passed", done.stdout)


@pytest.fixture
def server(made: Path) -> Iterator[str]:
    """Where the scaffold's server listens."""
    env = dict(os.environ, HOST="127.0.0.1", PORT="0", VERSION="v7")
    process = subprocess.Popen(
        [sys.executable, "stock_feed_server.py"], cwd=made, env=env, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.communicate(timeout=10)


@pytest.mark.processes
def test_client_and_server_run(made: Path, server: str):
    done = command(made, "stock_feed_client.py", server, "--calls", "30")
    assert (done.stdout.split(), done.returncode) == (["30", "answered", "by", "v7"], 0), done.stderr
    refused = command(made, "stock_feed_client.py", server, "--method", "nothing", "--calls", "2")
    assert (refused.stdout.strip(), refused.returncode) == ("2 refused with status 4: no method nothing", 1)
