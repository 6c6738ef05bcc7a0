"""``python -m tage.sidecar.agent``: one sidecar's agent, started by the supervisor, which hands over the channel in
TAGE_CHANNEL_FD and starts it again when it ends.

Exit status 0: the supervisor is gone; 1: something broke; 2: the configuration is wrong, and starting again is no use.

It stays small: gRPC and protobuf are loaded for a control plane only, a bootstrap is translated in a child process.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tage.sidecar.bootstrap import Bootstrap
    from tage.sidecar.engine import Engine

CHANNEL_VARIABLE = "TAGE_CHANNEL_FD"
ADMIN_PORT = 15_000


class UsageError(Exception):
    """Wrong arguments, in the user's words."""


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tage.sidecar.agent", description="One sidecar's agent.", allow_abbrev=False)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--bootstrap", metavar="FILE", type=Path, help="an Envoy v3 bootstrap, YAML or JSON")
    source.add_argument("--control", metavar="HOST:PORT", help="the control plane's xDS address")
    parser.add_argument("--run-dir", metavar="DIR", type=Path, required=True, help="where the workers' statistics are")
    parser.add_argument("--service", metavar="NAME", default="", help="the application's service; none: a client only")
    parser.add_argument("--namespace", metavar="NS", default="default")
    parser.add_argument("--version", metavar="V", default="", help="the label `version`")
    parser.add_argument("--label", metavar="K=V", action="append", default=[], help="another label; repeatable")
    parser.add_argument("--locality", metavar="REGION/ZONE/SUBZONE", default="", help="where this instance is")
    parser.add_argument("--instance", metavar="NAME", default="", help="this instance's own name")
    parser.add_argument("--address", metavar="IP", default="127.0.0.1", help="where the sidecar listens")
    parser.add_argument(
        "--app",
        metavar="ADDR:PORT",
        default="",
        help="where the application listens; without it there is no inbound listener",
    )
    parser.add_argument("--outbound-port", metavar="PORT", type=int, default=15_001)
    parser.add_argument("--inbound-port", metavar="PORT", type=int, default=15_006)
    parser.add_argument("--admin-address", metavar="IP", default="", help="default: the bootstrap's, or --address")
    parser.add_argument("--admin-port", metavar="PORT", type=int, default=None)
    return parser.parse_args(argv)


def controlled(options: argparse.Namespace) -> Bootstrap:
    """The start of a sidecar that gets everything from the control plane. Raises `UsageError`."""
    from tage.sidecar.bootstrap import Bootstrap, Control, is_loopback
    from tage.sidecar.node import Identity

    host, _ = _host_port("--control", options.control)
    if not is_loopback(host):
        raise UsageError(
            f"--control {options.control}: the way to the control plane has no protection yet: use a loopback address"
        )
    app = _host_port("--app", options.app) if options.app else None
    if app is not None and not options.service:
        raise UsageError("--app: say with --service which service the application belongs to")
    labels = {"app": options.service} if options.service else {}
    for label in options.label:
        name, equals, value = label.partition("=")
        if not equals or not name:
            raise UsageError(f"--label {label}: give NAME=VALUE")
        labels[name] = value
    if options.version:
        labels["version"] = options.version
    steps = options.locality.split("/")
    if len(steps) > 3 or (options.locality and not all(steps)):
        raise UsageError(f"--locality {options.locality}: give REGION, REGION/ZONE or REGION/ZONE/SUBZONE")
    identity = Identity(
        instance=options.instance or "-".join(part for part in (options.service or "client", options.version) if part),
        service=options.service,
        namespace=options.namespace,
        labels=labels,
        address=options.address,
        outbound_port=options.outbound_port,
        inbound_port=options.inbound_port,
        app=app,
        locality=options.locality,
    )
    return Bootstrap(identity.node(), (options.address, ADMIN_PORT), Control(options.control))


def _host_port(option: str, text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise UsageError(f"{option} {text}: give HOST:PORT")
    return host.strip("[]"), int(port)


async def run(options: argparse.Namespace, descriptor: int) -> int:
    from tage.sidecar.admin import AdminError
    from tage.sidecar.bootstrap import load_apart
    from tage.sidecar.channel import AsyncChannel, ChannelError
    from tage.sidecar.engine import Engine, EngineError, StartRefused
    from tage.sidecar.translate.problem import TranslateError

    with AsyncChannel.from_descriptor(descriptor) as channel:
        try:
            bootstrap = await load_apart(options.bootstrap) if options.bootstrap else controlled(options)
            engine = Engine(channel, bootstrap, options.run_dir)
            admin = _admin_address(options, bootstrap)
            if admin is not None:
                await engine.start_admin(*admin)
        except (UsageError, TranslateError, AdminError) as error:
            return _refused(error)
        _reload_on_signal(engine, options.bootstrap)
        try:
            await engine.run()
        except StartRefused as error:
            return _refused(error)
        except (EngineError, ChannelError, TimeoutError) as error:
            logging.getLogger(__name__).error("%s", error or "the supervisor said nothing")
            return 1
    return 0


def _reload_on_signal(engine: Engine, file: Path | None) -> None:
    """SIGUSR2: the bootstrap is read anew."""
    import asyncio

    tasks = set()

    def asked() -> None:
        if file is None:
            logging.getLogger(__name__).warning("SIGUSR2: there is no bootstrap to read; the control plane has it all")
            return
        task = asyncio.get_running_loop().create_task(engine.reload(file))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, asked)
    # The supervisor starts us with it blocked, so that one that comes before this is not our end.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR2])


def _refused(error: Exception) -> int:
    for line in str(error).splitlines():
        print(f"tage sidecar: {line}", file=sys.stderr)
    return 2


def _admin_address(options: argparse.Namespace, bootstrap: Bootstrap) -> tuple[str, int] | None:
    """What the options say, else the bootstrap."""
    if options.admin_address or options.admin_port is not None:
        host, port = bootstrap.admin or ("127.0.0.1", ADMIN_PORT)
        return options.admin_address or host, port if options.admin_port is None else options.admin_port
    return bootstrap.admin


def main(argv: list[str]) -> int:
    options = parse(argv)
    descriptor = os.environ.pop(CHANNEL_VARIABLE, "")
    if not descriptor.isdecimal():
        print(f"tage.sidecar.agent: {CHANNEL_VARIABLE} is missing: start it by way of `tage sidecar`", file=sys.stderr)
        return 2
    # Ctrl-C goes to all processes of a terminal; the supervisor decides, and closes the channel when it has drained.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(levelname).1s agent: %(message)s", stream=sys.stderr)
    asyncio = _asyncio_without_ssl()
    return int(asyncio.run(run(options, int(descriptor))))


def _asyncio_without_ssl():  # type: ignore[no-untyped-def]
    """asyncio takes `ssl` along where it is there: 4 of an idle agent's 17 MB, for TLS that nobody here speaks. msgspec
    likewise takes `typing_extensions`, for what Python 3.11 has itself."""
    absent = {name: None for name in ("ssl", "typing_extensions") if name not in sys.modules}
    sys.modules.update(absent)  # type: ignore[arg-type]
    import asyncio

    import msgspec  # noqa: F401

    for name in absent:
        del sys.modules[name]
    return asyncio


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
