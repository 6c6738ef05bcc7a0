"""Outlier detection (envoy.config.cluster.v3.OutlierDetection): hosts that fail are left out for a while.

    HostMonitor.result    each try's end, in every worker: counts in the host's shared cells; so many failures in a row,
                          and the host is ejected, by whichever worker saw the last of them
    Outliers.expire       each interval, in worker 0 alone: hosts that have served their time are readmitted; those
                          whose success rate is far below the others', or whose failures are too many, are ejected

An ejection is a flag in the host's cells (`health.state`), so it holds in all workers, and outlives them. Its time is
`base_ejection_time` times a multiplier, which grows with each ejection and falls by one each interval in between, up to
`max_ejection_time`, and up to `max_ejection_time_jitter` more. At most `max_ejection_percent` of the hosts are out at a
time; workers that eject at the same moment agree on that by one atomic count.

What counts as a failure is the sidecar's view of the answer: 5xx; no answer is a 503 (a 504 where it was waited for),
or, with `split_external_local_origin_errors`, a local failure, which has counters of its own. What the circuit breakers
refuse is nobody's failure. Envoy: source/common/upstream/outlier_detection_impl.cc.
"""

import cython

from tage.dataplane.native import Random
from tage.dataplane.net.timers import Timer, TimerWheel
from tage.dataplane.telemetry.layout import HEALTH
from tage.dataplane.telemetry.store import StatGroup
from tage.dataplane.upstream.cells import Cells

if not cython.compiled:
    # Compiled, these names come from the .pxd files.
    import enum

    from tage.dataplane.upstream.connection import OVERFLOW
    from tage.dataplane.upstream.health.state import EJECTED_HOSTS, FLAG_EJECTED, GENERATION, HostCell

    (
        CONSECUTIVE_5XX,
        CONSECUTIVE_GATEWAY,
        CONSECUTIVE_LOCAL,
        TOTAL,
        SUCCESSES,
        LOCAL_TOTAL,
        LOCAL_SUCCESSES,
        FLAGS,
        EJECTED_AT,
        JITTER,
        MULTIPLIER,
        READMITTED_AT,
    ) = HostCell

    Reason = enum.IntEnum(
        "Reason",
        [
            *("BY_5XX", "BY_GATEWAY", "BY_LOCAL", "BY_SUCCESS_RATE", "BY_LOCAL_SUCCESS_RATE"),
            *("BY_FAILURE_PERCENTAGE", "BY_LOCAL_FAILURE_PERCENTAGE"),
        ],
        start=0,
    )
    (
        BY_5XX,
        BY_GATEWAY,
        BY_LOCAL,
        BY_SUCCESS_RATE,
        BY_LOCAL_SUCCESS_RATE,
        BY_FAILURE_PERCENTAGE,
        BY_LOCAL_FAILURE_PERCENTAGE,
    ) = Reason

_NAMES = (
    "consecutive_5xx",
    "consecutive_gateway_failure",
    "consecutive_local_origin_failure",
    "success_rate",
    "local_origin_success_rate",
    "failure_percentage",
    "local_origin_failure_percentage",
)
"""By reason: what Envoy's statistics call it."""
_DETECTED = [HEALTH.offset(f"outlier_detection.ejections_detected_{name}") for name in _NAMES]
_ENFORCED = [HEALTH.offset(f"outlier_detection.ejections_enforced_{name}") for name in _NAMES]
_ENFORCED_TOTAL = cython.declare(cython.Py_ssize_t, HEALTH.offset("outlier_detection.ejections_enforced_total"))
_OVERFLOW = cython.declare(cython.Py_ssize_t, HEALTH.offset("outlier_detection.ejections_overflow"))
_ACTIVE = cython.declare(cython.Py_ssize_t, HEALTH.offset("outlier_detection.ejections_active"))
_MINUS_ONE = cython.declare(cython.ulonglong, 0xFFFFFFFFFFFFFFFF)


