from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tage.cli.up.console import Console, LineSplitter


@given(data=st.binary(max_size=200), cuts=st.lists(st.integers(0, 200)), limit=st.integers(1, 20))
def test_lines_do_not_depend_on_how_they_arrive(data: bytes, cuts: list[int], limit: int) -> None:
    whole = LineSplitter(limit)
    expected = [*whole.feed(data), *whole.finish()]
    pieces = LineSplitter(limit)
    lines, start = [], 0
    for cut in sorted(cuts):
        lines += pieces.feed(data[start:cut])
        start = max(start, cut)
    lines += pieces.feed(data[start:])
    assert [*lines, *pieces.finish()] == expected
    assert all(len(line) <= limit + len(" [...]") for line in expected)


def test_lines() -> None:
    splitter = LineSplitter(8)
    assert splitter.feed(b"one\r\n\ntw") == ["one", ""]
    assert splitter.feed(b"o\n12345678\n123456789 and more") == ["two", "12345678"]
    assert splitter.feed(b" and more\n\xff") == ["12345678 [...]"]
    assert splitter.finish() == ["\ufffd"]
    assert splitter.finish() == []


def test_children_are_prefixed_and_quiet_leaves_them_out() -> None:
    file = io.StringIO()
    console = Console(6, file=file)
    console.child("a-1", "hello [b]")
    console.quiet = True
    console.child("a-1", "not shown")
    console.event("b-1", "exited with code 1")
    console.table(lambda: "TABLE", lambda: pytest.fail("no terminal"))
    assert file.getvalue() == "a-1    | hello [b]\nb-1    | exited with code 1\nTABLE\n\n"


def test_a_reader_that_goes_away_is_reported_once() -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    reported = []
    console = Console(6, file=Broken())
    console.on_closed = lambda: reported.append(1)
    console.say("one")
    console.say("two")
    assert reported == [1]


def test_on_a_terminal_the_table_is_redrawn_and_lines_keep_their_brackets() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    from rich.text import Text

    file = Terminal()
    console = Console(6, file=file)
    console.child("a-1", "see [red]x[/red] 1 \x1b[31mred\x1b[0m")
    console.table(lambda: pytest.fail("a terminal"), lambda: Text("TABLE"))
    console.child("a-1", "later")
    console.close()
    console.say("end")
    assert "[red]x[/red] 1" in file.getvalue()
    assert "TABLE" in file.getvalue()
    assert file.getvalue().endswith("end\n")
