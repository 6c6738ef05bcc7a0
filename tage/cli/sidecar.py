"""`tage sidecar`: one sidecar alone.

It becomes the supervisor (`os.execv`), so that the command line's own memory does not stay with the sidecar.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from tage.cli import runtime
from tage.cli.errors import CommandError
from tage.sidecar import filter_code


def sidecar(
    bootstrap: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An Envoy v3 bootstrap, YAML or JSON.", show_default=False)
    ] = None,
    control: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="The control plane's xDS address.", show_default=False)
    ] = "",
    service: Annotated[
        str, typer.Option(metavar="NAME", help="The application's service; none: a client only.", show_default=False)
    ] = "",
    version: Annotated[
        str, typer.Option(metavar="V", help="The application's version, for subsets.", show_default=False)
    ] = "",
    label: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Another label. Repeatable.", show_default=False)
    ] = None,
    locality: Annotated[
        str,
        typer.Option(metavar="REGION/ZONE/SUBZONE", help="Where it is, for load balancing.", show_default=False),
    ] = "",
    namespace: Annotated[str, typer.Option(metavar="NS", help="The application's namespace.")] = "default",
    instance: Annotated[
        str, typer.Option(metavar="NAME", help="This instance's name. Default: SERVICE-VERSION.", show_default=False)
    ] = "",
    address: Annotated[str, typer.Option(metavar="IP", help="Where the sidecar listens.")] = "127.0.0.1",
    app: Annotated[
        str,
        typer.Option(
            metavar="ADDR:PORT", help="Where the application listens; none: no inbound listener.", show_default=False
        ),
    ] = "",
    admin_address: Annotated[
        str, typer.Option(metavar="IP", help="Default: the bootstrap's, or --address.", show_default=False)
    ] = "",
    admin_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Default: the bootstrap's, or 15000.", show_default=False)
    ] = None,
    filters: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="A directory that filters in Python may be taken from. Repeatable. Default: $TAGE_FILTERS.",
            show_default=False,
        ),
    ] = None,
    protocols: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE_OR_DIR",
            help="A file with protocols (x-NAME), or a directory of them. Repeatable. Default: $TAGE_PROTOCOLS.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that carry traffic.")] = 1,
    run_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="For statistics. Default: one below $XDG_RUNTIME_DIR.", show_default=False),
    ] = None,
) -> None:
    """Run one sidecar: from an Envoy bootstrap, or under a control plane.

    Example: tage sidecar --control 127.0.0.1:15010 --service reviews --version v1 --app 127.0.0.1:8080
    """
    if (bootstrap is None) == (not control):
        raise CommandError("give one of --bootstrap FILE and --control HOST:PORT (see `tage sidecar --help`)", 2)
    if bootstrap is not None and not bootstrap.is_file():
        raise CommandError(f"--bootstrap {bootstrap}: no such file", 2)
    for each in filters or ():
        if not each.is_dir():
            raise CommandError(f"--filters {each}: no such directory", 2)
    if filters:
        os.environ[filter_code.VARIABLE] = os.pathsep.join(str(each.absolute()) for each in filters)
    for each in protocols or ():
        if not each.exists():
            raise CommandError(f"--protocols {each}: no such file or directory", 2)
    if protocols:
        from tage.sidecar import protocol_files  # here: it takes as long to load as all the rest of this command

        os.environ[protocol_files.VARIABLE] = os.pathsep.join(str(each.absolute()) for each in protocols)
    # This process becomes the supervisor, which makes the directory and removes it: its process id is a free name.
    directory = run_dir or runtime.ensure_directory() / f"sidecar-{os.getpid()}"
    argv = [sys.executable, "-m", "tage.sidecar.supervisor", "--run-dir", str(directory), "--workers", str(workers)]
    argv += ["--", sys.executable, "-m", "tage.sidecar.agent", "--run-dir", str(directory)]
    argv += ["--bootstrap", str(bootstrap)] if bootstrap is not None else ["--control", control]
    for option, value in (
        ("--service", service),
        ("--version", version),
        ("--locality", locality),
        ("--namespace", namespace),
        ("--instance", instance),
        ("--address", address),
        ("--app", app),
        ("--admin-address", admin_address),
        ("--admin-port", "" if admin_port is None else str(admin_port)),
        *(("--label", each) for each in label or ()),
    ):
        if value:
            argv += [option, value]
    sys.stdout.flush()
    os.execv(sys.executable, argv)
