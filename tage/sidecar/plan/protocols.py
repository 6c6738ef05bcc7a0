"""Code of RPC protocols."""

from __future__ import annotations

from tage.sidecar.plan.base import Section


class ProtocolCode(Section, frozen=True, tag=True):
    """A file with protocols, classes derived from `tage.xprotocol.Protocol`; `name` is its path. All files that are
    allowed are in a plan: which protocols they have is known where they are loaded, in the workers."""

    source: bytes
