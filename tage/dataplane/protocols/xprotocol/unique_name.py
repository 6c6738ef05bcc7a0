"""Service names as Alibaba's and Ant's registries have them: `interface:version`, or `interface:version:uniqueId`.

Such a name is the service, as a whole. What it says of itself is shown beside the metadata, so that routes can match
it, and is never written: it stands in the name already.
"""

from __future__ import annotations


def shown(service: bytes, metadata: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """`version` and `uniqueId` of the name, those that it has and `metadata` has not."""
    _, _, rest = service.partition(b":")
    version, _, unique = rest.partition(b":")
    have = {name.lower() for name, _ in metadata}
    found = ((b"version", version), (b"uniqueId", unique))
    return [(name, value) for name, value in found if value and name.lower() not in have]
