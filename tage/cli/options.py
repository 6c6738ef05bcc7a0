"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

Control = Annotated[
    str,
    typer.Option(
        metavar="HOST:PORT",
        help="The control plane's HTTP API. Default: $TAGE_CONTROL, else the only mesh that runs here.",
    ),
]


class OutputFormat(StrEnum):
    TABLE = "table"
    JSON = "json"


class ResourceFormat(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


Format = Annotated[OutputFormat, typer.Option("--output", "-o", help="How to print it.")]
ResourceOutput = Annotated[ResourceFormat, typer.Option("--output", "-o", help="How to print it.")]
