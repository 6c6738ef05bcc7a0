"""What changes in the file reaches every worker's hosts, at the next look."""

from tage.dataplane.upstream import cells
from tage.dataplane.upstream.health.state import ClusterHealth, HostCell, HostFlag, slot_name


class Told:
    def __init__(self, usable=True):
        self.calls = []
        self.answer = usable

    def __call__(self, host, ejected, failed, unchecked):
        self.calls.append((host, ejected, failed, unchecked))
        return self.answer


def test_names_of_slots():
    assert slot_name("c") == "c"
    assert slot_name("c", "::1", 80) == "c\0::1\0" + "80"


def test_a_change_is_seen_once():
    own, a, b = (cells.alone(16) for _ in range(3))
    told = Told()
    health = ClusterHealth(own, told)
    health.watch([("a", a, False), ("b", b, True)])
    assert health.update()
    assert told.calls == [("a", False, False, False), ("b", False, False, True)]
    told.calls.clear()
    assert not health.changed()
    a.set_bits(HostCell.FLAGS, HostFlag.FLAG_EJECTED)
    b.set_bits(HostCell.FLAGS, HostFlag.FLAG_CHECKED | HostFlag.FLAG_CHECK_FAILED)
    health.announce()
    assert health.changed()
    assert health.update()
    assert told.calls == [("a", True, False, False), ("b", False, True, False)]
    assert not health.changed()
    assert not health.update()
    b.clear_bits(HostCell.FLAGS, HostFlag.FLAG_CHECK_FAILED)
    health.announce()
    told.answer = False
    assert not health.update()
    assert told.calls[2:] == [("b", False, False, False)]


def test_checks_that_are_none_any_more():
    """What a former check found does not count without checks."""
    own, a = cells.alone(16), cells.alone(16)
    told = Told()
    health = ClusterHealth(own, told)
    a.set_bits(HostCell.FLAGS, HostFlag.FLAG_CHECKED | HostFlag.FLAG_CHECK_FAILED)
    for checked in (True, False):
        health.watch([("a", a, checked)])
        health.update()
    assert told.calls == [("a", False, True, False), ("a", False, False, False)]
