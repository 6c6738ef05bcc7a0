"""Faults, CORS and local rate limits, the same requests to Tage and to an Envoy with the same configuration: the same
answers, the same headers of these filters, the same requests at the backend, the same statistics."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.e2e.backend import Answer, Backend, Request
from tests.e2e.bootstraps import Json, bootstrap, cluster, listener, route, virtual_host
from tests.e2e.ports import LOOPBACK, PATIENCE, free_port, until
from tests.e2e.sidecar import Sidecar, sidecar
from tests.pilot.test_envoy import ENVOY

pytestmark = pytest.mark.processes

TYPE = "type.googleapis.com/envoy.extensions.filters.http"
FAULT, CORS, LIMIT = "envoy.filters.http.fault", "envoy.filters.http.cors", "envoy.filters.http.local_ratelimit"
ALL = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
TOLD = ("access-control-", "x-ratelimit-", "x-local-", "x-limited")


def fault(**fields: Any) -> Json:
    return {"@type": f"{TYPE}.fault.v3.HTTPFault", **fields}


def cors(**fields: Any) -> Json:
    return {"@type": f"{TYPE}.cors.v3.CorsPolicy", **fields}


def limit(tokens: int, **fields: Any) -> Json:
    """Tokens that do not come back within the test."""
    return {
        "@type": f"{TYPE}.local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "limited",
        "token_bucket": {"max_tokens": tokens, "tokens_per_fill": 1, "fill_interval": "3600s"},
        "filter_enabled": ALL,
        "filter_enforced": ALL,
        **fields,
    }


def rule(prefix: str, **settings: Json) -> Json:
    """`settings` by filter: fault, cors, limit."""
    names = {"fault": FAULT, "cors": CORS, "limit": LIMIT}
    return {**route("app", prefix), "typed_per_filter_config": {names[key]: value for key, value in settings.items()}}


def config(admin: int, port: int, backend: int) -> Json:
    always = {"numerator": 100, "denominator": "HUNDRED"}
    here = [{"exact": "https://a.test"}, {"safe_regex": {"regex": r"https://[a-z]+\.b\.test"}}]
    ratio = {"headers": [{"name": "x-user", "string_match": {"exact": "jason"}}]}
    by_user = [{"actions": [{"request_headers": {"header_name": "x-user", "descriptor_key": "user"}}]}]
    bucket = {"max_tokens": 1, "tokens_per_fill": 1, "fill_interval": "3600s"}
    routes = [
        rule("/abort", fault=fault(abort={"http_status": 418, "percentage": always})),
        rule("/jason", fault=fault(abort={"http_status": 500, "percentage": always}, **ratio)),
        rule("/delay", fault=fault(delay={"fixed_delay": "0.3s", "percentage": always})),
        rule(
            "/both",
            fault=fault(
                delay={"fixed_delay": "0.3s", "percentage": always},
                abort={"http_status": 503, "percentage": always},
            ),
        ),
        rule("/header-abort", fault=fault(abort={"header_abort": {}, "percentage": always})),
        rule("/header-delay", fault=fault(delay={"header_delay": {}, "percentage": always})),
        rule(
            "/cors-full",
            cors=cors(
                allow_origin_string_match=here,
                allow_methods="GET, PUT",
                allow_headers="x-a, x-b",
                expose_headers="x-e",
                max_age="600",
                allow_credentials=True,
                allow_private_network_access=True,
            ),
        ),
        rule("/cors-stars", cors=cors(allow_origin_string_match=here, allow_methods="*", allow_headers="*")),
        rule(
            "/cors-strict",
            cors=cors(
                allow_origin_string_match=here,
                allow_methods="GET",
                allow_credentials=True,
                forward_not_matching_preflights=False,
            ),
        ),
        rule("/cors-any", cors=cors(allow_origin_string_match=[{"prefix": "*"}])),
        rule("/cors-off", cors=cors(allow_origin_string_match=here, filter_enabled={"default_value": {}})),
        rule(
            "/cors-shadow",
            cors=cors(allow_origin_string_match=here, filter_enabled={"default_value": {}}, shadow_enabled=ALL),
        ),
        rule("/cors-partly", cors=cors(max_age="5")),
        rule("/limit-plain", limit=limit(3)),
        rule(
            "/limit-told",
            limit=limit(
                2,
                enable_x_ratelimit_headers="DRAFT_VERSION_03",
                status={"code": 503},
                response_headers_to_add=[{"header": {"key": "x-limited", "value": "yes"}}],
            ),
        ),
        rule(
            "/limit-soft",
            limit=limit(
                1,
                filter_enforced={"default_value": {}},
                request_headers_to_add_when_not_enforced=[{"header": {"key": "x-over", "value": "yes"}}],
            ),
        ),
        rule(
            "/limit-user",
            limit=limit(
                6,
                descriptors=[
                    {"entries": [{"key": "user", "value": "ann"}], "token_bucket": {**bucket, "max_tokens": 2}},
                    {"entries": [{"key": "user"}], "token_bucket": bucket},
                ],
                rate_limits=by_user,
            ),
        ),
    ]
    host = virtual_host("*", *routes)
    host["typed_per_filter_config"] = {CORS: cors(allow_origin_string_match=[{"exact": "https://host.test"}])}
    off = {"typed_config": {"@type": f"{TYPE}.local_ratelimit.v3.LocalRateLimit", "stat_prefix": "none"}}
    filters = [
        {"name": CORS, "typed_config": {"@type": f"{TYPE}.cors.v3.Cors"}},
        {"name": FAULT, "typed_config": {"@type": f"{TYPE}.fault.v3.HTTPFault"}},
        {"name": LIMIT, **off},
        {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{TYPE}.router.v3.Router"}},
    ]
    return bootstrap(admin, [listener("web", port, [host], http_filters=filters)], [cluster("app", backend)])


class Ask(NamedTuple):
    path: str
    headers: dict[str, str] = {}
    method: str = "GET"


class Got(NamedTuple):
    status: int
    told: dict[str, str]
    """What these filters say in the answer's head."""
    text: str
    """Of an answer that the proxy made."""
    asked: dict[str, str] | None
    """What the backend saw: x-over and its like; None where it was not asked."""


