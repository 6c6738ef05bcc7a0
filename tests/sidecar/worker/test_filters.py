"""Which filters a plan may ask for, and what routes may say for them."""

import pytest

from tage.dataplane.filters.filter import DISABLED
from tage.dataplane.telemetry.store import StatStore
from tage.sidecar import plan
from tage.sidecar.worker.filters import Environment, Filters
from tage.sidecar.worker.native_filters import NativeFilters
from tage.sidecar.worker.shared import Shared


@pytest.fixture
def filters(tmp_path):
    stats = StatStore(str(tmp_path / "stats"))
    return Filters(Environment(stats, NativeFilters(stats, Shared(None, stats).buckets)))


def test_no_filter_is_no_chain(filters):
    assert filters.chain([]) is None
    assert filters.settings({}) is None


def test_a_route_switches_a_filter_off(filters):
    assert filters.settings({"f": plan.FilterDisabled("f")}) == {"f": DISABLED}


def test_what_is_no_filter_is_refused_by_name(filters):
    with pytest.raises(ValueError, match="filter 'f': FilterDisabled is nothing that a listener can have"):
        filters.chain([plan.FilterDisabled("f")])
