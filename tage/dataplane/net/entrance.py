"""What the connections of a listening socket meet, and their way from `accept` to their filter chain.

    accept --> PROXY header? --> ClientHello? --> HTTP, RPC? --> chain --> [TLS handshake] --> connection
               taken off         peeked at        peeked at

The first bytes are looked at with MSG_PEEK before a transport exists, and stay where they are; only a PROXY header is
taken off. How many are needed before another look can tell more is known each time and becomes the socket's
SO_RCVLOWAT, so nobody is woken for less. Bounded in bytes by the parsers, in time by the listener's timeout, in number
by `MAX_INSPECTED` a socket: further connections wait in the kernel.

A listener with one plain chain for every connection skips all of this.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tage.dataplane.net import inspection
from tage.dataplane.net.chains import EVERYTHING, Chain, Facts
from tage.dataplane.net.chains import select as select_chain
from tage.dataplane.net.client_hello import ClientHelloParser
from tage.dataplane.net.errors import Violation
from tage.dataplane.net.greeting import greeting
from tage.dataplane.net.proxy_protocol import ProxyHeaderParser
from tage.dataplane.net.reactor import Reactor
from tage.dataplane.net.timers import Timer, TimerWheel
from tage.dataplane.net.tls import ServerTls
from tage.dataplane.net.tls_transport import attach_tls
from tage.dataplane.net.verdict import Verdict
from tage.dataplane.telemetry.store import StatGroup

MAX_INSPECTED = 1024
"""Connections of one socket whose first bytes, or whose handshakes, are awaited at a time."""
_PEEK = 4096
"""Bytes asked for at least: one look is enough for nearly every ClientHello."""
_AGAIN_MS = 20
"""Until another look where the kernel woke us for less than was asked for (it does when memory is short)."""

NOT_PROXY = Violation("proxy.none", "the connection does not begin with a PROXY protocol header")
NO_CHAIN = Violation("no_filter_chain_match", "no filter chain is for such a connection")


class Entrance:
    """What a listener does with its connections; a new plan replaces it as a whole. Times in ms."""

    def __init__(
        self,
        chains: list[Chain],
        stats: StatGroup,
        default: Chain | None = None,
        *,
        proxy_protocol: bool = False,
        allow_without_proxy: bool = False,
        inspect_tls: bool = False,
        inspect_http: bool = False,
        inspect_protocols: Sequence[inspection.Candidate] = (),
        timeout: int = 15_000,
        continue_on_timeout: bool = False,
        refused: Callable[[Facts, Violation], None] | None = None,
    ) -> None:
        """`inspect_protocols` are looked for in plain connections, in this order, after HTTP. `refused` is told of
        connections that get no chain, for the access log."""
        self.chains = chains
        self.default = default
        self.stats = stats
        self.proxy_protocol = proxy_protocol
        self.allow_without_proxy = allow_without_proxy
        self.inspect_tls = inspect_tls or any(chain.tls is not None for chain in self.all_chains())
        self.inspect_http = inspect_http
        self.inspect_protocols = inspect_protocols
        self.timeout = timeout
        self.continue_on_timeout = continue_on_timeout
        self.refused = refused
        self.direct = self._direct()
        """The one chain that every connection gets as it is, if there is such a one."""

    def all_chains(self) -> Iterator[Chain]:
        yield from self.chains
        if self.default is not None:
            yield self.default

    def _direct(self) -> Chain | None:
        if self.proxy_protocol or self.inspect_tls or self.inspect_http or self.inspect_protocols:
            return None
        every = [chain for chain in self.all_chains() if chain.match == EVERYTHING]
        return every[0] if len(every) == 1 and len(list(self.all_chains())) == 1 else None

    def chain(self, facts: Facts) -> Chain | None:
        return select_chain(self.chains, facts) or self.default


class Arrival(Timer):
    """A connection on its way to its chain. `gone()` is called once, when it has left, one way or another."""

    def __init__(
        self, entrance: Entrance, reactor: Reactor, wheel: TimerWheel, sock: socket.socket, gone: Callable[[], None]
    ) -> None:
        Timer.__init__(self)
        self._entrance = entrance
        self._reactor = reactor
        self._timers = wheel
        self._sock = sock
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._needed = 1
        self._reading = False
        self._looks_again = False
        self._left = False
        self._deadline = 0
        self._tls: Any = None
        """The transport, during the handshake."""
        self._steps = self._inspect()
        self._server_name = ""
        self._transport = "raw_buffer"
        self._protocols: tuple[str, ...] = ()
        self._source: tuple[str, int] | None = None
        self._destination: tuple[str, int] | None = None

    def start(self) -> None:
        if self._entrance.timeout:
            self._deadline = self._timers.now() + self._entrance.timeout
            self._timers.arm(self, self._entrance.timeout)
        self._go_on()

    # -- looking -------------------------------------------------------------------------------------------------------

    def _inspect(self) -> Iterator[int]:
        """Yields how many bytes it takes to go on; at the end the chain's facts are known."""
        entrance = self._entrance
        if entrance.proxy_protocol:
            yield from self._proxy_header()
        if entrance.inspect_tls:
            yield from self._client_hello()
        if (entrance.inspect_http or entrance.inspect_protocols) and self._transport != "tls":
            yield from self._application()

    def _proxy_header(self) -> Iterator[int]:
        parser = ProxyHeaderParser()
        while (verdict := parser.read(self._peek(parser.needed))) == Verdict.MORE:
            yield parser.needed
        if verdict == Verdict.MALFORMED:
            raise _Refused(parser.error)  # type: ignore[arg-type]  # set, with this verdict
        if verdict == Verdict.OTHER:
            if not self._entrance.allow_without_proxy:
                raise _Refused(NOT_PROXY)
            return
        self._sock.recv(parser.size)
        self._source, self._destination = parser.header.source, parser.header.destination

    def _client_hello(self) -> Iterator[int]:
        parser = ClientHelloParser()
        while (verdict := parser.read(self._peek(parser.needed))) == Verdict.MORE:
            yield parser.needed
        if verdict == Verdict.MALFORMED:
            raise _Refused(parser.error)  # type: ignore[arg-type]  # set, with this verdict
        if verdict == Verdict.READY:
            self._transport = "tls"
            self._server_name = parser.hello.server_name
            self._protocols = tuple(name.decode("latin-1") for name in parser.hello.alpn)

    def _application(self) -> Iterator[int]:
        entrance = self._entrance
        data = self._peek(inspection.LIMIT)
        while (found := inspection.application(data, entrance.inspect_http, entrance.inspect_protocols)) is None:
            yield len(data) + 1
            data = self._peek(inspection.LIMIT)
        if found:
            self._protocols = (found,)

    def _peek(self, needed: int) -> bytes:
        try:
            return self._sock.recv(max(needed, _PEEK), socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return b""

    def _go_on(self) -> None:
        """One step further; what goes wrong ends this connection alone."""
        try:
            needed = next(self._steps)
        except StopIteration:
            self._choose()
        except _Refused as refused:
            self._refuse(refused.violation)
        except OSError:
            self._close()  # the client went away
        else:
            self._wait(needed)

    def _wait(self, needed: int) -> None:
        self._needed = needed
        if len(self._peek(needed)) >= needed:  # it came meanwhile
            self._loop.call_soon(self._ready)
        elif self._ended():
            self._missing()
        else:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, needed)
            if not self._reading:
                self._reading = True
                self._loop.add_reader(self._sock.fileno(), self._ready)

    def _ready(self) -> None:
        if self._left:
            return
        if len(self._peek(self._needed)) < self._needed and not self._ended():
            # Woken early. Level-triggered, that would go on and on: another look a little later.
            self._stop_reading()
            self._looks_again = True
            self._timers.arm(self, _AGAIN_MS)
            return
        self._go_on()

    def _ended(self) -> bool:
        """The client sends no more, or is gone."""
        poll = select.poll()
        poll.register(self._sock.fileno(), select.POLLRDHUP)
        return bool(poll.poll(0))

    def _missing(self) -> None:
        """What is awaited will not come. Some clients end their side at once and wait for what the server has to say:
        without a PROXY header to miss, those are taken for what they are."""
        if self._entrance.proxy_protocol and self._source is None:
            self._close()
        elif self._peek(1):
            self._choose()
        else:
            self._close()

    def expire(self) -> None:
        if self._tls is not None:
            self._tls.abort()  # the handshake takes too long
            return
        left = self._deadline - self._timers.now()
        if self._looks_again and (left > 0 or not self._deadline):
            self._looks_again = False
            if left > 0:
                self._timers.arm(self, left)
            self._go_on()
            return
        self._entrance.stats.count("downstream_pre_cx_timeout", 1)
        if self._entrance.continue_on_timeout:
            self._choose()
        else:
            self._close()

    # -- the end of it -------------------------------------------------------------------------------------------------

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._sock.fileno())

    def _facts(self) -> Facts:
        source, destination = _pair(self._sock.getpeername()), _pair(self._sock.getsockname())
        return Facts(
            self._destination or destination,
            self._source or source,
            source,
            self._server_name,
            self._transport,
            self._protocols,
        )

    def _choose(self) -> None:
        self._leave()
        try:
            facts = self._facts()
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        except OSError:
            self._close()
            return
        chain = self._entrance.chain(facts)
        if chain is None:
            self._entrance.stats.count("no_filter_chain_match", 1)
            self._refuse(NO_CHAIN, facts)
            return
        connection = chain.make()
        if self._source is not None:
            connection.set_addresses(facts.source, facts.destination)
        connection.server_name = facts.server_name or None
        if chain.tls is None:
            self._gone()
            self._reactor.attach(self._sock, connection)
        else:
            self._handshake(chain.tls, chain, connection, facts.server_name)

    def _handshake(self, tls: ServerTls, chain: Chain, connection: Any, server_name: str) -> None:
        self._timers.arm(self, chain.handshake_timeout)
        greet = greeting(tls.trust, self._entrance.stats, self._handshaken)
        try:
            self._tls = attach_tls(
                self._reactor, self._sock, connection, tls.context(server_name), greet, server=True
            )
        except OSError:
            self._close()  # the client went away

    def _handshaken(self, reason: str) -> None:
        self._timers.disarm(self)
        self._gone()

    def _refuse(self, violation: Violation, facts: Facts | None = None) -> None:
        self._entrance.stats.count("downstream_cx_refused", 1)
        if self._entrance.refused is not None:
            try:
                self._entrance.refused(facts or self._facts(), violation)
            except OSError:
                pass  # it is gone, and so are its addresses
        self._close()

    def _leave(self) -> None:
        """Nothing more is looked at."""
        self._left = True
        self._stop_reading()
        self._timers.disarm(self)

    def _close(self) -> None:
        self._leave()
        self._sock.close()
        self._gone()


def _pair(address: Any) -> tuple[str, int]:
    return str(address[0]), int(address[1])


class _Refused(Exception):
    def __init__(self, violation: Violation) -> None:
        super().__init__(violation.reason)
        self.violation = violation
