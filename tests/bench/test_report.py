"""What is written of a run: PERFORMANCE's fields in the JSON, ratios and goals in the page."""

import pytest

from bench import report, tables
from bench.load import Paced
from bench.measure import Figures, RowFigures, Settings
from bench.rows import ROWS

HOST = {"cpu": "c", "cores": 2, "kernel": "k", "python": "3", "date": "2026-01-01", "busy_before": 0.01}
SETTINGS = Settings(rounds=3, seconds=1)


def figures(name: str, cpu: float, failures: int = 0) -> Figures:
    paced = [Paced(100, 0, 50, 1.0, 2.0, 3.0 + n, 6.0 + n, 9.0, 5.0, 0.1 + n / 10) for n in range(3)]
    return Figures(name, "1.0", 10, 12, 0, [cpu - 1, cpu, cpu + 9], [1000.0, 990, 980], paced, [cpu] * 3, [], failures)


@pytest.fixture
def row() -> RowFigures:
    proxies = [figures("tage", 20), figures("envoy", 50), figures("haproxy", 19)]
    return RowFigures(ROWS["http1-32"], proxies, figures("direct", 0), 500.0, ["nginx"])


def test_json_has_the_agreed_fields(row):
    first = report.as_rows(row)[0]
    assert {"work", "proxy", "cpu_us_per_request", "rps", "p50_us", "p99_us", "rss_mb"} <= first.keys()
    assert (first["work"], first["proxy"], first["cpu_us_per_request"]) == ("http1-32", "tage", 20)
    assert (first["rps"], first["p99_us"], first["rss_mb"]) == (990, 4, 12)
    assert (first["p999_us"], first["max_us"], first["cpu_us_per_handshake"]) == (7, 9, None)


def test_page_has_ratios_goals_and_what_is_missing(row, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    page = report.write_page(row, HOST, SETTINGS).read_text()
    assert "| tage | 1.0 | 20.0 | 990 | 0.40 | 1.05 |" in page
    assert "at most 0.40 of Envoy's CPU; measured 0.40: met" in page
    assert "at most 1.00 of HAProxy's CPU; measured 1.05: missed" in page
    assert "p99 at most Envoy's; measured 1.00 of it: met" in page
    assert "left out: nginx" in page
    assert "used at most 30% of its core" in page
    assert "handshake" not in page
    assert "not to be quoted" not in page


def test_a_busy_machine_is_named(row, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    page = report.write_page(row, {**HOST, "busy_before": 0.4}, SETTINGS).read_text()
    assert "not to be quoted" in page


def test_handshakes_are_shown_where_there_were_some(row, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    row.proxies[1].handshake_cpu_us = [400.0, 500.0, 900.0]
    assert "full TLS handshake and one request: envoy 500\n" in report.write_page(row, HOST, SETTINGS).read_text()
    assert report.as_rows(row)[1]["cpu_us_per_handshake"] == 500


def test_what_a_filter_costs_is_the_difference(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    proxies = [figures("tage", 20), figures("tage-filter", 21.6), figures("envoy", 50), figures("envoy-lua", 58)]
    row = RowFigures(ROWS["http1-32-filter"], proxies, figures("direct", 0), 500.0, [])
    page = report.write_page(row, HOST, SETTINGS).read_text()
    assert "the filter in Python: 1.6 us CPU a request; goal: at most 1.5: missed" in page
    assert "the filter in Lua: 8.0 us CPU a request\n" in page


def test_rows_that_share_a_page_leave_each_other_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    tables.write_page("a-1", "first", "page.md", ["1", "## Every round", "", "x"])
    tables.write_page("b-2", "second", "page.md", ["2"])
    tables.write_page("a-1", "first", "page.md", ["3", "## Every round", "", "y"])
    page = (tmp_path / "page.md").read_text()
    assert [line for line in page.splitlines() if line.startswith("# ")] == ["# a-1", "# b-2"]
    assert "\n3\n## Every round\n\ny\n" in page
    assert "\n2\n" in page
    assert "\n1\n" not in page


def test_rpc_rows_are_compared_with_their_own_peers(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    http1 = figures("envoy-http1", 50)
    http1.paced = []
    proxies = [figures("tage", 5), figures("mosn", 40), figures("tage-frame", 4), http1]
    for figure, connections in zip(proxies, (4, 4, 4, 0), strict=True):
        figure.connections = connections
    row = RowFigures(ROWS["bolt-8x16"], proxies, figures("direct", 0), 500.0, [])
    page = report.write_page(row, HOST, SETTINGS).read_text()
    assert "| tage | 1.0 | 5.0 | 990 | 0.12 | 1.25 | 0.10 |" in page
    assert "at most 0.15 of MOSN's CPU; measured 0.12: met" in page
    assert "at most 1.30 of frame depth's CPU; measured 1.25: met" in page
    assert "p99 at most MOSN's; measured 1.00 of it: met" in page
    assert "upstream connections: tage 4, mosn 4, tage-frame 4\n" in page
    assert report.as_rows(row)[3]["p99_us"] is None


def test_a_declared_protocol_is_compared_with_bolt_through_mosn():
    row = ROWS["declared-8x16"]
    assert [proxy.name for proxy in row.all_proxies] == ["tage", "mosn-bolt", "tage-frame", "envoy-http1"]
    assert row.load_of("tage").wire == row.load_of("tage-frame").wire == "ledger"
    assert row.load_of("mosn-bolt").wire == "bolt"
    assert not row.load_of("tage-frame").routed
    assert [row.is_paced(proxy.name) for proxy in row.all_proxies] == [True, True, True, False]
