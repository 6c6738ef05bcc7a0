"""The commands. One module a group, imported only when its command runs, so that `tage --help` and `tage sidecar` start
without the rest.

``up``           `tage up`: a whole mesh on this machine
``control``      `tage control`: the control plane alone
``sidecar``      `tage sidecar`: one sidecar alone
``resources``    `tage get`, `tage apply`, `tage delete`
``status``       `tage status`
``explain``      `tage explain`
``protocol``     `tage protocol new`, `check`, `list`
``client``       the control plane's HTTP API, as the commands use it
``runtime``      the files that say which meshes run here
``output``       tables, JSON, YAML
``errors``       `CommandError`

Exit codes of every command: 0 done, 1 failed, 2 wrong usage or configuration. Errors are one line each on stderr.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import typer

from tage.cli.errors import CommandError
from tage.config.errors import ConfigError

# Typer carries its own click from 0.16 on and uses the click package before; this names the class in both.
_UsageError: type[Any] = typer.BadParameter.__bases__[0]


class _Command(NamedTuple):
    module: str
    help: str
    """For `tage --help`, where the module is not imported."""


COMMANDS: dict[str, _Command] = {
    "up": _Command("tage.cli.up", "Run a whole mesh on this machine."),
    "control": _Command("tage.cli.control", "Run the control plane alone."),
    "sidecar": _Command("tage.cli.sidecar", "Run one sidecar."),
    "get": _Command("tage.cli.resources", "Show resources of a running control plane."),
    "apply": _Command("tage.cli.resources", "Create or change resources, all of them or none."),
    "delete": _Command("tage.cli.resources", "Delete resources."),
    "status": _Command("tage.cli.status", "Show whether every sidecar is in sync, and since when."),
    "explain": _Command("tage.cli.explain", "Show what a request would meet, and why."),
    "protocol": _Command("tage.cli.protocol", "Write a protocol of one's own, and try it out."),
}


def application(argv: Sequence[str]) -> typer.Typer:
    """The Typer application for one call: the command that `argv` names is loaded, the others are only listed."""
    app = typer.Typer(
        name="tage",
        help="A service mesh in Python.\n\nExample: tage up examples/bookshop/mesh.yaml",
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    wanted = next((arg for arg in argv if not arg.startswith("-")), "")
    for name, command in COMMANDS.items():
        if name == wanted:
            found: Any = getattr(importlib.import_module(command.module), name)
            if isinstance(found, typer.Typer):
                app.add_typer(found, name=name)
            else:
                app.command(name)(found)
        else:
            app.command(name, help=command.help)(_not_loaded)
    return app


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code. What the user can put right is one line on stderr; any other exception
    is a defect and shows its traceback."""
    arguments = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    try:
        code = application(arguments)(arguments, prog_name="tage", standalone_mode=False)
        sys.stdout.flush()
    except ConfigError as error:
        code = _fail(2, *(str(problem) for problem in error.problems))
    except CommandError as error:
        code = _fail(error.code, str(error))
    except _UsageError as error:
        context = getattr(error, "ctx", None)
        where = context.command_path if context is not None else "tage"
        code = _fail(2, f"{error.format_message()} (see `{where} --help`)")
    except BrokenPipeError:
        # The reader of our output (head, less) has gone; nothing more can reach it, not even at interpreter exit.
        sys.stdout = None  # type: ignore[assignment]
        code = 1
    except (KeyboardInterrupt, typer.Abort):
        code = _fail(1, "interrupted")
    sys.exit(code if isinstance(code, int) else 0)


def _root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=lambda on: _show_version(on), help="Show the version.")
    ] = False,
) -> None:
    """A service mesh in Python."""


def _show_version(value: bool) -> None:
    if value:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"tage {version('tage')}")
        except PackageNotFoundError:
            print("tage, not installed: run from its source")
        raise typer.Exit


def _not_loaded() -> None:
    raise AssertionError("only the command that was named is run")


def _fail(code: int, *messages: str) -> int:
    for message in messages:
        print(f"tage: {message}", file=sys.stderr)
    return code
