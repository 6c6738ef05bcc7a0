import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tage.dataplane.telemetry.access_log.start_time import TimeFormat

AT = 1_795_455_308_065_306  # 2026-11-23T17:35:08.065306Z, a Monday


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "2026-11-23T17:35:08.065Z"),
        ("%Y/%m/%dT%H:%M:%S%z", "2026/11/23T17:35:08+0000"),
        ("%s", "1795455308"),
        ("%s.%3f", "1795455308.065"),
        ("%f", "065306000"),
        ("%1f %2f %6f %7f %9f", "0 06 065306 0653060 065306000"),
        ("%E3S %E1S %E6f", "08.065 08.0 065306"),
        ("%Ez %Z", "+00:00 UTC"),
        ("100%% %a", "100% Mon"),
        ("%%s %%f", "%s %f"),
        ("no words", "no words"),
    ],
)
def test_words(text: str, expected: str) -> None:
    assert TimeFormat(text).format(AT) == expected


@pytest.mark.parametrize("text", ["%Q", "%E", "%EY", "%0f", "%", "a\0b", "%10f"])
def test_unknown_words(text: str) -> None:
    with pytest.raises(ValueError, match="time format"):
        TimeFormat(text)


@given(st.lists(st.integers(0, 4_000_000_000_000_000), min_size=1))
def test_in_any_order(times: list[int]) -> None:
    form = TimeFormat()
    epoch = datetime.datetime(1970, 1, 1)
    for us in times:
        expected = (epoch + datetime.timedelta(microseconds=us)).isoformat(timespec="milliseconds")
        assert form.format(us) == f"{expected}Z"


@pytest.mark.parametrize(("text", "unit"), [("", 1000), ("%s", 1_000_000), ("%f", 1), ("%1f %3f", 1000), ("%7f", 1)])
def test_unit(text: str, unit: int) -> None:
    """Times that are equal in units have the same text."""
    form = TimeFormat(text)
    assert form.unit == unit
    first = AT // unit * unit
    assert form.format(first) == form.format(first + unit - 1) != form.format(first + unit)