def preflight(path: str, origin: str = "https://a.test", **headers: str) -> Ask:
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return Ask(path, {"origin": origin, "access-control-request-method": "PUT", **more}, "OPTIONS")


ABORT, ABORT_SHARE = "x-envoy-fault-abort-request", "x-envoy-fault-abort-request-percentage"
DELAY = "x-envoy-fault-delay-request"
ASKS = [
    Ask("/abort"),
    Ask("/jason"),
    Ask("/jason", {"x-user": "jason"}),
    Ask("/delay"),
    Ask("/both"),
    Ask("/header-abort"),
    Ask("/header-abort", {ABORT: "429"}),
    Ask("/header-abort", {ABORT: "99"}),
    Ask("/header-abort", {ABORT: "600"}),
    Ask("/header-abort", {ABORT: "429", ABORT_SHARE: "0"}),
    Ask("/header-abort", {ABORT: "429", ABORT_SHARE: "100"}),
    Ask("/header-abort", {ABORT: "429", ABORT_SHARE: "none"}),
    Ask("/header-delay", {DELAY: "200"}),
    Ask("/header-delay", {DELAY: "0"}),
    Ask("/header-delay", {DELAY: "soon"}),
    *(
        ask
        for path in ("/cors-full", "/cors-stars", "/cors-strict", "/cors-any", "/cors-off", "/cors-shadow")
        for ask in (
            Ask(path),
            Ask(path, {"origin": "https://a.test"}),
            Ask(path, {"origin": "https://x.b.test"}),
            Ask(path, {"origin": "https://x.b.test.evil"}),
            Ask(path, {"origin": "https://a.test"}, "OPTIONS"),
            preflight(path),
            preflight(path, "https://c.test"),
            preflight(path, access_control_request_headers="x-a,x-c"),
            preflight(path, access_control_request_private_network="true"),
        )
    ),
    Ask("/cors-partly", {"origin": "https://host.test"}),
    preflight("/cors-partly", "https://host.test"),
    Ask("/other", {"origin": "https://host.test"}),
    *[Ask("/limit-plain")] * 5,
    *[Ask("/limit-told")] * 4,
    *[Ask("/limit-soft")] * 3,
    *[Ask("/limit-user", {"x-user": "ann"})] * 3,
    *[Ask("/limit-user", {"x-user": "bob"})] * 2,
    *[Ask("/limit-user", {"x-user": "cid"})] * 2,
    *[Ask("/limit-user")] * 4,
]
SLOW = {"/delay": 0.3, "/both": 0.3}


@contextlib.contextmanager
def envoy(directory: Path, written: Json) -> Iterator[None]:
    assert ENVOY is not None
    file = directory / "envoy.json"
    file.write_text(json.dumps(written))
    process = subprocess.Popen([ENVOY, "-c", str(file), "--use-dynamic-base-id", "-l", "error"])
    try:
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


class Asker:
    """One proxy, asked in order."""

    def __init__(self, port: int, backend: Backend) -> None:
        self._port = port
        self._backend = backend

    def ready(self) -> bool:
        try:
            return self(Ask("/ready")).status == 404
        except OSError:
            return False

    def __call__(self, ask: Ask) -> Got:
        seen: list[Request] = []

        def handler(request: Request) -> Answer:
            seen.append(request)
            return Answer(body=b"served")

        self._backend.handler = handler
        connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=PATIENCE)
        began = time.monotonic()
        try:
            connection.request(ask.method, ask.path, headers=ask.headers)
            answer = connection.getresponse()
            body = answer.read().decode()
        finally:
            connection.close()
        took = time.monotonic() - began
        assert took >= SLOW.get(ask.path, 0), took
        told = {name.lower(): value for name, value in answer.getheaders() if name.lower().startswith(TOLD)}
        told.pop("x-ratelimit-reset", None)  # seconds of an hour: they pass
        asked = {k: v for k, v in seen[0].headers.items() if k == "x-over"} if seen else None
        of_filter = not seen and answer.status != 404  # where no route is Envoy says nothing, Tage why
        return Got(answer.status, told, body.strip() if of_filter else "", asked)


