"""The streams' world: filters are seen from a client and a server."""

from tests.dataplane.streams.conftest import make_world, world

__all__ = ["make_world", "world"]
