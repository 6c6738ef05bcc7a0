"""Routes that lead back to the sidecar they are in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.backend import Backend
from tests.e2e.bootstraps import bootstrap, cluster, listener, route, virtual_host
from tests.e2e.ports import free_port
from tests.e2e.sidecar import sidecar
from tests.e2e.wire import Client

pytestmark = [pytest.mark.processes, pytest.mark.uncompiled]

RETRIES = {"retry_policy": {"retry_on": "5xx,connect-failure", "num_retries": 2}}


def test_loops(tmp_path: Path) -> None:
    backend = Backend()
    a, b = free_port(), free_port()
    try:
        content = bootstrap(
            free_port(),
            [
                listener(
                    "a",
                    a,
                    [
                        virtual_host("one", route("a", **RETRIES)),
                        virtual_host("two", route("b", **RETRIES)),
                        virtual_host("app", route("app")),
                    ],
                ),
                listener("b", b, [virtual_host("two", route("a", **RETRIES)), virtual_host("app", route("a"))]),
            ],
            [cluster("a", a), cluster("b", b), cluster("app", backend.port)],
        )
        with sidecar(tmp_path, content) as running:
            worker = running.worker
            for host, a_requests, b_requests in (("one", 11, 0), ("two", 6, 5)):
                before = running.stats()
                with Client(a) as client:
                    assert client.get(host).status == 508
                after = running.stats()
                for name, requests in (("a", a_requests), ("b", b_requests)):
                    counter = f"listener.{name}.downstream_rq_total"
                    assert after[counter] - before[counter] == requests
            with Client(b) as client:
                assert client.get("app").status == 200
            (request,) = backend.requests
            assert request.headers["x-tage-hops"] == "1"
            assert running.worker == worker
    finally:
        backend.close()
