"""Testing protocols of one's own, without sockets and without waiting.

    from tage.xprotocol_testing import CHECKS, conformance, read

    @pytest.mark.parametrize("check", CHECKS)
    def test_conformance(check):
        conformance(Ledger(), [check]).verify()

    def test_a_request_is_read():
        [seen] = read(Ledger(), bytes_of_a_request)
        assert (seen.service, seen.method) == (b"accounts", b"balance")

`conformance` runs what `tage protocol check` runs, on frames that the protocol's `example` gives and on recorded ones.

``framing``    checks of the reader: pieces, sizes, noise
``meaning``    checks of what frames say, and of the frames that Tage makes
``exchange``   checks of calls: ids, order, time, ends
``rpc``        the world that they take place in
``methods``    everything that a protocol may be asked about a frame
``frames``     reading frames: `read`
``subject``    the protocol under test and its examples
``report``     results
``fakes``      an event loop, its clock and its transports that only the test moves
``world``      one worker's data plane between a test's clients and its servers
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tage.xprotocol import Protocol
from tage.xprotocol_testing import exchange, framing, meaning
from tage.xprotocol_testing.frames import Seen, read
from tage.xprotocol_testing.report import Failed, NonconformanceError, Outcome, Report, Result, Skipped
from tage.xprotocol_testing.subject import Subject, described

__all__ = ["CHECKS", "NonconformanceError", "Outcome", "Report", "Result", "Seen", "conformance", "read"]

_CHECKS = {**framing.CHECKS, **meaning.CHECKS, **exchange.CHECKS}

CHECKS = tuple(_CHECKS)
"""Names, in the order in which they run."""


def conformance(
    protocol: Protocol, checks: Iterable[str] = CHECKS, *, frames: Sequence[bytes] = (), seed: int = 1
) -> Report:
    """Tries `protocol` out; the same `seed` does the same again. `frames` are whole frames to try besides its examples:
    those that real clients and servers have written. Nothing is raised that the protocol raises: it is in the report.
    Raises KeyError for a check that there is none of."""
    subject = Subject(protocol, seed, frames)
    return Report(protocol.name, [_run(subject, name) for name in checks])


def _run(subject: Subject, name: str) -> Result:
    check = _CHECKS[name]
    try:
        return Result(name, Outcome.OK, check(subject))
    except Skipped as reason:
        return Result(name, Outcome.SKIPPED, str(reason))
    except Failed as failure:
        return Result(name, Outcome.FAILED, failure.what, failure.data, failure.at)
    except Exception as error:
        return Result(name, Outcome.FAILED, f"raises {described(error)}")
