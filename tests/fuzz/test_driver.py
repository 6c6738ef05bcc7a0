"""The built-in engine finds what is planted, says where, and does the same again with the same seed."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Hashable
from pathlib import Path

import pytest

from fuzz import driver
from fuzz.driver import BrokenInvariantError
from fuzz.mutate import Mutator
from fuzz.target import Target, cuts

ROOT = Path(__file__).parents[2]


def target(
    check: Callable[[bytes], Hashable], consume: Callable[[bytes], None] = lambda data: None, max_size: int = 100
) -> Target:
    return Target("toy", lambda: [b"hello", b"\x05\x05world"], check, consume, 100_000, [b"magic"], max_size=max_size)


class Ticks:
    """A clock that goes on by a second whenever it is read: so many inputs, however fast the machine."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def test_a_planted_error_is_found_and_told():
    def check(data: bytes) -> Hashable:
        if b"magic" in data and len(data) > 20:
            raise IndexError("planted")
        return b"magic" in data

    with pytest.raises(BrokenInvariantError) as raised:
        driver.run(target(check), 5000, seed=1, clock=Ticks())
    assert isinstance(raised.value.__cause__, IndexError)
    assert b"magic" in raised.value.data
    with pytest.raises(BrokenInvariantError):
        driver.examine(target(check), raised.value.data)


def test_inputs_that_tell_something_new_are_climbed_upon():
    """Each byte of the word is a new answer; all four at once, chance would not find in a billion inputs."""
    word = b"\x00\x7f\xff\x0d"

    def check(data: bytes) -> Hashable:
        right = next((i for i, byte in enumerate(word) if data[i : i + 1] != bytes([byte])), 4)
        assert right < 4
        return right

    with pytest.raises(BrokenInvariantError) as raised:
        driver.run(target(check, max_size=8), 100_000, seed=1, clock=Ticks())
    assert raised.value.data[:4] == word


def test_too_much_memory_is_found():
    held: list[bytes] = []
    with pytest.raises(BrokenInvariantError) as raised:
        driver.run(target(len, lambda data: held.append(bytes(200_000))), 10, seed=1, clock=Ticks())
    assert "more than 100000" in str(raised.value.__cause__)


def test_the_same_seed_gives_the_same_inputs():
    def inputs(seed: int) -> list[bytes]:
        seen: list[bytes] = []
        outcome = driver.run(target(len), 500, seed, before=seen.append, clock=Ticks())
        assert outcome.runs == len(seen) > 400
        assert max(map(len, seen)) <= 100
        return seen

    assert inputs(1) == inputs(1)
    assert inputs(1) != inputs(2)


def test_mutations_stay_within_the_size_and_bear_empty_inputs():
    mutator = Mutator(random.Random(1), [b"token"], 50)
    for _ in range(3000):
        assert len(mutator.mutate(b"", b"")) <= 50
        assert len(mutator.mutate(bytes(50), bytes(80))) <= 50


def test_cuts_depend_on_the_data_alone():
    for data in (b"", b"a", bytes(range(200))):
        assert b"".join(cuts(data)) == data
        assert cuts(data) == cuts(data)


@pytest.mark.processes
def test_the_command(tmp_path: Path):
    def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "fuzz", *arguments],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
        )

    done = fuzz("proxy_protocol", "--seconds", "0.2", "--seed", "7")
    assert done.returncode == 0, done.stderr
    assert "seed 7" in done.stdout
    assert not list((tmp_path / "build/fuzz").iterdir())
    (tmp_path / "input").write_bytes(b"PROXY UNKNOWN\r\n")
    assert fuzz("proxy_protocol", "--replay", "input").returncode == 0
    missing = fuzz("proxy_protocol", "--replay", "nothing")
    assert missing.returncode == 2
    assert "nothing" in missing.stderr
    assert fuzz("nonsense").returncode == 2
