"""`tage status`: whether every sidecar runs what the control plane last sent, and since when.

Per xDS type: SYNCED (the last version sent was accepted), STALE (sent, no answer yet), NACK (refused; the sidecar's
reason stands below the table), - (never asked for).
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tage.cli import output
from tage.cli.client import ControlClient
from tage.cli.options import Control, Format, OutputFormat
from tage.cli.runtime import find_control

TYPES = ("LDS", "RDS", "CDS", "EDS")


def status(
    sidecar: Annotated[str, typer.Argument(help="Only the sidecars whose id contains this.")] = "",
    control: Control = "",
    format: Format = OutputFormat.TABLE,
) -> None:
    """Show whether every sidecar is in sync, and since when.

    Example: tage status reviews
    """
    sidecars = [item for item in ControlClient(find_control(control)).sidecars() if sidecar in str(item.get("id", ""))]
    if format is OutputFormat.JSON:
        print(output.json_text({"sidecars": sidecars}))
    elif not sidecars:
        print(f"No sidecar {sidecar!r} is connected." if sidecar else "No sidecar is connected.")
    else:
        print(_table(sidecars))


def _table(sidecars: list[dict[str, Any]]) -> str:
    rows, reasons = [], []
    extra = sorted({name for item in sidecars for name in item.get("types", {})} - set(TYPES))
    columns = (*TYPES, *extra)
    for item in sorted(sidecars, key=lambda item: str(item.get("id", ""))):
        identity = str(item.get("id", ""))
        types = item.get("types", {})
        rows.append(
            [
                _short(identity),
                str(item.get("address", "")),
                *(_cell(types.get(name)) for name in columns),
                output.age(str(item.get("connected_since") or "")),
            ]
        )
        refused = [name for name in columns if _nacked(types.get(name))]
        reasons += [f"{_short(identity)}: {name} refused: {types[name]['nacked']}" for name in refused]
    return "\n".join([output.table(("SIDECAR", "ADDRESS", *columns, "CONNECTED"), rows), *reasons])


def _cell(state: dict[str, Any] | None) -> str:
    if state is None:
        return "-"
    word = "NACK" if _nacked(state) else "SYNCED" if state.get("synced") else "STALE"
    since = output.age(str(state.get("since") or ""))
    return f"{word} {since}".rstrip()


def _nacked(state: dict[str, Any] | None) -> bool:
    return bool(state and state.get("nacked"))


def _short(identity: str) -> str:
    """`sidecar~127.1.0.5~reviews-v1-1.default~default.svc.cluster.local` -> `reviews-v1-1.default`."""
    parts = identity.split("~")
    return parts[2] if len(parts) == 4 else identity
