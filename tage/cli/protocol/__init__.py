"""`tage protocol`: what somebody who writes a protocol needs.

``scaffold``    `new`: a class that works, its test, a server and a client, a mesh file; from ``templates``
``source``      which protocol is meant: a file's, a built-in's, an installed package's
``text``        what `check` tells people

The checks themselves are `tage.xprotocol_testing`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tage.cli import output
from tage.cli.options import Format, OutputFormat

protocol = typer.Typer(
    help="Write a protocol of one's own, and try it out.\n\nExample: tage protocol new ledger",
    rich_markup_mode=None,
    no_args_is_help=True,
)


@protocol.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What meshes call it, after x-.")],
    directory: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to. Default: a new one, NAME.", show_default=False)
    ] = None,
) -> None:
    """Begin a protocol: a class that works, its test, an example's server and client, and a mesh of them.

    Example: tage protocol new ledger
    """
    from tage.cli.protocol import scaffold

    where = directory if directory is not None else Path(name)
    files = scaffold.write(name, where)
    for file in files:
        print(file)
    print(f"\nNext: read {files[0]}, change it, and run: tage protocol check {files[0]}")


@protocol.command()
def check(
    source: Annotated[
        str, typer.Argument(metavar="FILE[:CLASS]", help="A file with its class, or the name of a protocol.")
    ],
    frames: Annotated[
        list[Path] | None,
        typer.Option(
            "--frame",
            metavar="FILE",
            help="A file with one recorded frame, to be tried besides the class's examples. Repeatable.",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="CHECK", help="Repeatable.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the random bytes: the same seed, the same bytes.")] = 1,
    format: Format = OutputFormat.TABLE,
) -> None:
    """Try a protocol out: framing, ids, metadata, local answers, heartbeats, and what happens when things go wrong.

    Example: tage protocol check ledger.py

    Exit code 0: it conforms; 1: it does not; 2: there is no such protocol, or its class is refused.
    """
    from tage.cli.errors import CommandError
    from tage.cli.protocol import source as sources
    from tage.cli.protocol import text
    from tage.xprotocol_testing import CHECKS, conformance

    for name in only or ():
        if name not in CHECKS:
            raise CommandError(f"--only {name}: no such check; there are {', '.join(CHECKS)}", 2)
    recorded = [sources.frame(file) for file in frames or ()]
    report = conformance(sources.find(source), only or CHECKS, frames=recorded, seed=seed)
    print(output.json_text(text.data(report)) if format is OutputFormat.JSON else text.report(report))
    if not report.ok:
        raise typer.Exit(1)


@protocol.command("list")
def list_(format: Format = OutputFormat.TABLE) -> None:
    """List the protocols that are there: built in, and of installed packages.

    Example: tage protocol list
    """
    from tage.cli.protocol import source as sources

    found = sources.everything()
    if format is OutputFormat.JSON:
        print(output.json_text([each._asdict() for each in found]))
    else:
        print(output.table(("PROTOCOL", "FROM", "WHAT"), [(each.protocol, each.origin, each.what) for each in found]))
