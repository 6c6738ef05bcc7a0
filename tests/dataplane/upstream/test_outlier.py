"""Outlier detection: who is left out, why, for how long; and that all workers see the same."""

import pytest

from tage.dataplane.native import Random
from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.telemetry import layout
from tage.dataplane.telemetry.store import StatStore
from tage.dataplane.upstream import cells, shared_layout
from tage.dataplane.upstream.connection import Failure
from tage.dataplane.upstream.health.state import ClusterCell, HostCell
from tage.dataplane.upstream.outlier import HostMonitor, Outliers
from tage.dataplane.upstream.shared import SharedFile
from tage.sidecar.plan import OutlierDetection
from tage.xprotocol_testing.fakes import FakeLoop

NO_ANSWER = 0


class World:
    """A cluster of `size` hosts in one worker, which is the one that sweeps."""

    def __init__(self, stats, size, settings, memory=None, loop=None, sweeps=True):
        self.loop = loop or FakeLoop()
        self.wheel = TimerWheel(self.loop.call_later, self.loop.clock)
        self.log = []
        self.cells = memory or [cells.alone(shared_layout.HOSTS.cells) for _ in range(size + 1)]
        self.stats = stats
        self.outliers = Outliers("c", self.cells[0], stats, self.wheel, Random(7), self.log.append)
        self.outliers.configure(settings)
        self.hosts = [HostMonitor(self.outliers, each, f"10.0.0.{i}:80") for i, each in enumerate(self.cells[1:])]
        self.outliers.watch(self.hosts)
        if sweeps:
            self.outliers.start()

    def results(self, index, *statuses):
        for status in statuses:
            self.hosts[index].result(status, Failure.NONE)

    def out(self):
        return [index for index, host in enumerate(self.hosts) if host.ejected()]

    def stat(self, name):
        return self.stats.value(f"outlier_detection.ejections_{name}")


@pytest.fixture
def make(tmp_path):
    store = StatStore(tmp_path / "stats")

    def make(size=4, **fields):
        fields = {"max_ejection_percent": 100, **fields}
        return World(store.group(layout.HEALTH, "c"), size, OutlierDetection(**fields))

    return make


# -- so many in a row --------------------------------------------------------------------------------------------------


def test_five_in_a_row(make):
    world = make()
    world.results(1, 500, 503, 500, 599)
    assert world.out() == []
    world.results(1, 500)
    assert world.out() == [1]
    assert [world.stat(name) for name in ("enforced_total", "active", "total", "consecutive_5xx")] == [1, 1, 1, 1]
    assert [world.stat(f"{kind}_consecutive_5xx") for kind in ("detected", "enforced")] == [1, 1]
    assert world.log == [
        "outlier detection: cluster 'c': host 10.0.0.1:80 is ejected for 30 s: 5 5xx answers in a row",
    ]


@pytest.mark.parametrize("good", [200, 302, 404, 101])
def test_a_good_answer_in_between(make, good):
    world = make(enforcing_consecutive_gateway_failure=100)
    world.results(0, 503, 503, 503, 503, good, 503, 503, 503, 503)
    assert world.out() == []
    world.results(0, 503)
    assert world.out() == [0]


def test_gateway_failures_are_a_kind_of_their_own(make):
    world = make(consecutive_5xx=0, consecutive_gateway_failure=3, enforcing_consecutive_gateway_failure=100)
    world.results(0, 502, 503, 500, 504, 503)
    world.results(1, *[500] * 20)
    assert world.out() == []
    world.results(0, 504)
    assert world.out() == [0]
    assert (world.stat("enforced_consecutive_gateway_failure"), world.stat("enforced_consecutive_5xx")) == (1, 0)


@pytest.mark.parametrize(
    "failure", [Failure.NONE, Failure.CONNECT_FAILURE, Failure.CONNECT_TIMEOUT, Failure.TERMINATED]
)
def test_no_answer_is_a_gateway_failure(make, failure):
    world = make(consecutive_5xx=0, consecutive_gateway_failure=2, enforcing_consecutive_gateway_failure=100)
    for _ in range(2):
        assert world.out() == []
        world.hosts[2].result(NO_ANSWER, failure)
    assert world.out() == [2]


def test_what_is_refused_here_is_no_failure(make):
    world = make(consecutive_5xx=1)
    world.hosts[0].result(NO_ANSWER, Failure.OVERFLOW)
    assert world.out() == []


