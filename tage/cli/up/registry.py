"""The registry file: what `tage up` tells the control plane about the mesh's instances."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from tage.cli.runtime import write_atomically
from tage.registry.model import Service


def write(path: Path, services: Iterable[Service]) -> None:
    """Replace the file atomically: the control plane sees the old state or the new one."""
    write_atomically(path, msgspec.json.encode({"services": list(services)}))
