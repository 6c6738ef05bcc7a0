"""The control plane's process: `python -m tage.pilot.server`, and what `tage control` runs."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tage.config.directory import DirectoryStore
from tage.config.errors import ConfigError, Problem
from tage.config.load import load_file
from tage.config.seeded import SeededStore
from tage.config.store import Store
from tage.pilot.control import ControlPlane
from tage.pilot.listen import ListenError
from tage.registry.file import FileRegistry
from tage.registry.model import Registry

XDS_PORT = 15010
HTTP_PORT = 15014
ADDRESS = "127.0.0.1"

_TOMBSTONES = ".deleted.json"
"""In the store's directory: which of the seeded resources were deleted. Stores skip names with a leading dot."""


@dataclass(frozen=True)
class Options:
    """`mesh` is a file whose resources are there from the start; `registries` are `file:PATH`. Port 0: any free one."""

    config: Path
    mesh: Path | None = None
    registries: Sequence[str] = ()
    address: str = ADDRESS
    xds_port: int = XDS_PORT
    http_port: int = HTTP_PORT


def run(options: Options) -> None:
    """Runs a control plane until SIGTERM or SIGINT. Raises `ConfigError` for what the user configured wrong and
    `ListenError` for a port that cannot be had."""
    asyncio.run(_run(options))


def main(argv: Sequence[str] | None = None) -> int:
    """The process; returns its exit code: 0 ended by a signal, 1 failed, 2 wrong usage or configuration."""
    options = _options(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        run(options)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return 2
    except ListenError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def _run(options: Options) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    control = ControlPlane(store(options), [registry(text) for text in options.registries])
    await control.start(options.address, options.xds_port, options.http_port)
    failure = asyncio.create_task(control.wait())
    signalled = asyncio.create_task(ended.wait())
    try:
        await asyncio.wait((failure, signalled), return_when=asyncio.FIRST_COMPLETED)
        if failure.done():
            await failure
    finally:
        for task in (failure, signalled):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, RuntimeError):
                await task
        await control.stop()


def store(options: Options) -> Store:
    """Where resources live. Raises `ConfigError` for a mesh file that is wrong."""
    directory = DirectoryStore(options.config)
    if options.mesh is None:
        return directory
    return SeededStore(directory, load_file(options.mesh), options.config / _TOMBSTONES)


def registry(text: str) -> Registry:
    """From `file:PATH`. Raises `ConfigError`."""
    scheme, colon, rest = text.partition(":")
    if scheme == "file" and colon and rest:
        return FileRegistry(rest)
    raise ConfigError(Problem(f"registry {text!r} is not known; write file:PATH"))


def _options(argv: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m tage.pilot.server",
        description="Tage's control plane: serves xDS to sidecars and an HTTP API to the commands.",
        epilog="Example: python -m tage.pilot.server --config ./config --registry file:services.yaml",
    )
    parser.add_argument("--config", type=Path, required=True, metavar="DIR", help="where resources are stored")
    parser.add_argument("--mesh", type=Path, metavar="FILE", help="resources that are there from the start")
    parser.add_argument(
        "--registry", action="append", default=[], metavar="file:PATH", help="a source of services; repeatable"
    )
    parser.add_argument("--address", default=ADDRESS, help="loopback address to listen on (%(default)s)")
    parser.add_argument("--xds-port", type=_port, default=XDS_PORT, help="xDS over gRPC (%(default)s)")
    parser.add_argument("--http-port", type=_port, default=HTTP_PORT, help="the HTTP API (%(default)s)")
    given = parser.parse_args(argv)
    return Options(given.config, given.mesh, given.registry, given.address, given.xds_port, given.http_port)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
