"""What `tage protocol check` tells: a line for each check; where one failed, what, with the bytes and the place."""

from __future__ import annotations

from typing import Any

from tage.cli import output
from tage.xprotocol_testing import Outcome, Report
from tage.xprotocol_testing.report import told


def report(report: Report) -> str:
    rows = [(result.check, result.outcome.value, result.what) for result in report.results]
    parts = [output.table(("CHECK", "RESULT", report.protocol), rows)]
    failed = [result for result in report.results if result.outcome is Outcome.FAILED]
    parts += [told(result) for result in failed]
    passed = sum(result.outcome is Outcome.OK for result in report.results)
    skipped = len(report.results) - passed - len(failed)
    parts.append(f"{passed} ok, {len(failed)} failed, {skipped} not applicable")
    return "\n\n".join(parts)


def data(report: Report) -> dict[str, Any]:
    """For programs; `bytes` in hex, `at` an offset in them."""
    return {
        "protocol": report.protocol,
        "ok": report.ok,
        "checks": [
            {
                "check": result.check,
                "result": result.outcome.value,
                "what": result.what,
                **({} if result.data is None else {"bytes": result.data.hex()}),
                **({} if result.at is None else {"at": result.at}),
            }
            for result in report.results
        ],
    }
