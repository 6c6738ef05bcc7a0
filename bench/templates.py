"""The configurations under `peers/`: whole files with `{{NAME}}` where a port or a folder of this run stands. What is
between the lines `#if NAME` and `#end` is only for rows that have NAME, so that rows share what is the same for them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

PEERS = Path(__file__).with_name("peers")
_PLACE = re.compile(r"\{\{([A-Z][A-Z0-9_]*)\}\}")


def render(template: str, values: Mapping[str, object], directory: Path) -> Path:
    """Writes `peers/<template>` with its places filled into `directory`; `KeyError` names a place without a value."""
    lines = _chosen((PEERS / template).read_text(), values)
    text = _PLACE.sub(lambda place: str(values[place.group(1)]), "".join(lines))
    path = directory / template
    path.write_text(text)
    return path


def _chosen(text: str, values: Mapping[str, object]) -> Iterator[str]:
    """The lines without those whose `#if` does not hold. Conditions do not nest."""
    holds = True
    for line in text.splitlines(keepends=True):
        words = line.split()
        if words[:1] == ["#if"]:
            holds = bool(values[words[1]])
        elif words == ["#end"]:
            holds = True
        elif holds:
            yield line


def user_directive() -> str:
    """nginx, started by root, would run its worker as a user who may not write into the run's folder."""
    return "user root;" if os.geteuid() == 0 else ""