def test_local_failures_apart(make):
    world = make(
        split_external_local_origin_errors=True,
        consecutive_local_origin_failure=3,
        consecutive_5xx=2,
        enforcing_consecutive_gateway_failure=100,
    )
    for _ in range(2):
        world.hosts[0].result(NO_ANSWER, Failure.CONNECT_FAILURE)
    world.results(0, 500)  # it was reached
    for _ in range(2):
        world.hosts[0].result(NO_ANSWER, Failure.CONNECT_TIMEOUT)
    assert world.out() == []
    world.hosts[0].result(NO_ANSWER, Failure.NONE)
    assert world.out() == [0]
    assert world.stat("enforced_consecutive_local_origin_failure") == 1
    assert "3 local failures in a row" in world.log[0]
    world.results(1, 500, 500)
    assert world.out() == [0, 1]


def test_chance_spares_all(make):
    world = make(consecutive_5xx=1, enforcing_consecutive_5xx=0)
    world.results(0, 500, 500)
    assert world.out() == []
    assert (world.stat("detected_consecutive_5xx"), world.stat("enforced_total"), world.stat("active")) == (2, 0, 0)
    assert world.cells[0].load(ClusterCell.EJECTED_HOSTS) == 0


def test_chance_spares_some(make):
    world = make(size=200, consecutive_5xx=1, enforcing_consecutive_5xx=25)
    for index in range(200):
        world.results(index, 500)
    assert 25 <= len(world.out()) <= 80
    assert world.stat("active") == len(world.out())


# -- how many at most --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "percent", "one", "out"),
    [(10, 10, False, 1), (10, 35, False, 3), (4, 10, False, 0), (4, 10, True, 1), (4, 0, True, 1), (3, 100, False, 3)],
)
def test_at_most(make, size, percent, one, out):
    world = make(size=size, consecutive_5xx=1, max_ejection_percent=percent, always_eject_one_host=one)
    for index in range(size):
        world.results(index, 500)
    assert len(world.out()) == out
    assert (world.stat("overflow"), world.stat("active")) == (size - out, out)


def test_a_host_that_leaves_makes_room(make):
    world = make(consecutive_5xx=1, max_ejection_percent=25)
    world.results(0, 500)
    world.results(1, 500)
    assert world.out() == [0]
    world.outliers.watch([*world.hosts[1:], HostMonitor(world.outliers, cells.alone(16), "10.0.0.9:80")])
    world.results(1, 500)
    assert world.out() == [0, 1]
    assert world.cells[0].load(ClusterCell.EJECTED_HOSTS) == 1


# -- in again ----------------------------------------------------------------------------------------------------------


def eject(world, index=0):
    world.results(index, *[500] * 5)
    assert world.out() == [index]


def time_out(world):
    """Until the host is in again, in s."""
    ms = 0
    while world.out():
        world.loop.run(100)
        ms += 100
        assert ms < 1_000_000
    return ms / 1000


def test_after_its_time_it_is_in_again(make):
    world = make(interval=1_000, base_ejection_time=5_000)
    eject(world)
    generation = world.cells[0].load(ClusterCell.GENERATION)
    assert 5 <= time_out(world) <= 6.2
    assert world.stat("active") == 0
    assert world.cells[0].load(ClusterCell.GENERATION) == generation + 1
    assert world.log[-1] == "outlier detection: cluster 'c': host 10.0.0.0:80 is in again: its time is over"
    world.results(0, *[500] * 4)
    assert world.out() == []


def test_each_time_it_is_longer_and_never_too_long(make):
    world = make(interval=1_000, base_ejection_time=5_000, max_ejection_time=12_000)
    times = []
    for _ in range(4):
        eject(world)
        times.append(time_out(world))
    assert [round(time - 0.5) for time in times] == [5, 10, 12, 12]


def test_while_it_is_good_the_time_falls_again(make):
    world = make(interval=1_000, base_ejection_time=5_000)
    for _ in range(2):
        eject(world)
        time_out(world)
    world.loop.run(1_500)
    assert world.cells[1].load(HostCell.MULTIPLIER) == 1
    world.loop.run(5_000)
    assert world.cells[1].load(HostCell.MULTIPLIER) == 0
    eject(world)
    assert 5 <= time_out(world) <= 6.2


def test_jitter(make):
    world = make(size=20, interval=100, base_ejection_time=5_000, max_ejection_time_jitter=10_000)
    for index in range(20):
        world.results(index, *[500] * 5)
    world.loop.run(5_000)
    jitters = [each.load(HostCell.JITTER) for each in world.cells[1:]]
    assert all(0 <= jitter <= 10_000 for jitter in jitters)
    assert len(set(jitters)) > 10
    world.loop.run(10_300)
    assert world.out() == []


# -- rates -------------------------------------------------------------------------------------------------------------


