"""Frames that real clients and servers have written, by file and name.

Each file says who wrote them, each frame's comment what it is.
"""

from __future__ import annotations

from pathlib import Path


def load(name: str) -> dict[str, bytes]:
    """The frames of `name`.txt: sections in brackets, comments after `#`, hexadecimal digits."""
    frames: dict[str, bytes] = {}
    section = ""
    for line in (Path(__file__).parent / f"{name}.txt").read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
            frames[section] = b""
        elif line and not line.startswith("#"):
            frames[section] += bytes.fromhex(line)
    return frames
