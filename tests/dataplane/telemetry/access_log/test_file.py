"""Log files: nothing waits, lines stay whole, and what is lost is counted."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tage.dataplane.telemetry.access_log.file import LogFile

PATIENCE = 10.0
LINE = b"0123456789" * 20 + b"\n"


class Loop:
    """Makes its timed calls when the test says so."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        self.calls.append(callback)

    def call_soon_threadsafe(self, callback: Callable[[], None]) -> None:
        callback()

    def pass_time(self) -> None:
        calls, self.calls = self.calls, []
        for callback in calls:
            callback()


class Opened:
    def __init__(self, path: Path | str) -> None:
        self.loop = Loop()
        self.counts: Counter[str] = Counter()
        loop: Any = self.loop
        self.file = LogFile(str(path), loop, self._count)

    def _count(self, name: str, n: int) -> None:
        self.counts[name] += n

    def end(self) -> None:
        self.file.close()
        assert self.file.wait(PATIENCE)


@pytest.fixture
def open_log() -> Iterator[Callable[[Path | str], Opened]]:
    made: list[Opened] = []

    def opening(path: Path | str) -> Opened:
        made.append(Opened(path))
        made[-1].file.opened().result(PATIENCE)
        return made[-1]

    yield opening
    for each in made:
        each.file.close()
        each.file.wait(PATIENCE)


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def numbered(start: int, count: int) -> list[bytes]:
    return [b"%08d %s" % (i, LINE) for i in range(start, start + count)]


def test_lines_are_written_when_a_second_has_passed(tmp_path, open_log):
    log = open_log(tmp_path / "log")
    log.file.write(b"one\n")
    log.file.write(b"two\n")
    assert len(log.loop.calls) == 1
    assert (tmp_path / "log").read_bytes() == b""
    log.loop.pass_time()
    until(lambda: (tmp_path / "log").read_bytes() == b"one\ntwo\n")
    assert not log.loop.calls, "a quiet log asks for no calls"
    log.file.write(b"three\n")
    log.end()
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\nthree\n"
    assert not log.counts


