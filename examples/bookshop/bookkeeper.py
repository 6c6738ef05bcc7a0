"""bookkeeper: counts who looked at what. The bookshop's own protocol (ledger.py): com.tage.bookshop.Ledger.enter(book)
writes a line, looked(book) too but nobody waits for it (a one-way call), and lines() says how many there are.

Each instance keeps a ledger of its own. Version 2 also knows how many are of a book.
"""

import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

import rpc
import wire_ledger

VERSION = os.environ.get("VERSION", "v1")
SERVICE = "com.tage.bookshop.Ledger"

_lines: Counter[int] = Counter()


def enter(book: int, *, metadata: Mapping[str, str]) -> dict[str, Any]:
    _lines[book] += 1
    answer: dict[str, Any] = {"version": VERSION, "line": _lines.total()}
    if VERSION != "v1":
        answer["of_this_book"] = _lines[book]
    return answer


def lines(*, metadata: Mapping[str, str]) -> dict[str, Any]:
    return {"version": VERSION, "lines": _lines.total()}


if __name__ == "__main__":
    rpc.serve(wire_ledger, SERVICE, {"enter": enter, "looked": enter, "lines": lines})
