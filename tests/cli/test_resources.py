"""get, apply, delete and status against a real control plane process."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tage.cli import main
from tage.cli.client import ControlClient
from tage.cli.errors import CommandError
from tage.cli.up.addresses import HTTP_PORT, XDS_PORT, allocate

pytestmark = pytest.mark.processes

RULES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - route: [{destination: {host: reviews, subset: v1}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets: [{name: v1, labels: {version: v1}}]
"""

Tage = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    address = allocate("test-resources", 1).control
    directory = tmp_path_factory.mktemp("control")
    argv = [sys.executable, "-m", "tage.pilot.server", "--config", str(directory), "--address", address]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([*argv, "--xds-port", str(XDS_PORT)], stdout=log, stderr=log)
    client = ControlClient(f"{address}:{HTTP_PORT}")
    deadline = time.monotonic() + 20
    try:
        while True:
            try:
                client.resources()
                break
            except CommandError:
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail((directory / "log").read_text())
                time.sleep(0.05)
        yield client.address
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def tage(control: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tage:
    """Run a command: exit code, stdout, stderr."""
    monkeypatch.setenv("TAGE_CONTROL", control)

    def run(*argv: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as caught:
            main(argv)
        captured = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, captured.out, captured.err

    return run


def test_apply_get_delete(tage: Tage, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    assert tage("get") == (0, "No resources.\n", "")
    created = "VirtualService default/reviews created\nDestinationRule default/reviews created\n"
    assert tage("apply", "-f", str(path)) == (0, created, "")
    assert tage("apply", str(path))[1] == created.replace("created", "unchanged")
    code, out, _ = tage("apply", "-", "-o", "json", stdin=RULES.replace("[reviews]", "[reviews, ratings]"))
    assert (code, [item["result"] for item in json.loads(out)["items"]]) == (0, ["configured", "unchanged"])

    assert tage("get")[1].splitlines() == [
        "KIND              NAMESPACE   NAME      FOR",
        "DestinationRule   default     reviews   reviews",
        "VirtualService    default     reviews   reviews, ratings",
    ]
    assert len(json.loads(tage("get", "-o", "json")[1])["items"]) == 2
    assert json.loads(tage("get", "vs", "reviews", "-o", "json")[1])["spec"]["hosts"] == ["reviews", "ratings"]
    assert tage("get", "-n", "other")[1] == "No resources.\n"

    text = tage("get", "-o", "yaml")[1]
    assert tage("apply", "-", stdin=text)[1].count("unchanged") == 2

    assert tage("delete", "VirtualServices", "reviews") == (0, "VirtualService default/reviews deleted\n", "")
    code, out, err = tage("delete", "-f", str(path))
    assert (code, out) == (1, "DestinationRule default/reviews deleted\n")
    assert err == "tage: not there: VirtualService reviews in namespace default; `tage get` lists what there is\n"
    code, _, err = tage("get", "dr", "reviews")
    assert code == 1
    assert err.startswith("tage: no DestinationRule reviews in namespace default; `tage get dr`")


def test_nothing_is_half_applied(tage: Tage) -> None:
    code, out, err = tage("apply", "-", stdin=RULES.replace("subsets:", "subset:"))
    assert (code, out) == (2, "")
    assert err.startswith("tage: <stdin>:")
    assert "spec.subset" in err
    assert tage("get")[1] == "No resources.\n"


def test_status_without_sidecars(tage: Tage) -> None:
    assert tage("status") == (0, "No sidecar is connected.\n", "")
    assert json.loads(tage("status", "-o", "json")[1]) == {"sidecars": []}
