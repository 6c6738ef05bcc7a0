"""`tage control`: the control plane alone, in this process."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from tage.cli.errors import CommandError
from tage.pilot import server
from tage.pilot.listen import ListenError


def control(
    config: Annotated[
        Path, typer.Option(metavar="DIR", file_okay=False, help="Where resources are stored; created if need be.")
    ],
    mesh: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A mesh file; its resources are there from the start.")
    ] = None,
    registry: Annotated[
        list[str] | None, typer.Option(metavar="file:PATH", help="A source of services. Repeatable; the first wins.")
    ] = None,
    address: Annotated[str, typer.Option(help="Loopback address to listen on.")] = server.ADDRESS,
    xds_port: Annotated[int, typer.Option(min=0, max=65535, help="xDS over gRPC.")] = server.XDS_PORT,
    http_port: Annotated[int, typer.Option(min=0, max=65535, help="The HTTP API.")] = server.HTTP_PORT,
) -> None:
    """Run the control plane alone.

    Example: tage control --config ./config --registry file:services.yaml
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        server.run(server.Options(config, mesh, registry or (), address, xds_port, http_port))
    except ListenError as error:
        raise CommandError(str(error)) from error
