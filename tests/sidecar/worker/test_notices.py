"""Lines on standard error: bounded, and what was left out is said."""

from tage.sidecar.worker.notices import PER_SECOND, Notices


def test_no_more_than_so_many_a_second(capsys):
    now = 5_000
    notices = Notices(lambda: now)
    for number in range(PER_SECOND + 7):
        notices(f"line {number}")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"worker: line {number}" for number in range(PER_SECOND)]
    now = 6_000
    notices("later")
    notices("again")
    assert capsys.readouterr().err.splitlines() == ["worker: later (7 other lines were left out)", "worker: again"]
