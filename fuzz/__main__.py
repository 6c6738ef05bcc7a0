"""`python -m fuzz TARGET|GROUP|all --seconds N`: fuzzes, and keeps an input that breaks an invariant under build/fuzz.

`--engine builtin` (the default) needs nothing installed; `--engine atheris` is guided by coverage and runs the sources
uncompiled. The compiled modules are what the built-in engine takes unless TAGE_PURE=1 is set.
"""

from __future__ import annotations

import argparse
import faulthandler
import math
import os
import sys
import traceback
from hashlib import sha1
from pathlib import Path

FOLDER = Path("build/fuzz")
_HANG = 60
"""Seconds that one input may take."""


def main() -> int:
    """0: all held; 1: an input broke an invariant, and where it was kept is said; 2: used wrongly."""
    arguments = _arguments()
    if arguments.engine == "atheris":
        os.environ["TAGE_PURE"] = "1"  # before tage is imported: there is no coverage of compiled modules
    from fuzz.targets import GROUPS, TARGETS

    names = GROUPS.get(arguments.target, [arguments.target])
    if not set(names) <= set(TARGETS):
        there = ", ".join([*GROUPS, *TARGETS])
        print(f"fuzz: no target {arguments.target!r}; there are: {there}", file=sys.stderr)
        return 2
    if len(names) > 1 and (arguments.replay or arguments.engine == "atheris"):
        print("fuzz: --replay and --engine atheris take one target", file=sys.stderr)
        return 2
    chosen = [TARGETS[name] for name in names]
    FOLDER.mkdir(parents=True, exist_ok=True)
    return _run(chosen, arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Fuzzes what reads bytes from the network.")
    parser.add_argument("target", help="a target of fuzz/targets, xprotocol for those of all RPC codecs, or all")
    parser.add_argument("--seconds", type=float, help="for each target (default: 60; with --inputs none)")
    parser.add_argument("--inputs", type=int, default=0, help="for each target, in place of seconds")
    parser.add_argument("--seed", type=int, help="of the built-in engine's inputs (default: another each time)")
    parser.add_argument("--engine", choices=["builtin", "atheris"], default="builtin")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="check this one input and nothing else")
    arguments = parser.parse_args()
    if arguments.seconds is None:
        arguments.seconds = math.inf if arguments.inputs else 60.0
    if arguments.engine == "atheris" and math.isinf(arguments.seconds):
        parser.error("--engine atheris counts in --seconds")
    return arguments


def _run(chosen: list, arguments: argparse.Namespace) -> int:
    from fuzz import driver, engine

    seed = int.from_bytes(os.urandom(4), "big") if arguments.seed is None else arguments.seed
    if arguments.engine == "atheris" and not engine.installed():
        print("fuzz: atheris is not installed: pip install atheris, or take --engine builtin", file=sys.stderr)
        return 2
    if arguments.engine == "atheris" and not arguments.replay:
        engine.run(chosen[0], int(arguments.seconds), seed, FOLDER)
    for target in chosen:
        try:
            if arguments.replay:
                driver.examine(target, arguments.replay.read_bytes())
                print(f"{target.name}: holds for {arguments.replay}")
                continue
            with LastInput(FOLDER / f"{target.name}.last") as last:
                outcome = driver.run(target, arguments.seconds, seed, inputs=arguments.inputs, before=last.keep)
        except driver.BrokenInvariantError as broken:
            traceback.print_exc()
            path = FOLDER / f"{target.name}-{sha1(broken.data).hexdigest()[:12]}.bin"
            path.write_bytes(broken.data)
            print(f"\n{broken}\nAgain: python -m fuzz {target.name} --replay {path}", file=sys.stderr)
            return 1
        except OSError as error:
            print(f"fuzz: {error}", file=sys.stderr)
            return 2
        print(f"{target.name}: {outcome.runs} inputs, {outcome.answers} different answers, seed {seed}", flush=True)
    return 0


class LastInput:
    """The input in hand, in a file: what to replay if the process dies of it, or is ended because it hangs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._runs = 0

    def __enter__(self) -> LastInput:
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        faulthandler.enable()
        return self

    def keep(self, data: bytes) -> None:
        os.pwrite(self._file, data, 0)
        os.ftruncate(self._file, len(data))
        if self._runs % 1000 == 0:  # each arms a thread: not for every input
            faulthandler.dump_traceback_later(_HANG, exit=True)
        self._runs += 1

    def __exit__(self, *_: object) -> None:
        faulthandler.cancel_dump_traceback_later()
        os.close(self._file)
        self._path.unlink()


if __name__ == "__main__":
    sys.exit(main())
