"""The configurations under `peers/`: whole files with `{{NAME}}` where a port or a folder of this run stands."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

PEERS = Path(__file__).with_name("peers")
_PLACE = re.compile(r"\{\{([A-Z_]+)\}\}")


def render(template: str, values: Mapping[str, object], directory: Path) -> Path:
    """Writes `peers/<template>` with its places filled into `directory`; `KeyError` names a place without a value."""
    text = _PLACE.sub(lambda place: str(values[place.group(1)]), (PEERS / template).read_text())
    path = directory / template
    path.write_text(text)
    return path


def user_directive() -> str:
    """nginx, started by root, would run its worker as a user who may not write into the run's folder."""
    return "user root;" if os.geteuid() == 0 else ""
