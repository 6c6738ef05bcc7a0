"""Frames that real clients and servers have written, by file and name.

Each file says who wrote them, each frame's comment what it is.
"""

from __future__ import annotations

from pathlib import Path


def load(name: str) -> dict[str, bytes]:
    """The frames of `name`.txt: sections in brackets, comments after `#`, hexadecimal digits; `x` and a number
    behind them: so many times."""
    frames: dict[str, bytes] = {}
    section = ""
    for line in (Path(__file__).parent / f"{name}.txt").read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
            frames[section] = b""
        elif line and not line.startswith("#"):
            digits, _, times = line.partition(" x")
            frames[section] += bytes.fromhex(digits) * int(times or 1)
    return frames