def rated(world, *percents, volume=100):
    for index, percent in enumerate(percents):
        good = volume * percent // 100
        for number in range(volume):
            # Never many failures in a row: that is another reason.
            world.results(index, 200 if number * good // volume != (number + 1) * good // volume else 500)


RATES = {"consecutive_5xx": 0, "interval": 1_000}


def test_success_rate(make):
    """Envoy's own example: of 50 % and four times 100 % the threshold is 52 %."""
    world = make(size=5, **RATES)
    rated(world, 100, 50, 100, 100, 100)
    world.loop.run(1_100)
    assert world.out() == [1]
    assert [world.stat(f"{kind}success_rate") for kind in ("", "detected_", "enforced_")] == [1, 1, 1]
    assert "50.0 % answered well, others 90.0 % on average" in world.log[0]


@pytest.mark.parametrize(
    "fields",
    [
        {"success_rate_request_volume": 101},
        {"success_rate_minimum_hosts": 6},
        {"success_rate_stdev_factor": 2_100},
        {"enforcing_success_rate": 0},
    ],
)
def test_success_rate_not(make, fields):
    world = make(size=5, **RATES, **fields)
    rated(world, 100, 50, 100, 100, 100)
    world.loop.run(1_100)
    assert world.out() == []
    assert world.stat("detected_success_rate") == ("enforcing_success_rate" in fields)


def test_only_the_last_interval_counts(make):
    world = make(size=5, **RATES)
    rated(world, 100, 50, 100, 100, 100, volume=60)
    world.loop.run(1_100)
    rated(world, 100, 50, 100, 100, 100, volume=60)
    world.loop.run(1_100)
    assert world.out() == []


def test_failure_percentage(make):
    world = make(
        size=5, **RATES, enforcing_success_rate=0, enforcing_failure_percentage=100, failure_percentage_threshold=60
    )
    rated(world, 40, 41, 20, 100, 90, volume=100)
    world.loop.run(1_100)
    assert world.out() == [0, 2]
    assert world.stat("enforced_failure_percentage") == 2


def test_local_rates(make):
    world = make(
        size=5,
        **RATES,
        split_external_local_origin_errors=True,
        consecutive_local_origin_failure=0,
        enforcing_local_origin_success_rate=0,
        enforcing_failure_percentage_local_origin=100,
    )
    for index in range(5):
        for _ in range(60):
            if index == 3:
                world.hosts[index].result(NO_ANSWER, Failure.CONNECT_FAILURE)
            else:
                world.results(index, 500)
    world.loop.run(1_100)
    assert world.out() == [3]
    assert world.stat("enforced_local_origin_failure_percentage") == 1


def test_a_few_hosts_are_not_rated(make):
    """What cannot decide anything is not counted."""
    world = make(size=4, **RATES)
    world.results(0, 200, 500)
    assert (world.cells[1].load(HostCell.TOTAL), world.cells[1].load(HostCell.SUCCESSES)) == (0, 0)


# -- several workers ---------------------------------------------------------------------------------------------------


@pytest.fixture
def pair(tmp_path):
    path = str(tmp_path / "shared.bin")
    shared_layout.create(path, 2)
    files = [SharedFile(path, column) for column in range(2)]
    names = ["c", *(f"c\0 10.0.0.{i}\0 80" for i in range(4))]
    loop = FakeLoop()
    settings = OutlierDetection(max_ejection_percent=50, base_ejection_time=5_000, interval=1_000)

    def start(column):
        files[column].hosts.claim(names)
        stats = StatStore(tmp_path / f"stats-{column}").group(layout.HEALTH, "c")
        memory = [files[column].hosts.get(name) for name in names]
        return World(stats, 4, settings, memory, loop, sweeps=column == 0)

    def replace(column):
        files[column].close()
        shared_layout.clear(path, column)
        files[column] = SharedFile(path, column)
        return start(column)

    yield start(0), start(1), replace
    for file in files:
        file.close()


def test_failures_add_up(pair):
    a, b, _ = pair
    a.results(0, 500, 500)
    b.results(0, 500, 500)
    assert b.out() == []
    a.results(0, 500)
    assert (a.out(), b.out()) == ([0], [0])
    b.results(1, *[500] * 5)
    b.results(2, *[500] * 5)
    assert (a.out(), b.out()) == ([0, 1], [0, 1])
    assert (a.stat("enforced_total"), b.stat("enforced_total"), b.stat("overflow")) == (1, 1, 1)
    a.outliers.show()
    b.outliers.show()
    assert (a.stat("active"), b.stat("active")) == (2, 0)


def test_a_replacement_goes_on(pair):
    a, b, replace = pair
    a.results(0, *[500] * 5)
    a.loop.run(3_000)
    a.outliers.stop()
    replacement = replace(0)
    assert (replacement.out(), b.out()) == ([0], [0])
    a.loop.run(1_500)
    assert replacement.out() == [0]
    a.loop.run(1_700)
    assert (replacement.out(), b.out()) == ([], [])
