"""``python -m tage.sidecar.supervisor``: reads the arguments and runs the loop. Exit status 2: wrong arguments."""

from __future__ import annotations

import sys

USAGE = """usage: python -m tage.sidecar.supervisor --run-dir DIR --workers N [--drain-seconds S] -- AGENT_ARGV...

  --run-dir DIR        where the workers' files are; made if missing, emptied of them at the end
  --workers N          worker processes, 1 to 64
  --drain-seconds S    how long workers may finish what is under way after SIGTERM (default 5)

example: python -m tage.sidecar.supervisor --run-dir /run/tage/a --workers 1 -- python -m tage.sidecar.agent
"""
MAX_WORKERS = 64


class UsageError(Exception):
    pass


class Options:
    """Read by hand: argparse would cost the process as much memory as its own code."""

    def __init__(self, arguments: list[str]) -> None:
        """Raises `UsageError`."""
        if "--" not in arguments:
            raise UsageError("the agent's command is missing; give it after --")
        split = arguments.index("--")
        values = {"--run-dir": "", "--workers": "", "--drain-seconds": "5"}
        given = iter(arguments[:split])
        for name in given:
            name, equals, value = name.partition("=")
            if name not in values:
                raise UsageError(f"unknown option {name!r}")
            values[name] = value if equals else next(given, "")
            if not values[name]:
                raise UsageError(f"{name} needs a value")
        for name, value in values.items():
            if not value:
                raise UsageError(f"{name} is missing")
        self.agent_argv = arguments[split + 1 :]
        if not self.agent_argv:
            raise UsageError("the agent's command is missing after --")
        self.run_dir = values["--run-dir"]
        self.workers = int(_number("--workers", values["--workers"], 1, MAX_WORKERS, whole=True))
        self.drain_seconds = _number("--drain-seconds", values["--drain-seconds"], 0, 3600)


def _number(name: str, value: str, low: int, high: int, *, whole: bool = False) -> float:
    try:
        number = int(value) if whole else float(value)
    except ValueError:
        number = -1
    if not low <= number <= high:
        raise UsageError(f"{name} {value}: give a {'whole ' if whole else ''}number from {low} to {high}")
    return number


def main(arguments: list[str]) -> int:
    if arguments in (["-h"], ["--help"]):
        print(USAGE, end="")
        return 0
    try:
        options = Options(arguments)
    except UsageError as error:
        print(f"supervisor: {error}\n\n{USAGE}", end="", file=sys.stderr)
        return 2
    # msgspec takes from typing_extensions, where it is installed, what Python 3.11 has itself; that module brings
    # `inspect` and `ast`: 1.4 of 13 MB.
    sys.modules.setdefault("typing_extensions", None)  # type: ignore[arg-type]
    from tage.sidecar.supervisor.loop import Supervisor
    from tage.sidecar.supervisor.rundir import RunDirectoryError

    try:
        supervisor = Supervisor(
            options.run_dir, options.workers, options.agent_argv, drain_seconds=options.drain_seconds
        )
    except RunDirectoryError as error:
        print(f"supervisor: {error}", file=sys.stderr)
        return 1
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
