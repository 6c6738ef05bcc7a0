"""How the parsers of a connection's first bytes are asked in tests: with growing prefixes, as MSG_PEEK would show them.

Every way to ask must end in the same verdict, and `needed` must be kept: a shorter prefix tells nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from tage.dataplane.net.client_hello import ClientHelloParser
from tage.dataplane.net.proxy_protocol import ProxyHeaderParser
from tage.dataplane.net.verdict import Verdict

MORE = Verdict.MORE


P = TypeVar("P", ClientHelloParser, ProxyHeaderParser)


def ask(parser: P, prefixes: Iterable[bytes]) -> int:
    """The last verdict. Checks that it is final, and that `needed` told the truth."""
    verdict: int = MORE
    for prefix in prefixes:
        needed = parser.needed
        before, verdict = verdict, parser.read(prefix)
        assert isinstance(verdict, int)
        if before != MORE:
            assert verdict == before, "a verdict is final"
        elif len(prefix) < needed:
            assert verdict == MORE, "decided with less than was needed"
        if verdict == MORE:
            assert parser.needed > len(prefix), "asks for what it has"
    assert (parser.error is not None) == (verdict == Verdict.MALFORMED)
    return verdict


def whole(make: Callable[[], P], wire: bytes) -> tuple[int, P]:
    parser = make()
    return ask(parser, [wire]), parser


def bytewise(make: Callable[[], P], wire: bytes, step: int = 1) -> tuple[int, P]:
    """The empty prefix, then one byte more each time."""
    parser = make()
    ends = [*range(0, len(wire), step), len(wire)]
    return ask(parser, (wire[:end] for end in ends)), parser


def as_needed(make: Callable[[], P], wire: bytes) -> tuple[int, P]:
    """As with SO_RCVLOWAT: asked only with as many bytes as were wanted."""
    parser = make()
    verdict: int = MORE
    while verdict == MORE and parser.needed <= len(wire):
        verdict = ask(parser, [wire[: parser.needed]])
    return verdict, parser


def in_two(make: Callable[[], P], wire: bytes, at: int) -> tuple[int, P]:
    parser = make()
    return ask(parser, [wire[:at], wire]), parser
