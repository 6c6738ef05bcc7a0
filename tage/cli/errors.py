"""`CommandError`: why a command failed, in one line that says what to do."""

from __future__ import annotations


class CommandError(Exception):
    """`code` is the exit code: 1 failed, 2 wrong usage or configuration."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code
