"""What is decided when a handshake is done, or has failed; the same for both sides of the proxy."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

from tage.dataplane.net.tls import Trust, words
from tage.dataplane.telemetry.store import StatGroup


def greeting(trust: Trust | None, stats: StatGroup, done: Callable[[str], None]) -> Callable[[Any, Any], bool]:
    """The `greet` of a `TlsTransport`: turns away whom `trust` does not expect, and counts. `done` is told why there is
    no connection; empty: there is one."""

    def greet(transport: Any, error: OSError | None) -> bool:
        if error is not None:
            _count(error, stats)
            done(_reason(error))
            return False
        stats.count("ssl.handshake", 1)
        reason = trust.refusal(transport.tls()) if trust is not None else ""
        if reason:
            stats.count("ssl.fail_verify_san", 1)
        done(reason)
        return not reason

    return greet


def _count(error: OSError, stats: StatGroup) -> None:
    stats.count("ssl.connection_error", 1)
    if isinstance(error, ssl.SSLCertVerificationError):
        stats.count("ssl.fail_verify_error", 1)
    elif isinstance(error, ssl.SSLError) and error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        stats.count("ssl.fail_verify_no_cert", 1)


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return words(error)
    return error.strerror or "the connection was closed"
