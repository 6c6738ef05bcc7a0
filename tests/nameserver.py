"""A DNS server on loopback, UDP and TCP on one port, whose answers a test changes as it goes."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from types import TracebackType

from dnslib import AAAA, CNAME, QTYPE, RCODE, RR, A, DNSRecord

LOOPBACK = "127.0.0.1"


class Nameserver:
    """As a context. Names without records do not exist (NXDOMAIN); those with records of another type only are empty.

    What is set here may be changed at any time, from any thread.
    """

    def __init__(self) -> None:
        self.addresses: dict[str, list[str]] = {}
        """IPv4 and IPv6, by name without the last dot."""
        self.aliases: dict[str, tuple[str, int]] = {}
        """Name -> canonical name and the alias' TTL."""
        self.ttl = 60
        self.failure = ""
        """SERVFAIL, REFUSED, ...: what every question is answered; `silent`: nothing is."""
        self.failing_types: set[str] = set()
        """Narrows `failure` to these types of question, A or AAAA."""
        self.truncate = False
        """Over UDP: an empty answer that says it is truncated."""
        self.asked: list[tuple[str, str, str]] = []
        """Name, type, udp or tcp; in order."""
        self._tcp, self._udp = _sockets()
        self.address, self.port = self._udp.getsockname()
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._serve_udp, self._serve_tcp)]

    def count(self, name: str = "") -> int:
        return sum(1 for asked, _, _ in list(self.asked) if not name or asked == name)

    def __enter__(self) -> Nameserver:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._udp.sendto(b"", self._udp.getsockname())  # wakes the thread, which a close does not
        self._tcp.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()
        self._udp.close()
        self._tcp.close()

    def _serve_udp(self) -> None:
        while True:
            data, peer = self._udp.recvfrom(4096)
            if not data:
                return
            answer = self._answer(data, "udp")
            if answer:
                self._udp.sendto(answer, peer)

    def _serve_tcp(self) -> None:
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:  # shut down
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(10)
                reader = connection.makefile("rb")
                while size := reader.read(2):
                    answer = self._answer(reader.read(*struct.unpack("!H", size)), "tcp")
                    connection.sendall(struct.pack("!H", len(answer)) + answer)

    def _answer(self, data: bytes, transport: str) -> bytes:
        question = DNSRecord.parse(data)
        name, kind = str(question.q.qname).rstrip(".").lower(), QTYPE[question.q.qtype]
        self.asked.append((name, kind, transport))
        reply = question.reply()
        failure = self.failure if not self.failing_types or kind in self.failing_types else ""
        if failure == "silent":
            return b""
        if failure:
            reply.header.rcode = getattr(RCODE, failure)
        elif self.truncate and transport == "udp":
            reply.header.tc = 1
        else:
            self._records(reply, name, kind)
        return bytes(reply.pack())

    def _records(self, reply: DNSRecord, name: str, kind: str) -> None:
        if name in self.aliases:
            target, ttl = self.aliases[name]
            reply.add_answer(RR(name, QTYPE.CNAME, rdata=CNAME(target), ttl=ttl))
            name = target
        if name not in self.addresses:
            reply.header.rcode = RCODE.NXDOMAIN
        for address in self.addresses.get(name, []):
            if (":" in address) == (kind == "AAAA"):
                data = AAAA(address) if kind == "AAAA" else A(address)
                reply.add_answer(RR(name, getattr(QTYPE, kind), rdata=data, ttl=self.ttl))


def _sockets() -> tuple[socket.socket, socket.socket]:
    """TCP and UDP on one free port."""
    for _ in range(100):
        tcp = socket.create_server((LOOPBACK, 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(tcp.getsockname())
            return tcp, udp
        except OSError:  # another's
            tcp.close()
            udp.close()
    raise AssertionError("no port is free for both")
