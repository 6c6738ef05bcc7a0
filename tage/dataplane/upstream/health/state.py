"""What all workers know of hosts' health: cells of their file (`shared_layout.HOSTS`), a slot a host and one a cluster.

Whoever changes a host's `FLAGS` then counts the cluster's `GENERATION` up. Each worker compares that with the one that
it has seen, one load a pick, and looks at the flags of all hosts only when it differs. Nobody tells anybody anything.
"""

import cython

from tage.dataplane.upstream.cells import Cells

if not cython.compiled:
    # Compiled, these are the enumerations in the .pxd.
    import enum

    HostCell = enum.IntEnum(
        "HostCell",
        [
            *("CONSECUTIVE_5XX", "CONSECUTIVE_GATEWAY", "CONSECUTIVE_LOCAL"),
            *("TOTAL", "SUCCESSES", "LOCAL_TOTAL", "LOCAL_SUCCESSES"),
            *("FLAGS", "EJECTED_AT", "JITTER", "MULTIPLIER", "READMITTED_AT"),
        ],
        start=0,
    )
    ClusterCell = enum.IntEnum("ClusterCell", ["GENERATION", "EJECTED_HOSTS", "HAD_TRAFFIC"], start=0)
    HostFlag = enum.IntFlag("HostFlag", ["FLAG_EJECTED", "FLAG_CHECK_FAILED", "FLAG_CHECKED"])
    FLAGS = HostCell.FLAGS
    GENERATION, EJECTED_HOSTS, HAD_TRAFFIC = ClusterCell
    FLAG_EJECTED, FLAG_CHECK_FAILED, FLAG_CHECKED = HostFlag


def slot_name(cluster: str, address: str = "", port: int = 0) -> str:
    """Of the slot in the workers' file. Without an address: the cluster's own."""
    return f"{cluster}\0{address}\0{port}" if address else cluster


class ClusterHealth:
    """What one worker has seen of a cluster. `apply(host, ejected, check_failed, unchecked)` is told of each host whose
    flags have changed, and answers whether it became usable or unusable by that."""

    def __init__(self, cells: Cells, apply) -> None:
        self.cells = cells
        self._apply = apply
        self._seen = 0
        self._hosts = []
        self._known = {}

    def watch(self, hosts) -> None:
        """These (host, cells, checked) are the cluster's; `checked` tells whether its health is checked actively. Those
        that are new, or not checked as before, are looked at by the next `update` in any case."""
        before: dict = self._known
        known: dict = {}
        for host, cells, checked in hosts:
            seen = before.get(host)
            if seen is not None and seen[0] is cells and seen[1] == checked:
                known[host] = seen
        self._hosts = list(hosts)
        self._known = known

    def changed(self):
        """Whether there may be something new."""
        return self.cells.load(GENERATION) != self._seen

    def update(self):
        """Takes over what is in the file. Whether any host became usable, or unusable, by that."""
        cells: Cells
        flags: cython.ulonglong
        different: cython.bint = False
        # In this order: what is changed from now on is seen by the next comparison.
        self._seen = self.cells.load(GENERATION)
        for host, cells, checked in self._hosts:
            flags = cells.load(FLAGS)
            seen = self._known.get(host)
            if seen is not None and seen[2] == flags:
                continue
            self._known[host] = (cells, checked, flags)
            unchecked = checked and not flags & FLAG_CHECKED
            failed = checked and flags & FLAG_CHECK_FAILED != 0
            if self._apply(host, flags & FLAG_EJECTED != 0, failed, unchecked):
                different = True
        return different

    def announce(self) -> None:
        """Flags have been changed."""
        self.cells.add(GENERATION, 1)