class HostMonitor:
    """Takes down how tries at one host end. `host` is its address and port, for the log. `gone`: it has left the
    cluster, and what is still under way there has no consequences."""

    def __init__(self, outliers, cells: Cells, host: str) -> None:
        self.outliers = outliers
        self.cells = cells
        self.host = host
        self.gone = False

    def result(self, status, failure):
        """How a try ended. `status` is the answer's, in HTTP's terms (200: a TCP connection was made), 0 that there is
        none; then `failure` is why (`connection.Failure`), NONE for one that took too long."""
        outliers: Outliers = self.outliers
        cells: Cells = self.cells
        if status == 0:
            if failure == OVERFLOW:
                return
            if outliers.split:
                self._local_result(False)
                return
            status = 503
        elif outliers.split:
            self._local_result(True)
        if outliers.rates:
            cells.add(TOTAL, 1)
        if 500 <= status < 600:
            if 502 <= status <= 504:
                if cells.add(CONSECUTIVE_GATEWAY, 1) + 1 == outliers.consecutive_gateway_failure:
                    outliers.failed_in_a_row(self, BY_GATEWAY, CONSECUTIVE_GATEWAY)
            elif cells.load(CONSECUTIVE_GATEWAY):
                cells.store(CONSECUTIVE_GATEWAY, 0)
            if cells.add(CONSECUTIVE_5XX, 1) + 1 == outliers.consecutive_5xx:
                outliers.failed_in_a_row(self, BY_5XX, CONSECUTIVE_5XX)
            return
        if outliers.rates:
            cells.add(SUCCESSES, 1)
        # Most answers are good, and follow good ones: nothing is written then.
        if cells.load(CONSECUTIVE_5XX):
            cells.store(CONSECUTIVE_5XX, 0)
        if cells.load(CONSECUTIVE_GATEWAY):
            cells.store(CONSECUTIVE_GATEWAY, 0)

    def _local_result(self, good):
        outliers: Outliers = self.outliers
        if outliers.rates:
            self.cells.add(LOCAL_TOTAL, 1)
            if good:
                self.cells.add(LOCAL_SUCCESSES, 1)
        if not good:
            if self.cells.add(CONSECUTIVE_LOCAL, 1) + 1 == outliers.consecutive_local_origin_failure:
                outliers.failed_in_a_row(self, BY_LOCAL, CONSECUTIVE_LOCAL)
        elif self.cells.load(CONSECUTIVE_LOCAL):
            self.cells.store(CONSECUTIVE_LOCAL, 0)

    def ejected(self) -> bool:
        return self.cells.load(FLAGS) & FLAG_EJECTED != 0


