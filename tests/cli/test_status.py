from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tage.cli import status
from tage.cli.client import ControlClient
from tage.cli.output import age, table

NOW = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
"""In the future, which is shown as 0s however long the test takes."""


def test_table_of_sidecars(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    synced = {"sent": "2", "acked": "2", "nacked": "", "synced": True, "since": NOW}
    stale = {"sent": "2", "acked": "1", "nacked": "", "synced": False, "since": NOW}
    refused = {"sent": "2", "acked": "1", "nacked": "listener x: port in use", "synced": False, "since": NOW}
    sidecars = [
        {
            "id": "sidecar~127.1.0.4~web-v1-1.default~default.svc.cluster.local",
            "address": "127.1.0.4",
            "connected_since": NOW,
            "types": {"LDS": refused, "RDS": stale, "CDS": synced},
        },
        {"id": "envoy", "address": "", "connected_since": "", "types": {"EDS": synced}},
    ]
    monkeypatch.setattr(ControlClient, "sidecars", lambda self: sidecars)
    status.status(control="127.0.0.1:15014")
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["SIDECAR", "ADDRESS", "LDS", "RDS", "CDS", "EDS", "CONNECTED"],
        ["envoy", "-", "-", "-", "SYNCED", "0s"],
        ["web-v1-1.default", "127.1.0.4", "NACK", "0s", "STALE", "0s", "SYNCED", "0s", "-", "0s"],
        ["web-v1-1.default:", "LDS", "refused:", "listener", "x:", "port", "in", "use"],
    ]
    status.status("envoy", control="127.0.0.1:15014")
    assert "web-v1-1" not in capsys.readouterr().out


def test_age() -> None:
    now = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
    assert age("", now) == ""
    assert age("2026-01-02T11:59:01Z", now) == "59s"
    assert age("2026-01-02T11:58:30+00:00", now) == "90s"
    assert age("2026-01-02T11:00:00", now) == "60m"
    assert age("2026-01-01T12:00:00Z", now) == "24h"
    assert age("2025-12-20T12:00:00Z", now) == "13d"
    assert age("2026-01-02T12:00:05Z", now) == "0s"


def test_table_without_rows() -> None:
    assert table(("A", "B"), []) == "A   B"
