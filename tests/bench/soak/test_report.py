"""The soak's page: the figures, each kill, each change, and the verdict."""

from bench.soak import report
from tests.bench.soak.test_verdict import change, made

HOST = {"cpu": "c", "cores": 2, "kernel": "k", "python": "3", "date": "2026-01-01", "busy_before": 0.01}


def page(tmp_path, monkeypatch, **fields):
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    report.write_page(made(**fields), HOST, "python -m bench.soak")
    return (tmp_path / report.PAGE).read_text()


def test_page_of_a_run_that_passed(tmp_path, monkeypatch):
    text = page(tmp_path, monkeypatch)
    assert "`python -m bench.soak`: passed." in text
    assert "| capacity, closed loop | 2,000 requests/s |" in text
    assert "| failed requests | 0 |" in text
    assert "| the agent | 2.5 s | 0.10 s | 0.40 s | 0.61 s |" in text
    assert "| 1.00 s | 100/0 | 110 ms | 880 | 0 | 100.0 % |" in text
    assert "not to be quoted" not in text


def test_page_of_a_run_that_failed_says_why(tmp_path, monkeypatch):
    text = page(tmp_path, monkeypatch, retries=1, capacity=None, changes=[change(0, 50), change(3, 0, None)])
    assert "**failed**" in text
    assert "| capacity, closed loop | not measured |" in text
    assert "| 3.00 s | 0/100 | overtaken by the next |  |  |  |" in text
    assert "- FAILED a sidecar retried 1 times, though retries are off" in text
