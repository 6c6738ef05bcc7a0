"""Requests are counted by cluster, service and method, up to a limit of them."""

from __future__ import annotations

import pytest

from tage.dataplane.telemetry import reader
from tage.dataplane.telemetry.layout import METHOD, parted_method
from tage.dataplane.telemetry.methods import MethodStats
from tage.dataplane.telemetry.store import StatStore


@pytest.fixture
def store(tmp_path):
    return StatStore(tmp_path / "stats")


def counters(store):
    """Those that are not 0, without the group of an overflowing store."""
    found = reader.read([store.path]).counters
    return {(owner, name): value for (scope, owner, name), value in found.items() if scope == "method" and value}


def test_a_request_is_counted(store):
    methods = MethodStats(store)
    methods.count("out", b"/com.a.Stock/count", 200, "-", 1_000)
    methods.count("out", b"/com.a.Stock/count", 504, "UT", 3_000)
    methods.count("in", b"/com.a.Stock/count", 200, "-", 1)
    methods.count("out", b"/com.a.Stock/sell", 200, "-", 1)
    first = "out /com.a.Stock/count"
    assert {name: value for (owner, name), value in counters(store).items() if owner == first} == {
        "rq_total": 2,
        "rq_2xx": 1,
        "rq_5xx": 1,
        "upstream_rq_code_200_-": 1,
        "upstream_rq_code_504_UT": 1,
    }
    assert {owner for owner, _ in counters(store)} == {
        first,
        "in /com.a.Stock/count",
        "out /com.a.Stock/sell",
    }
    histogram = reader.read([store.path]).histograms["method", first, METHOD.histogram]
    assert (histogram.count, histogram.sum_us) == (2, 4_000)


def test_equal_paths_are_one(store):
    """Though they need not be one object."""
    methods = MethodStats(store)
    for _ in range(3):
        methods.count("out", bytes(bytearray(b"/a/b")), 200, "-", 1)
        methods.count("".join(["o", "ut"]), b"/c/d", 200, "-", 1)
    assert counters(store)["out /a/b", "rq_total"] == 3
    assert counters(store)["out /c/d", "rq_total"] == 3


def test_what_is_beyond_the_limit_is_other(store):
    methods = MethodStats(store, 2)
    for path in (b"/a/1", b"/a/2", b"/a/3", b"/a/4", b"/a/1"):
        methods.count("x", path, 200, "-", 1)
    methods.count("y", b"/a/1", 200, "-", 1)
    totals = {owner: value for (owner, name), value in counters(store).items() if name == "rq_total"}
    assert totals == {"x /a/1": 2, "x /a/2": 1, "x /other": 2, "y /other": 1}


def test_a_very_long_path_has_no_group_of_its_own(store):
    methods = MethodStats(store)
    methods.count("x", b"/" + b"a" * 255 + b"/m", 200, "-", 1)
    methods.count("x", b"/a/b", 200, "-", 1)
    assert {owner for owner, _ in counters(store)} == {"x /other", "x /a/b"}


@pytest.mark.parametrize(
    ("owner", "parts"),
    [
        ("outbound|80||stock /com.a.Stock/count", ("outbound|80||stock", "com.a.Stock", "count")),
        ("a b /s/m", ("a b", "s", "m")),
        ("c /s/with/slashes", ("c", "s/with", "slashes")),
        ("c /other", ("c", "", "other")),
        ("c /", ("c", "", "")),
        ("c /s/", ("c", "s", "")),
    ],
)
def test_an_owner_says_what_it_is_of(owner, parts):
    assert parted_method(owner) == parts
