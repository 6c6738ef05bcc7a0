"""What `tage up` prints: its own words, the children's output line by line behind their names, and the live table.

On a terminal the names are coloured and the table stays below the lines, redrawn in place; elsewhere it is a plain
block every ten seconds. A reader that goes away (`tage up | head`) is reported once through `on_closed`.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

MAX_LINE = 16 * 1024
"""Bytes of one line of a child's output; the rest of a longer line is left out."""

_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green", "bright_magenta")


class LineSplitter:
    """Bytes in, whole lines out. Holds at most `limit` bytes of an unfinished line."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._part = b""
        self._cut = False

    def feed(self, data: bytes) -> list[str]:
        lines = []
        *whole, rest = data.split(b"\n")
        for piece in whole:
            self._keep(piece)
            lines.append(self._take())
        self._keep(rest)
        return lines

    def finish(self) -> list[str]:
        """The unfinished last line, if there is one."""
        return [self._take()] if self._part else []

    def _keep(self, piece: bytes) -> None:
        room = self._limit - len(self._part)
        self._cut = self._cut or len(piece) > room
        self._part += piece[:room]

    def _take(self) -> str:
        text = self._part.decode(errors="replace").rstrip("\r")
        if self._cut:
            text += " [...]"
        self._part, self._cut = b"", False
        return text


class Console:
    """`quiet` leaves the children's output out. `width` is the longest name, so that the output lines up."""

    def __init__(self, width: int, quiet: bool = False, file: TextIO | None = None) -> None:
        self.quiet = quiet
        self.on_closed: Callable[[], None] = lambda: None
        self._file = file or sys.stdout
        self._width = width
        self._closed = False
        self.terminal = self._file.isatty()
        if self.terminal:
            from rich.console import Console as RichConsole

            self._rich = RichConsole(file=self._file, highlight=False, markup=False, emoji=False)
            self._live: Live | None = None

    def child(self, name: str, line: str) -> None:
        """One line that a child wrote."""
        if not self.quiet:
            self._prefixed(name, line)

    def event(self, name: str, line: str) -> None:
        """What happened to a child: shown even when quiet."""
        self._prefixed(name, line)

    def say(self, text: str) -> None:
        """Our own words, without a name in front."""
        self._write(lambda: self._rich.print(text, soft_wrap=True) if self.terminal else self._plain(text))

    def table(self, plain: Callable[[], str], rich: Callable[[], RenderableType]) -> None:
        """Show the table: in place on a terminal, else as a block."""
        if not self.terminal:
            self._write(lambda: self._plain(plain() + "\n"))
            return
        self._write(lambda: self._redraw(rich()))

    def close(self) -> None:
        """Take the live table away."""
        if self.terminal and self._live is not None:
            live, self._live = self._live, None
            self._write(live.stop)

    def _prefixed(self, name: str, line: str) -> None:
        if not self.terminal:
            self._write(lambda: self._plain(f"{name:<{self._width}} | {line}"))
            return
        from rich.text import Text

        colour = _COLOURS[zlib.crc32(name.encode()) % len(_COLOURS)]
        text = Text.assemble((f"{name:<{self._width}} | ", colour), Text.from_ansi(line))
        self._write(lambda: self._rich.print(text, soft_wrap=True))

    def _plain(self, text: str) -> None:
        self._file.write(text + "\n")
        self._file.flush()

    def _redraw(self, table: RenderableType) -> None:
        from rich.live import Live

        if self._live is None:
            # No refresh thread: we redraw when there is something new.
            self._live = Live(console=self._rich, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(table, refresh=True)

    def _write(self, action: Callable[[], None]) -> None:
        if self._closed:
            return
        try:
            action()
        except OSError:  # BrokenPipeError, or EIO of a terminal that hung up
            self._closed = True
            self.on_closed()
