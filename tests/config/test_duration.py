from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tage.config.duration import MAX_MS, parse_duration_ms


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0s", 0), ("1.5s", 1500), ("250ms", 250), ("1h", 3_600_000), ("1h30m", 5_400_000), (".5s", 500),
        ("2.s", 2000), ("1000us", 1), ("5000000ns", 5), ("0.001s", 1), ("315576000000s", MAX_MS),
    ],
)  # fmt: skip
def test_good(text: str, milliseconds: int) -> None:
    assert parse_duration_ms(text) == milliseconds


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a duration"), ("1", "not a duration"), ("s", "not a duration"), ("1 s", "not a duration"),
        ("1d", "not a duration"), ("1e3s", "not a duration"), ("1s ", "not a duration"), ("1s\n", "not a duration"),
        ("-1s", "negative"), ("0.5ms", "finer than 1ms"), ("1.0005s", "finer than 1ms"), ("1ns", "finer than 1ms"),
        ("315576000001s", "too long"), ("9" * 100 + "s", "not a duration"), ("١s", "not a duration"),
    ],
)  # fmt: skip
def test_bad(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_duration_ms(text)


@given(st.integers(0, 10**12))
def test_fractions_are_exact(milliseconds: int) -> None:
    assert parse_duration_ms(f"{milliseconds // 1000}.{milliseconds % 1000:03}s") == milliseconds