def test_lines_are_written_when_there_are_64_kib(tmp_path, open_log):
    log = open_log(tmp_path / "log")
    lines = numbered(0, 65_536 // len(numbered(0, 1)[0]) + 1)
    for line in lines:
        log.file.write(line)
    until(lambda: (tmp_path / "log").read_bytes() == b"".join(lines))


def test_what_is_there_stays(tmp_path, open_log):
    (tmp_path / "log").write_bytes(b"before\n")
    log = open_log(tmp_path / "log")
    log.file.write(b"after\n")
    log.end()
    assert (tmp_path / "log").read_bytes() == b"before\nafter\n"


def test_a_file_that_cannot_be_opened(tmp_path):
    log = Opened(tmp_path / "none" / "log")
    with pytest.raises(FileNotFoundError):
        log.file.opened().result(PATIENCE)
    log.end()


def test_rotation_under_load_loses_no_line(tmp_path, open_log):
    log = open_log(tmp_path / "log")
    lines = numbered(0, 20_000)
    for i, line in enumerate(lines):
        log.file.write(line)
        if i % 2_000 == 1_000:
            (tmp_path / "log").rename(tmp_path / f"log.{i // 2_000:02}")
            log.file.reopen()
            until((tmp_path / "log").exists)
    log.end()
    files = sorted(tmp_path.glob("log.*"))
    assert len(files) == 10
    assert b"".join(file.read_bytes() for file in [*files, tmp_path / "log"]) == b"".join(lines)
    assert not log.counts


def test_a_quiet_log_is_reopened_at_once(tmp_path, open_log):
    log = open_log(tmp_path / "log")
    (tmp_path / "log").rename(tmp_path / "old")
    log.file.reopen()
    until((tmp_path / "log").exists)


def test_a_file_that_cannot_be_reopened_is_written_on(tmp_path, open_log, capfd):
    directory = tmp_path / "logs"
    directory.mkdir()
    log = open_log(directory / "log")
    moved = directory.rename(tmp_path / "moved")
    log.file.reopen()
    log.file.write(b"a\n")
    log.end()
    assert (moved / "log").read_bytes() == b"a\n"
    assert log.file.failures == log.counts["access_log_write_failed"] == 1
    assert "cannot be opened anew: No such file or directory" in capfd.readouterr().err


def test_a_full_disk_stops_nobody_and_is_said_once(tmp_path, open_log, capfd):
    """/dev/full has no room; a symbolic link to it becomes a file again."""
    (tmp_path / "log").symlink_to("/dev/full")
    log = open_log(tmp_path / "log")
    lines = numbered(0, 30_000)  # more than the buffer takes
    began = time.monotonic()
    for line in lines:
        log.file.write(line)
    log.file.flush()
    until(lambda: log.file.failures >= 2)
    assert time.monotonic() - began < PATIENCE
    assert log.counts["access_log_dropped"] == log.file.dropped > 0
    (tmp_path / "log").unlink()
    log.file.reopen()
    log.end()
    kept = lines[: len(lines) - log.file.dropped]
    assert (tmp_path / "log").read_bytes() == b"".join(kept)
    assert capfd.readouterr().err.splitlines() == [
        f"worker: access log {tmp_path}/log: No space left on device; tried again every second; "
        "beyond 4 MiB lines are dropped",
        f"worker: access log {tmp_path}/log: is written again",
    ]


def test_a_full_disk_at_the_end(open_log, capfd):
    log = open_log("/dev/full")
    log.file.write(b"lost\n")
    log.end()
    assert "No space left on device; 5 bytes are lost" in capfd.readouterr().err


LIMITED = """
import resource, sys
from tage.dataplane.telemetry.access_log.file import LogFile
from tests.dataplane.telemetry.access_log.test_file import Opened, numbered, until
def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
first, second = Opened(sys.argv[1]), Opened(sys.argv[1])
limit(1000)
for line in numbered(0, 10):
    first.file.write(line)
first.file.flush()
until(lambda: first.file.failures)
for line in numbered(10, 1):
    second.file.write(line)
second.file.flush()
until(lambda: second.file.failures)
whole = open(sys.argv[1], "rb").read()
assert whole == b"".join(numbered(0, 4)), whole
limit(resource.RLIM_INFINITY)
first.end()
second.end()
"""


def test_a_line_that_is_cut_short_is_taken_back(tmp_path):
    """A limit on the file's size stands for a disk that fills up in the middle of a line."""
    path = tmp_path / "log"
    subprocess.run([sys.executable, "-c", LIMITED, str(path)], check=True, timeout=PATIENCE)
    assert sorted(path.read_bytes().splitlines(keepends=True)) == numbered(0, 11)


def test_a_pipe_that_nobody_reads_stops_nobody(tmp_path, open_log):
    os.mkfifo(tmp_path / "log")
    log = open_log(tmp_path / "log")
    lines = numbered(0, 50_000)
    began = time.monotonic()
    for line in lines:
        log.file.write(line)
    log.file.flush()
    assert time.monotonic() - began < PATIENCE / 2
    assert log.counts["access_log_dropped"] == log.file.dropped > 20_000
    kept = b"".join(lines[: len(lines) - log.file.dropped])
    log.file.close()
    with open(tmp_path / "log", "rb", buffering=0) as reader:
        assert b"".join(read_all(reader.fileno(), len(kept))) == kept
    assert log.file.wait(PATIENCE)


def test_a_hung_file_does_not_hold_up_another_nor_the_end(tmp_path, open_log):
    os.mkfifo(tmp_path / "hung")
    hung, other = open_log(tmp_path / "hung"), open_log(tmp_path / "log")
    for line in numbered(0, 2_000):
        hung.file.write(line)
    hung.file.close()
    assert not hung.file.wait(0.01)
    other.file.write(b"a\n")
    other.end()
    assert (tmp_path / "log").read_bytes() == b"a\n"
    with open(tmp_path / "hung", "rb", buffering=0) as reader:
        assert sum(map(len, read_all(reader.fileno(), len(b"".join(numbered(0, 2_000))))))


def test_lines_of_several_writers_to_a_pipe_stay_whole(tmp_path, open_log):
    os.mkfifo(tmp_path / "log")
    logs = [open_log(tmp_path / "log") for _ in range(3)]
    expected = [b"%d %s" % (i, line) for i in range(3) for line in numbered(0, 500)] + [b"x" * 10_000 + b"\n"] * 3
    found: list[bytes] = []

    def read() -> None:
        with open(tmp_path / "log", "rb", buffering=0) as reader:
            found.extend(read_all(reader.fileno(), sum(map(len, expected))))

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    for line in numbered(0, 500):
        for i, log in enumerate(logs):
            log.file.write(b"%d %s" % (i, line))
    for log in logs:
        log.file.write(b"x" * 10_000 + b"\n")
        log.file.close()
    reading.join(PATIENCE)
    assert sorted(b"".join(found).splitlines(keepends=True)) == sorted(expected)


STANDARD = """
import sys
from tests.dataplane.telemetry.access_log.test_file import Opened
out, err = Opened("/dev/stdout"), Opened("/dev/stderr")
out.file.write(b"out\\n")
err.file.write(b"err\\n")
out.end()
err.end()
"""


def test_standard_output_that_is_a_pipe() -> None:
    done = subprocess.run([sys.executable, "-c", STANDARD], check=True, capture_output=True, timeout=PATIENCE)
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")


def test_standard_output_that_is_a_file(tmp_path):
    with open(tmp_path / "out", "wb") as file:
        subprocess.run([sys.executable, "-c", STANDARD], check=True, stdout=file, stderr=file, timeout=PATIENCE)
    assert sorted((tmp_path / "out").read_bytes().splitlines()) == [b"err", b"out"]


def test_standard_output_that_is_a_socket() -> None:
    """As a service manager's is: such a one cannot be opened by name."""
    ours, theirs = socket.socketpair()
    with ours, contextlib.closing(theirs):
        subprocess.run([sys.executable, "-c", STANDARD], check=True, stdout=theirs, stderr=theirs, timeout=PATIENCE)
        ours.settimeout(PATIENCE)
        assert sorted(ours.recv(100).splitlines()) == [b"err", b"out"]


def read_all(descriptor: int, size: int) -> Iterator[bytes]:
    while size:
        data = os.read(descriptor, 65_536)
        assert data
        size -= len(data)
        yield data
