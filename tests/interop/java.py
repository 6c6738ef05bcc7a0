"""The Java programs of `interop/java`: built once by Maven into build/interop, then run as processes of the tests."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.ports import LOOPBACK, free_port, until
from tests.e2e.processes import MARK, ROOT, Process

SOURCES = ROOT / "interop" / "java"
BUILD = ROOT / "build" / "interop"
MODULES = ("sofarpc", "dubbo")
START = 60.0
"""Seconds; a JVM with one of the frameworks needs two or three of a processor's time to start."""
LONGEST_BUILD = 540
"""Seconds; nearly all of it downloads, the first time."""
LONGEST_CALL = 60.0
LOOPBACK_NAME = "loopback"
"""Where it binds or dials, Dubbo replaces 127.x by an address of the machine (NetUtils.filterLocalHost), no name."""

OPENED = ("io", "lang", "lang.reflect", "math", "time", "util", "util.concurrent")
"""Hessian reads and writes the fields of the JDK's own classes."""
OPTIONS = (
    *(f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in OPENED),
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Djava.net.preferIPv4Stack=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dio.netty.eventLoopThreads=2",
    # SOFARPC refuses calls while so many bytes of its connection are unsent: with 64 KiB, beside any large argument.
    f"-Dbolt.netty.buffer.low.watermark={16 << 20}",
    f"-Dbolt.netty.buffer.high.watermark={32 << 20}",
)


def build() -> None:
    """Runs Maven where the sources have changed since it last did. Skips the test without the tool-chain."""
    missing = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
    if missing:
        packages = "maven default-jdk-headless"
        pytest.skip(f"not installed: {', '.join(missing)} (on Debian and Ubuntu: apt-get install {packages})")
    stamp = BUILD / "sources.sha256"
    digest = _digest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    BUILD.mkdir(parents=True, exist_ok=True)
    for module in MODULES:
        shutil.rmtree(BUILD / module, ignore_errors=True)
    maven = ("mvn", "-q", "-B", "package")
    done = subprocess.run(maven, cwd=SOURCES, capture_output=True, text=True, timeout=LONGEST_BUILD, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(maven)} in {SOURCES}:\n{done.stdout[-4000:]}{done.stderr[-2000:]}", pytrace=False)
    stamp.write_text(digest)


def _digest() -> str:
    found = hashlib.sha256()
    for file in sorted(SOURCES.rglob("*")):
        if file.suffix in (".java", ".xml"):
            found.update(f"{file.relative_to(SOURCES)}\n".encode() + file.read_bytes())
    return found.hexdigest()


def named(directory: Path, address: str, name: str) -> str:
    """The name, which from now on the programs started for `directory` take for this address."""
    hosts = directory / "hosts"
    with hosts.open("a") as file:
        file.write(f"{address} {name}\n")
    return name


def command(module: str, program: str, directory: Path, *options: str) -> tuple[str, ...]:
    """Whatever a framework writes of itself (logs, caches below the user's home) goes to `directory`."""
    classes = f"{BUILD / module / f'{module}-1.jar'}:{BUILD / module / 'lib'}/*"
    hosts = directory / "hosts"
    if not hosts.exists():
        hosts.write_text(f"{LOOPBACK} {LOOPBACK_NAME} {socket.gethostname()}\n")
    homes = (f"-Duser.home={directory}", f"-Dlogging.path={directory}", f"-Djdk.net.hosts.file={hosts}")
    return ("java", *OPTIONS, *homes, *options, "-cp", classes, f"com.tage.interop.{module}.{program}")


class Server(Process):
    """Ready when it is made. `version` is what its answers begin with."""

    def __init__(
        self, module: str, directory: Path, version: str, *arguments: str, port: int = 0, options: tuple[str, ...] = ()
    ) -> None:
        self.port = port or free_port()
        self.version = version
        argv = (*command(module, "Server", directory, *options), LOOPBACK_NAME, str(self.port), version, *arguments)
        super().__init__(directory, *argv, name=f"{module}-{version}-{self.port}")
        before = self.log.count("ready")
        try:
            until(lambda: self._is_ready(before), f"the {module} server is ready", START)
        except AssertionError:
            self.discard()
            raise

    def _is_ready(self, before: int) -> bool:
        assert self.running, self.log
        return self.log.count("ready") > before


class Failure(Exception):
    """What a call threw. `exception`: the Java class; `code`: the framework's own number."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.exception: str = answer["exception"]
        self.message: str = answer["message"] or ""
        self.code: int | None = answer["code"]
        self.causes: list[str] = answer["causes"]
        self.ms: int = answer["ms"]
        super().__init__(json.dumps(answer, indent=1))


class Client:
    """One JVM for all of a module's tests: commands go in and answers come out by their id, in any order."""

    def __init__(self, module: str, directory: Path, *arguments: str, options: tuple[str, ...] = ()) -> None:
        self._log = directory / f"{module}{''.join(arguments)}-client.log"
        self._answers: dict[int, dict[str, Any]] = {}
        self._ids = itertools.count(1)
        self._changed = threading.Condition()
        self._ready = False
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                (*command(module, "Client", directory, *options), *arguments),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=directory,
                env={**os.environ, MARK: str(self._log)},
                text=True,
            )
        threading.Thread(target=self._read, daemon=True).start()
        with self._changed:
            assert self._changed.wait_for(lambda: self._ready, START), self._log.read_text()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            answer = json.loads(line)
            with self._changed:
                if "ready" in answer:
                    self._ready = True
                else:
                    self._answers[answer["id"]] = answer
                self._changed.notify_all()

    def start(self, port: int, method: str = "echo", host: str = LOOPBACK_NAME, other: int = 0, **fields: Any) -> int:
        """Sends a command; its id. `host`: a name that `named` has given. `other`: a second port to call."""
        number = next(self._ids)
        address = f"{host}:{port};{host}:{other}" if other else f"{host}:{port}"
        words = {"id": number, "address": address, "method": method, **fields}
        assert self._process.stdin
        self._process.stdin.write("\t".join(f"{key}={value}" for key, value in words.items()) + "\n")
        self._process.stdin.flush()
        return number

    def answer(self, number: int, seconds: float = LONGEST_CALL) -> dict[str, Any]:
        with self._changed:
            came = self._changed.wait_for(lambda: number in self._answers, seconds)
            assert came, f"no answer to command {number} in {seconds:g} s\n{self._log.read_text()[-4000:]}"
            return self._answers.pop(number)

    def call(self, port: int, method: str = "echo", **fields: Any) -> Any:
        """The value. Raises `Failure` with what was thrown."""
        answer = self.answer(self.start(port, method, **fields))
        if not answer["ok"]:
            raise Failure(answer)
        return answer["value"]

    def load(self, port: int, **fields: Any) -> dict[str, Any]:
        return self.answer(self.start(port, do="load", **fields), fields.get("seconds", 60) + 60)

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(START)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        finally:
            self._process.wait()
