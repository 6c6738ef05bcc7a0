"""Statistics by service and method, of requests whose protocol tells them: a group for each cluster and path, up to
`LIMIT` of them in a worker; what comes after has a group for each cluster, whose path is `OTHER`."""

import cython

from tage.dataplane.telemetry.layout import METHOD, method_owner
from tage.dataplane.telemetry.store import StatGroup, StatStore

_TOTAL = cython.declare(cython.Py_ssize_t, METHOD.offset("rq_total"))
_1XX = cython.declare(cython.Py_ssize_t, METHOD.offset("rq_1xx"))

LIMIT = 1_000
MAX_PATH = 256
"""Bytes of a path that has a group of its own."""
OTHER = b"/other"


class MethodStats:
    """One a worker."""

    def __init__(self, store: StatStore, limit: cython.Py_ssize_t = LIMIT) -> None:
        self._store = store
        self._limit = limit
        self._count = 0
        self._groups = {}
        self._last_cluster = None
        self._last_path = None
        self._last_group = None

    def count(self, cluster, path, status, flags, took_us):
        """One request that was given to `cluster` (its name) and has ended, with these response flags ("-": none)."""
        group: StatGroup
        # Protocols give equal paths as one object, and most requests are like the one before.
        if path is not self._last_path or cluster is not self._last_cluster:
            self._last_group = self._group(cluster, path)
            self._last_path = path
            self._last_cluster = cluster
        group = self._last_group
        group.up(_TOTAL)
        group.up_class(_1XX, status)
        group.count_code(status, flags)
        group.record(took_us)

    def _group(self, cluster, path):
        paths: dict = self._groups.get(cluster)
        if paths is None:
            paths = {}
            self._groups[cluster] = paths
        found = paths.get(path)
        if found is not None:
            return found
        if self._count < self._limit and len(path) <= MAX_PATH:
            self._count += 1
            paths[path] = self._store.group(METHOD, method_owner(cluster, path))
            return paths[path]
        if OTHER not in paths:
            paths[OTHER] = self._store.group(METHOD, method_owner(cluster, OTHER))
        return paths[OTHER]
