"""The registry file: what `tage up` tells the control plane about the mesh's instances."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import yaml

from tage.cli.runtime import write_atomically
from tage.registry.model import Service

_Dumper: type = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def write(path: Path, services: Iterable[Service]) -> None:
    """Replace the file atomically: the control plane sees the old state or the new one."""
    content = {"services": [msgspec.to_builtins(service) for service in services]}
    write_atomically(path, yaml.dump(content, Dumper=_Dumper, sort_keys=False, encoding="utf-8"))
