"""Reads what the workers know of hosts, from their file: the agent's admin API."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from typing import NamedTuple

from tage.dataplane.upstream import shared_layout as layout
from tage.dataplane.upstream.health.state import HostCell, HostFlag, slot_name
from tage.dataplane.upstream.shared import digest


class HostState(NamedTuple):
    ejected: bool = False
    check_failed: bool = False
    checked: bool = False
    """At least once, by an active check."""


def flags(path: str) -> Mapping[bytes, int]:
    """Of all slots of hosts, by digest. Raises `OSError`, or `ValueError` if the file is another one."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        magic, version, columns = layout.HEADER.unpack_from(mapped, 0)
        if (magic, version) != (layout.MAGIC, layout.VERSION):
            raise ValueError(f"{path}: not a file that workers share")
        region = layout.regions(columns)[layout.KINDS.index(layout.HOSTS)]
        (top,) = layout.TOP.unpack_from(mapped, region.top)
        return {
            mapped[region.digest_at(slot) : region.digest_at(slot) + layout.DIGEST_SIZE]: _cell(mapped, region, slot)
            for slot in range(top)
        }


def _cell(mapped: mmap.mmap, region: layout.Region, slot: int) -> int:
    at = region.cells_at(0, slot) + int(HostCell.FLAGS) * 8
    return int.from_bytes(mapped[at : at + 8], "little")


def state(known: Mapping[bytes, int], cluster: str, address: str, port: int) -> HostState:
    """From what `flags` has read."""
    found = known.get(digest(slot_name(cluster, address, port)), 0)
    return HostState(
        bool(found & HostFlag.FLAG_EJECTED),
        bool(found & HostFlag.FLAG_CHECK_FAILED),
        bool(found & HostFlag.FLAG_CHECKED),
    )
