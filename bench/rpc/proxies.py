"""The proxies of the RPC rows. Tage has a protocol's codec before its HTTP connection manager (`peers/tage-rpc.yaml`),
MOSN its xprotocol listener with the protocol as sub-protocol (`peers/mosn.yaml`)."""

from __future__ import annotations

import dataclasses

from bench.proxies import MOSN, ROOT, TAGE, Proxy
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
    return dataclasses.replace(MOSN, name=name, values=lambda: {**_VALUES, "PROTOCOL": protocol})
