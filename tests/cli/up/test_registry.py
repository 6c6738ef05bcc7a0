from __future__ import annotations

from pathlib import Path

from tage.cli.up import registry
from tage.registry.file import load_services
from tage.registry.model import Instance, Service


def test_the_registry_reads_back_what_is_written(tmp_path: Path) -> None:
    instance = Instance("a-v1-1", "127.1.0.3", 15006, "127.1.0.3", 8080, {"version": "1.0"}, ready=False)
    services = (Service("b"), Service("a", "prod", 81, "http", (instance,)))
    path = tmp_path / "registry.json"
    path.write_text("old")
    registry.write(path, services)
    assert tuple(load_services(path.read_text(), str(path))) == services
    assert [entry.name for entry in tmp_path.iterdir()] == ["registry.json"]