def shown(stats: dict[str, int]) -> dict[str, int]:
    kinds = (".fault.", ".cors.", "http_local_rate_limit.")
    return {name: value for name, value in stats.items() if any(kind in name for kind in kinds) and value}


def envoy_stats(admin: int) -> dict[str, int]:
    connection = http.client.HTTPConnection(LOOPBACK, admin, timeout=PATIENCE)
    try:
        connection.request("GET", "/stats?format=json")
        found = json.loads(connection.getresponse().read())["stats"]
    finally:
        connection.close()
    return {each["name"]: each["value"] for each in found if "name" in each and isinstance(each.get("value"), int)}


@pytest.mark.skipif(ENVOY is None, reason="no Envoy: set TAGE_ENVOY, or put `envoy` on PATH or into .tools/bin")
def test_the_same_as_envoy(tmp_path: Path) -> None:
    with contextlib.closing(Backend()) as backend:
        ours, our_admin, theirs, their_admin = (free_port() for _ in range(4))
        with (
            sidecar(tmp_path, config(our_admin, ours, backend.port)) as tage,
            envoy(tmp_path, config(their_admin, theirs, backend.port)),
        ):
            us, them = Asker(ours, backend), Asker(theirs, backend)
            until(them.ready, "Envoy answers")
            until(us.ready, "the sidecar answers")
            for ask in ASKS:
                got, expected = us(ask), them(ask)
                assert got == expected, ask
            expected_stats = shown(envoy_stats(their_admin))
            until(lambda: shown(tage.stats()) == expected_stats, f"the same statistics: {expected_stats}")
            assert len(expected_stats) >= 8


def status(port: int) -> int:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PATIENCE)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


@contextlib.contextmanager
def limited(tmp_path: Path, backend: Backend, tokens: int, *options: str) -> Iterator[tuple[int, Sidecar]]:
    admin, port = free_port(), free_port()
    filters = [
        {"name": LIMIT, "typed_config": limit(tokens)},
        {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{TYPE}.router.v3.Router"}},
    ]
    listeners = [listener("web", port, [virtual_host("*", route("app"))], http_filters=filters)]
    with sidecar(tmp_path, bootstrap(admin, listeners, [cluster("app", backend.port)]), *options) as running:
        yield port, running


def workers(running: Sidecar) -> list[int]:
    return [pid for pid, words in running.family().items() if words[1:3] == ["-m", "tage.sidecar.worker"]]


def test_a_limit_holds_for_all_workers_together_and_outlives_one(tmp_path: Path) -> None:
    with contextlib.closing(Backend()) as backend, limited(tmp_path, backend, 40, "--workers", "2") as (port, running):
        answers = [status(port) for _ in range(30)]
        assert answers == [200] * 30
        former = workers(running)
        os.kill(former[0], signal.SIGKILL)
        until(lambda: len(workers(running)) == 2 and former[0] not in workers(running), "a new worker")
        answers = []
        while len(answers) < 60:
            with contextlib.suppress(OSError, http.client.HTTPException):
                answers.append(status(port))
        assert 9 <= answers.count(200) <= 10
        assert answers[-20:] == [429] * 20


def test_two_workers_under_load_give_out_what_one_would(tmp_path: Path) -> None:
    """At no moment more than the burst and the rate times the time since the first request."""
    admin, port = free_port(), free_port()
    rate = {"max_tokens": 50, "tokens_per_fill": 100, "fill_interval": "1s"}
    filters = [
        {"name": LIMIT, "typed_config": limit(1, token_bucket=rate)},
        {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{TYPE}.router.v3.Router"}},
    ]
    direct = {"match": {"prefix": "/"}, "direct_response": {"status": 200}}
    listeners = [listener("web", port, [virtual_host("*", direct)], http_filters=filters)]
    admitted: list[float] = []
    refused = [0]

    def load(until_: float) -> None:
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PATIENCE)
        while time.monotonic() < until_:
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                admitted.append(time.monotonic())
            else:
                assert answer.status == 429
                refused[0] += 1
        connection.close()

    with sidecar(tmp_path, bootstrap(admin, listeners, []), "--workers", "2"):
        began = time.monotonic()
        threads = [threading.Thread(target=load, args=(began + 3,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    for count, at in enumerate(sorted(admitted), 1):
        assert count <= 50 + 100 * (at - began) + 2
    assert len(admitted) >= 50 + 100 * 2  # while there is load for all that there is
    assert refused[0] > len(admitted)
