"""The proxies of the RPC rows. Tage has a protocol's codec before its HTTP connection manager (`peers/tage-rpc.yaml`),
MOSN its xprotocol listener with the protocol as sub-protocol (`peers/mosn.yaml`)."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
from functools import cache

from bench.processes import find_program
from bench.proxies import ROOT, TAGE, Proxy
from bench.rpc.wires import SERVICES, WEIGHTS

DECLARED = ROOT / "examples/bookshop/ledger.py"
"""The protocol that Tage has from a declaration."""
MOSN_PROTOCOLS = ("bolt", "dubbo")
_VALUES = {
    "ORDERS": SERVICES[0],
    "STOCKS": SERVICES[1],
    "FIRST_WEIGHT": WEIGHTS[0],
    "SECOND_WEIGHT": WEIGHTS[1],
    "RPC_CONNECTIONS": 1,
}


def tage(protocol: str, depth: str = "NAMES", name: str = "tage") -> Proxy:
    """With `protocol` at a depth, NAMES or FRAME."""
    values = {**_VALUES, "PROTOCOL": protocol, "DEPTH": depth, "NAMES": depth == "NAMES", "FRAME": depth == "FRAME"}
    return dataclasses.replace(
        TAGE,
        name=name,
        template="tage-rpc.yaml",
        dynamic_template="",
        values=lambda: values,
        env={"TAGE_PROTOCOLS": str(DECLARED)},
    )


def mosn(protocol: str, name: str = "mosn") -> Proxy:
    return Proxy(
        name,
        "mosn.yaml",
        _mosn,
        _mosn_version,
        lambda place: [place.program, "start", "-c", str(place.config)],
        values=lambda: {**_VALUES, "PROTOCOL": protocol},
        env={"GOMAXPROCS": "1"},
    )


def _mosn() -> str | None:
    local = ROOT / ".tools/bin/mosn"
    return str(local) if os.access(local, os.X_OK) else find_program("mosn")


@cache
def _mosn_version(program: str) -> str:
    """Of the Go module that it was built from: MOSN's own answer is set by its makefile alone."""
    done = subprocess.run(["go", "version", "-m", program], capture_output=True, text=True, timeout=20, check=False)
    found = re.search(r"^\s*(?:mod|dep)\s+mosn\.io/mosn\s+v(\S+)", done.stdout, re.MULTILINE)
    return found.group(1) if found else "unknown"
