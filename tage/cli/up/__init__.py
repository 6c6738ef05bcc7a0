"""`tage up`: a whole mesh on this machine, without root.

``addresses``   a block of loopback addresses that is free
``plan``        what the mesh file asks for: one entry per process, with its address, command and environment
``programs``    the command lines of control plane and sidecars
``processes``   child processes: started, restarted with back-off, stopped, never left behind
``probes``      is a port open, does it answer 200
``instance``    one instance while it runs, and whether it is ready
``registry``    the registry file, through which the control plane learns of instances
``traffic``     figures from the sidecars' statistics files
``table``       the live table
``console``     what is printed
``mesh``        all of it together: start, run, stop
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from tage.cli.runtime import RunDirectory
from tage.cli.up.addresses import HTTP_PORT, OUTBOUND_PORT, XDS_PORT, allocate
from tage.cli.up.console import Console
from tage.cli.up.mesh import MeshRunner
from tage.cli.up.plan import CLIENT, check, count_instances, named_ports, plan
from tage.cli.up.programs import TagePrograms
from tage.config import load
from tage.config.document import Node, compose, format_path, line_of
from tage.config.errors import ConfigError, Problem
from tage.config.mesh import Mesh
from tage.config.model import Resource


def up(
    mesh_file: Annotated[Path, typer.Argument(metavar="MESH.yaml", help="The mesh file.")],
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Leave out what the processes print.")] = False,
    table: Annotated[bool, typer.Option(help="Show the live table.")] = True,
    ready_timeout: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="Give up if the mesh is not ready by then.")
    ] = 60.0,
) -> None:
    """Run a whole mesh on this machine: control plane, a sidecar per instance, the instances' own commands.

    Ctrl-C stops it in order; a second Ctrl-C at once. Resources that `tage apply` adds last until then.

    Example: tage up examples/bookshop/mesh.yaml
    """
    mesh_file = mesh_file.absolute()
    resource = load_mesh(mesh_file, os.environ)
    run = RunDirectory(resource.metadata.name)
    try:
        asyncio.run(_run(resource, mesh_file, run, quiet=quiet, table=table, ready_timeout=ready_timeout))
    finally:
        run.close()


def load_mesh(path: Path, environ: Mapping[str, str]) -> Resource:
    """The one Mesh of a mesh file, whose other resources are validated too. Raises `ConfigError`, also for a command
    that cannot be run here."""
    text = load.read_file(path)
    resources = load.load_text(text, str(path))
    meshes = [resource for resource in resources if isinstance(resource.spec, Mesh)]
    if len(meshes) != 1:
        names = ", ".join(mesh.metadata.name for mesh in meshes)
        found = f"{len(meshes)} ({names})" if meshes else "none"
        raise ConfigError(Problem(f"exactly one resource of kind Mesh is needed, there are: {found}", str(path)))
    mesh = meshes[0]
    assert isinstance(mesh.spec, Mesh)
    findings = check(mesh.spec, path.parent, environ)
    if findings:
        node = _mesh_node(text)
        raise ConfigError(
            *(Problem(message, str(path), line_of(node, where), format_path(where)) for where, message in findings)
        )
    return mesh


def _mesh_node(text: str) -> Node:
    """Where the Mesh stands in a text that is known to be right; a node without a line if it is an item of a List."""
    for node in compose(text)[0]:
        if isinstance(node.value, dict) and node.value["kind"].value == "Mesh":
            return node
    return Node(None)


async def _run(
    resource: Resource, mesh_file: Path, run: RunDirectory, *, quiet: bool, table: bool, ready_timeout: float
) -> None:
    mesh = resource.spec
    assert isinstance(mesh, Mesh)
    name, namespace = resource.metadata.name, resource.metadata.namespace
    addresses = allocate(name, count_instances(mesh) + 1, more=named_ports(mesh, namespace).values())
    planned = plan(name, namespace, mesh, addresses, os.environ)
    run.register(
        control=f"{addresses.control}:{HTTP_PORT}",
        xds=f"{addresses.control}:{XDS_PORT}",
        client=f"{planned.client}:{OUTBOUND_PORT}",
        clients={protocol: f"{planned.client}:{port}" for protocol, port in planned.ports.items()},
    )

    names = [CLIENT, *(instance.name for instance in planned.instances)]
    console = Console(max(map(len, names)) + len("/sidecar"), quiet)
    runner = MeshRunner(
        planned,
        mesh_file,
        run,
        TagePrograms(),
        console,
        os.environ,
        ready_timeout=ready_timeout,
        show_table=table,
    )
    console.on_closed = runner.stop

    def interrupted() -> None:
        if runner.stopping:
            runner.abort()
        else:
            console.say("Stopping; once more stops at once.")
            runner.stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, interrupted)
    await runner.run()
