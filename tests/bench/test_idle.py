"""Idle connections: all are held, those that the server ends are counted, and the growth is a proxy's own."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator

import pytest

from bench import idle, idle_report, tables
from bench.idle import Held, IdleFigures, IdleRowFigures
from bench.load import hold
from bench.processes import BenchError, Process
from bench.rows import Goal, IdleRow

BODY = "x" * 100
REQUEST = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
ANSWER = f"HTTP/1.1 200 OK\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}".encode()
HOST = {"cpu": "c", "cores": 2, "kernel": "k", "python": "3", "date": "2026-01-01", "busy_before": 0.01}


class Server:
    """Answers one request on each connection, and keeps them."""

    def __init__(self, answer: bytes = ANSWER) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.kept: list[socket.socket] = []
        self.clients: set[str] = set()
        self._answer = answer
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(5)
        for connection in self.kept:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, (address, _) = self._listener.accept()
            except OSError:
                return
            self.kept.append(connection)
            self.clients.add(address)
            connection.recv(4096)
            connection.sendall(self._answer)


@pytest.fixture
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.close()


def test_all_are_held_from_several_addresses(server):
    held = hold.hold(hold.Plan(server.port, 50, REQUEST, BODY))
    assert len(held) == len(server.kept) == 50
    assert len(server.clients) == hold.SOURCES
    assert hold.closed(held) == 0
    for sock in held:
        sock.close()


def test_ended_ones_are_counted(server):
    held = hold.hold(hold.Plan(server.port, 10, REQUEST, BODY))
    for connection in server.kept[:3]:
        connection.shutdown(socket.SHUT_RDWR)
    server.kept[3].sendall(b"unasked")
    assert hold.closed(held) == 4
    for sock in held:
        sock.close()


def test_a_wrong_answer_is_an_error():
    server = Server(b"HTTP/1.1 503 No\r\nContent-Length: 100\r\n\r\n" + b"x" * 100)
    with pytest.raises(OSError, match="connection 0: another answer"):
        hold.hold(hold.Plan(server.port, 10, REQUEST, BODY))
    server.close()


@pytest.mark.processes
def test_what_the_holder_says_at_its_end_is_read(server, tmp_path):
    plan = f'{{"port": {server.port}, "connections": 5, "request": "{REQUEST!s}", "body": "{BODY}"}}'
    argv = [sys.executable, "-m", "bench.load.hold", plan.replace("\r\n", "\\r\\n")]
    with Process("hold", argv, tmp_path / "log", min(os.sched_getaffinity(0))) as holder:
        idle.wait_for(lambda: "holds 5" in holder.log_tail(), 30, "the connections", holder)
        server.kept[0].shutdown(socket.SHUT_RDWR)
    assert idle.closed_of(holder) == 1


@pytest.mark.processes
def test_a_holder_that_failed_is_an_error(tmp_path):
    with Process("hold", [sys.executable, "-c", "print('closed 0'); exit(1)"], tmp_path / "log", 0) as holder:
        idle.wait_for(holder.ended, 20, "its end")
    with pytest.raises(BenchError, match="status 1"):
        idle.closed_of(holder)


@pytest.fixture
def figures() -> IdleRowFigures:
    row = IdleRow("idle-10k", "Memory", 1024, (), "idle.md", (Goal("envoy", 1.0),))
    proxies = [
        IdleFigures("tage", "1", Held(50, 60), Held(51, 81)),
        IdleFigures("envoy", "2", Held(60, 80), Held(60, 80), failures=1),
    ]
    return IdleRowFigures(row, proxies, ["nginx"])


def test_the_page_has_growth_and_goals(figures, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    page = idle_report.write_page(figures, HOST).read_text()
    assert "| tage | 1 | 50.0 | 60.0 | 10.00 | 0.50 | 51.0 | 81.0 | 30.00 | 1.50 | 0 |" in page
    assert "plain: at most 1.00 of Envoy's growth; measured 0.50: met" in page
    assert "TLS: at most 1.00 of Envoy's growth; measured 1.50: missed" in page
    assert "left out: nginx" in page


def test_json_has_the_shared_fields(figures):
    first, second = idle_report.as_rows(figures)
    assert {"work", "proxy", "cpu_us_per_request", "rps", "p50_us", "p99_us", "rss_mb"} <= first.keys()
    assert (first["growth_mb"], first["tls_growth_mb"], first["rss_mb"]) == (10, 30, 60)
    assert second["failures"] == figures.failures == 1
