"""ledger conforms, and Tage reads in its frames what was written: `python -m pytest test_ledger.py`."""

import ledger_wire as wire
import pytest
from ledger import Ledger

from tage.xprotocol_testing import CHECKS, conformance, read


@pytest.mark.parametrize("check", CHECKS)
def test_conformance(check):
    conformance(Ledger(), [check]).verify()


def test_a_request_is_read():
    request = wire.Message(wire.REQUEST, 7, b"accounts", b"echo", {b"user": b"ann"}, b"hello", 250)
    [seen] = read(Ledger(), wire.encode(request))
    assert (seen.kind.name, seen.id, seen.timeout) == ("REQUEST", 7, 250)
    assert (seen.service, seen.method) == (b"accounts", b"echo")
    assert seen.headers == [(b"user", b"ann")]


def test_a_response_is_read():
    response = wire.Message(wire.RESPONSE, 7, b"", b"", {}, b"too late", wire.TIMED_OUT)
    [seen] = read(Ledger(), wire.encode(response))
    assert (seen.kind.name, seen.id, seen.status) == ("RESPONSE", 7, 504)