class Outliers(Timer):
    """Of one cluster. `cells` are the cluster's own, `log(text)` is told of each ejection and readmission. Times in ms
    of the monotonic clock, which is the same for all workers."""

    def __init__(self, name: str, cells: Cells, stats: StatGroup, wheel: TimerWheel, random: Random, log) -> None:
        Timer.__init__(self)
        self.name = name
        self.cells = cells
        self.stats = stats
        self.wheel = wheel
        self._random = random
        self._log = log
        self._settings = None
        self._monitors = []
        self._sweeps = False
        self.rates = False
        self.split = False
        self.consecutive_5xx = 0
        self.consecutive_gateway_failure = 0
        self.consecutive_local_origin_failure = 0

    def configure(self, settings) -> None:
        """`settings` has the message's fields, defaults included; times in ms (`plan.OutlierDetection`)."""
        self._settings = settings
        self.split = settings.split_external_local_origin_errors
        self.consecutive_5xx = settings.consecutive_5xx
        self.consecutive_gateway_failure = settings.consecutive_gateway_failure
        self.consecutive_local_origin_failure = settings.consecutive_local_origin_failure
        self._decide_rates()

    def watch(self, monitors) -> None:
        """These are the cluster's hosts."""
        self._monitors = list(monitors)
        self._decide_rates()
        self._recount()

    def _decide_rates(self):
        settings = self._settings
        hosts: cython.Py_ssize_t = len(self._monitors)
        self.rates = settings is not None and (
            hosts >= settings.success_rate_minimum_hosts or hosts >= settings.failure_percentage_minimum_hosts
        )

    def start(self) -> None:
        """Sweeps at intervals from now on: worker 0's part. Clusters that come at once are swept at different times."""
        if not self._sweeps:
            self._sweeps = True
            self.wheel.arm(self, 1 + self._random.below(self._settings.interval))

    def stop(self) -> None:
        """Sweeps no more."""
        self._sweeps = False
        self.wheel.disarm(self)
        self.stats.put(_ACTIVE, 0)

    def close(self) -> None:
        """The cluster is gone: lets go of its hosts, which hold this."""
        self.stop()
        self._monitors = []

    # -- out -----------------------------------------------------------------------------------------------------------

    def failed_in_a_row(self, monitor: HostMonitor, reason: cython.int, cell: cython.Py_ssize_t) -> None:
        """As often as it takes."""
        if monitor.ejected() or monitor.gone:
            return
        if reason == BY_5XX:
            self.stats.count("outlier_detection.ejections_consecutive_5xx", 1)
        failures = monitor.cells.load(cell)
        self._eject(monitor, reason, f"{failures} {_WORDS[reason]} in a row")
        monitor.cells.store(cell, 0)

    def _eject(self, monitor, reason, why):
        """Unless so many are out already, or chance spares it (`enforcing_*`)."""
        settings = self._settings
        active: cython.ulonglong
        self.stats.up(_DETECTED[reason])
        while True:
            active = self.cells.load(EJECTED_HOSTS)
            if 100 * (active + 1) > settings.max_ejection_percent * len(self._monitors) and not (
                active == 0 and settings.always_eject_one_host
            ):
                self.stats.up(_OVERFLOW)
                return
            if self.cells.replace(EJECTED_HOSTS, active, active + 1):
                break
        if reason == BY_5XX or reason == BY_SUCCESS_RATE:
            self.stats.count("outlier_detection.ejections_total", 1)
        if self._random.below(100) >= getattr(settings, _ENFORCING[reason]):
            self.cells.add(EJECTED_HOSTS, _MINUS_ONE)
            return
        multiplier = monitor.cells.load(MULTIPLIER)
        if multiplier * settings.base_ejection_time < settings.max_ejection_time + settings.base_ejection_time:
            multiplier += 1
        # All is in place before the flag is: the sweep may see it at once.
        monitor.cells.store(MULTIPLIER, multiplier)
        monitor.cells.store(JITTER, self._random.below(settings.max_ejection_time_jitter + 1))
        monitor.cells.store(EJECTED_AT, self.wheel.now())
        if monitor.cells.set_bits(FLAGS, FLAG_EJECTED) & FLAG_EJECTED:
            self.cells.add(EJECTED_HOSTS, _MINUS_ONE)  # another worker was faster
            return
        self.cells.add(GENERATION, 1)
        self.stats.up(_ENFORCED_TOTAL)
        self.stats.up(_ENFORCED[reason])
        self._show_active()
        self._log(
            f"outlier detection: cluster {self.name!r}: host {monitor.host} is ejected for"
            f" {self._time(monitor) / 1000:g} s: {why}"
        )

    def _time(self, monitor):
        """How long it is out, in ms."""
        time = self._settings.base_ejection_time * monitor.cells.load(MULTIPLIER)
        return min(time, self._settings.max_ejection_time) + monitor.cells.load(JITTER)

    # -- in again ------------------------------------------------------------------------------------------------------

    def readmit(self, monitor: HostMonitor, why: str) -> None:
        """Its time is over, or an active check has found it healthy."""
        if not monitor.cells.clear_bits(FLAGS, FLAG_EJECTED) & FLAG_EJECTED:
            return
        active: cython.ulonglong = self.cells.load(EJECTED_HOSTS)
        while active and not self.cells.replace(EJECTED_HOSTS, active, active - 1):
            active = self.cells.load(EJECTED_HOSTS)
        for cell in (CONSECUTIVE_5XX, CONSECUTIVE_GATEWAY, CONSECUTIVE_LOCAL):
            monitor.cells.store(cell, 0)
        monitor.cells.store(READMITTED_AT, self.wheel.now())
        self.cells.add(GENERATION, 1)
        self._show_active()
        self._log(f"outlier detection: cluster {self.name!r}: host {monitor.host} is in again: {why}")

    # -- the sweep -----------------------------------------------------------------------------------------------------

    def expire(self):
        """One interval has passed."""
        self.sweep(self.wheel.now())
        if self._sweeps:
            self.wheel.arm(self, self._settings.interval)

    def sweep(self, now: cython.longlong) -> None:
        """`now` in ms."""
        monitor: HostMonitor
        since: cython.longlong
        self._recount()
        for monitor in self._monitors:
            since = monitor.cells.load(EJECTED_AT)
            if monitor.ejected() and now - since >= self._time(monitor):
                self.readmit(monitor, "its time is over")
        self._judge(TOTAL, SUCCESSES, BY_SUCCESS_RATE, BY_FAILURE_PERCENTAGE)
        self._judge(LOCAL_TOTAL, LOCAL_SUCCESSES, BY_LOCAL_SUCCESS_RATE, BY_LOCAL_FAILURE_PERCENTAGE)
        for monitor in self._monitors:
            multiplier = monitor.cells.load(MULTIPLIER)
            since = monitor.cells.load(READMITTED_AT)
            if multiplier and not monitor.ejected() and now - since >= self._settings.interval:
                monitor.cells.store(MULTIPLIER, multiplier - 1)
        self._show_active()

    def _judge(self, total, successes, by_rate, by_percentage):
        """By what was counted since the last sweep; counts anew."""
        settings = self._settings
        monitor: HostMonitor
        volume: cython.ulonglong
        good: cython.ulonglong
        rated: list = []
        measured: list = []
        for monitor in self._monitors:
            # In this order: an answer between the two is one success too few here, and one too many next time.
            good = monitor.cells.exchange(successes, 0)
            volume = monitor.cells.exchange(total, 0)
            if volume == 0 or monitor.ejected():
                continue
            rate = 100.0 * min(good, volume) / volume
            if volume >= settings.success_rate_request_volume:
                rated.append((rate, monitor))
            if volume >= settings.failure_percentage_request_volume:
                measured.append((rate, monitor))
        if rated and len(rated) >= settings.success_rate_minimum_hosts:
            mean = sum([rate for rate, _ in rated]) / len(rated)
            deviation = (sum([(rate - mean) ** 2 for rate, _ in rated]) / len(rated)) ** 0.5
            threshold = mean - deviation * settings.success_rate_stdev_factor / 1000
            for rate, monitor in rated:
                if rate < threshold:
                    self.stats.count("outlier_detection.ejections_success_rate", 1)
                    self._eject(monitor, by_rate, f"{rate:.1f} % {_WORDS[by_rate]}, others {mean:.1f} % on average")
        if measured and len(measured) >= settings.failure_percentage_minimum_hosts:
            for rate, monitor in measured:
                if 100 - rate >= settings.failure_percentage_threshold and not monitor.ejected():
                    self._eject(monitor, by_percentage, f"{100 - rate:.1f} % {_WORDS[by_percentage]}")

    def _recount(self):
        """Hosts that have left the cluster while they were out are in the count still."""
        monitor: HostMonitor
        active: cython.ulonglong = self.cells.load(EJECTED_HOSTS)
        there: cython.ulonglong = 0
        for monitor in self._monitors:
            if monitor.ejected():
                there += 1
        if there != active:
            self.cells.replace(EJECTED_HOSTS, active, there)

    def _show_active(self):
        # One worker's figure is all workers': theirs are added up.
        if self._sweeps:
            self.stats.put(_ACTIVE, self.cells.load(EJECTED_HOSTS))

    def show(self) -> None:
        """Brings the gauge up to date with what other workers did."""
        self._show_active()


_WORDS = (
    "5xx answers",
    "gateway failures",
    "local failures",
    "answered well",
    "reached",
    "of the answers failed",
    "of the tries failed here",
)
_ENFORCING = (
    "enforcing_consecutive_5xx",
    "enforcing_consecutive_gateway_failure",
    "enforcing_consecutive_local_origin_failure",
    "enforcing_success_rate",
    "enforcing_local_origin_success_rate",
    "enforcing_failure_percentage",
    "enforcing_failure_percentage_local_origin",
)
"""By reason: the field with how many of a hundred detections are carried out."""
