"""``%START_TIME(...)%``: a point in time in strftime's words, and Envoy's for what strftime has none.

``%s``                 seconds since the epoch
``%f``, ``%1f``-``%9f``  the fraction of the second with that many digits (9); digits beyond microseconds are 0
``%E1S``-``%E9S``        the second with its fraction, ``%E1f``-``%E9f`` the fraction alone (absl::FormatTime)
``%Ez``                the offset with a colon

Time is UTC. What is the same for a whole second is made once a second.
"""

from __future__ import annotations

import re
import time

DEFAULT = "%Y-%m-%dT%H:%M:%E3SZ"

_WORD = re.compile(
    r"%(?:(?P<fraction>[1-9]?)f|E(?P<digits>[1-9])(?P<what>[Sf])|(?P<zone>Ez)|(?P<plain>[^E]))", re.DOTALL
)
_STRFTIME = frozenset("aAbBcCdDeFgGhHIjklmMnpPrRStTuUVwWxXyYzZ%s")
_EPOCH = "\0"
"""Stands for %s in a piece: strftime's own is local time."""


class TimeFormat:
    """Raises ValueError for a word that it does not know."""

    def __init__(self, text: str = DEFAULT) -> None:
        self._pieces = _pieces(text or DEFAULT)
        self._second = -1
        self._made: list[str] = []
        self.unit = 10 ** max(0, 6 - max((digits for _, digits in self._pieces), default=0))
        """Microseconds that make no difference in the text: a second where it has no fraction."""

    def format(self, us: int) -> str:
        """`us`: microseconds since the epoch."""
        second, micros = divmod(us, 1_000_000)
        if second != self._second:
            broken_down = time.gmtime(second)
            self._made = [
                time.strftime(piece.replace(_EPOCH, str(second)), broken_down)
                for piece, _ in self._pieces
            ]
            self._second = second
        made = self._made
        if len(made) == 1 and not self._pieces[0][1]:
            return made[0]
        nanos = f"{micros:06}000"
        return "".join(text + nanos[:digits] for text, (_, digits) in zip(made, self._pieces, strict=True))


def _pieces(text: str) -> list[tuple[str, int]]:
    """Text for strftime, each followed by the fraction with so many digits."""
    if _EPOCH in text:
        raise ValueError("a time format must not contain NUL")
    pieces = []
    plain = ""
    at = 0
    while at < len(text):
        if text[at] != "%":
            plain += text[at]
            at += 1
            continue
        word = _WORD.match(text, at)
        if word is None or (word["plain"] and word["plain"] not in _STRFTIME):
            raise ValueError(f"unknown time format '{text[at : at + 2]}'")
        if word["plain"]:
            plain += {"s": _EPOCH, "Z": "UTC"}.get(word["plain"], word[0])
        elif word["zone"]:
            plain += "+00:00"
        else:
            plain += "%S." if word["what"] == "S" else ""
            pieces.append((plain, int(word["digits"] or word["fraction"] or 9)))
            plain = ""
        at = word.end()
    return [*pieces, (plain, 0)] if plain or not pieces else pieces
