"""Rules, redirects and hash policies by the hundred, random ones, beside a real Envoy: which rule a request meets,
where it is sent, and what its hash is.

Envoy answers each rule itself and says in a header which it was. Its hash it tells by the weighted cluster that it
chooses (`use_hash_policy`): none of them has a host, so the answer is a local one, with that cluster's header.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tage.dataplane.native import Random
from tage.dataplane.routing.build import build
from tests.dataplane.routing.requests import request
from tests.e2e.bootstraps import Json, bootstrap, listener
from tests.e2e.ports import LOOPBACK, PATIENCE, free_port, until
from tests.pilot.test_envoy import ENVOY
from tests.sidecar.translate.build import action, translate

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(ENVOY is None, reason="no Envoy: set TAGE_ENVOY, or put `envoy` on PATH or into .tools/bin"),
]

SEED = 20_240_611
HOSTS = ["a.test", "*.b.test", "*.c.b.test", "d.*", "d.e.*", "f.test:81", "*"]
AUTHORITIES = [
    "a.test",
    "A.TEST",
    "x.b.test",
    "x.c.b.test",
    "b.test",
    "d.x",
    "d.e.x",
    "f.test:81",
    "f.test",
    "a.test:80",
]
PATHS = ["/", "/a", "/a/", "/a/b", "/A/b", "/ab", "/b", "/a/b/c", "/abc"]
QUERIES = ["", "?", "?q=1", "?q", "?q=2&q=1", "?a&q=1", "?Q=1", "?q=%31", "?q=a=b"]
VALUES = ["", "1", "a", "A", "ab", "1, 2", "-5", "10", "007"]
METHODS = ["GET", "POST", "DELETE"]
STATUSES = ["MOVED_PERMANENTLY", "FOUND", "SEE_OTHER", "TEMPORARY_REDIRECT", "PERMANENT_REDIRECT"]
SHARES = 61
"""Weighted clusters by which a hash is told: what it leaves when it is divided by their number."""


class Maker:
    """Random rules and requests, the same for one seed."""

    def __init__(self) -> None:
        self.random = random.Random(SEED)

    def string(self) -> Json:
        kind = self.random.choice(["exact", "prefix", "suffix", "contains", "safe_regex"])
        if kind == "safe_regex":
            return {"safe_regex": {"regex": self.random.choice(["a.*", "[0-9]+", ".*", "(?i)A", "|a", "1|2"])}}
        value = self.random.choice([each for each in VALUES if each or kind == "exact"])
        return {kind: value, "ignore_case": self.random.random() < 0.3}

    def header(self) -> Json:
        found: Json = {"name": self.random.choice(["x-a", "X-B", ":method", ":path", "host"])}
        kind = self.random.randrange(4)
        if kind == 0:
            found["present_match"] = self.random.random() < 0.5
        elif kind == 1:
            found["range_match"] = {"start": self.random.randrange(-10, 5), "end": self.random.randrange(5, 20)}
        else:
            found["string_match"] = self.string()
        if self.random.random() < 0.3:
            found["invert_match"] = True
        if kind and self.random.random() < 0.3:
            found["treat_missing_header_as_empty"] = True
        return found

    def query(self) -> Json:
        kind = self.random.randrange(3)
        if kind == 0:
            return {"name": "q"}
        if kind == 1:
            return {"name": "q", "present_match": self.random.random() < 0.5}
        return {"name": "q", "string_match": self.string()}

    def match(self) -> Json:
        kind = self.random.choice(["prefix", "path", "safe_regex", "path_separated_prefix"])
        if kind == "safe_regex":
            found: Json = {kind: {"regex": self.random.choice(["/a.*", "/[ab]+", ".*b", "/(?i)AB?", "/a/b|/b"])}}
        elif kind == "path_separated_prefix":
            found = {kind: self.random.choice(["/a", "/a/b", "/A"])}
        else:
            found = {kind: self.random.choice(PATHS)}
        if kind != "safe_regex" and self.random.random() < 0.2:
            found["case_sensitive"] = False
        found["headers"] = [self.header() for _ in range(self.random.choice([0, 1, 1, 2]))]
        found["query_parameters"] = [self.query() for _ in range(self.random.choice([0, 0, 1]))]
        return found

    def redirect(self) -> Json:
        found: Json = {"response_code": self.random.choice(STATUSES)}
        for field, value in (("host_redirect", "new.test"), ("port_redirect", 8443), ("strip_query", True)):
            if self.random.random() < 0.4:
                found[field] = value
        scheme = self.random.choice([{}, {"https_redirect": True}, {"scheme_redirect": "https"}])
        rewrite = {"pattern": {"regex": "/([^/]*)"}, "substitution": r"/<\1>"}
        path = self.random.choice(
            [
                {},
                {"path_redirect": "/p"},
                {"path_redirect": "/p?r=1"},
                {"prefix_rewrite": "/x"},
                {"regex_rewrite": rewrite},
            ]
        )
        return {**found, **scheme, **path}

    def rule(self, name: str) -> Json:
        answered: Json = {"direct_response": {"status": 200}}
        if self.random.random() < 0.3:
            answered = {"redirect": self.redirect()}
        marked = [{"header": {"key": "x-route", "value": name}}]
        return {"name": name, "match": self.match(), "response_headers_to_add": marked, **answered}

    def virtual_hosts(self) -> list[Json]:
        """Every other one with so many rules that it gets an index."""
        return [
            {
                "name": domain,
                "domains": [domain],
                "routes": [self.rule(f"{number}.{i}") for i in range(12 if number % 2 else 60)],
            }
            for number, domain in enumerate(HOSTS)
        ]

    def request(self) -> tuple[str, str, str, list[tuple[str, str]]]:
        names = [name for name in ("x-a", "X-A", "x-b") if self.random.random() < 0.5]
        headers = [(name, self.random.choice(VALUES)) for name in names]
        path = self.random.choice(PATHS) + self.random.choice(QUERIES)
        return self.random.choice(METHODS), path, self.random.choice(AUTHORITIES), headers


@contextlib.contextmanager
def envoy(directory: Path, virtual_hosts: list[Json], **fields: Any) -> Iterator[int]:
    """The port of a listener with these."""
    assert ENVOY is not None
    port, admin = free_port(), free_port()
    file = directory / "envoy.json"
    config = listener("l", port, virtual_hosts)
    config["filter_chains"][0]["filters"][0]["typed_config"]["route_config"].update(fields)
    nobody = [{"name": f"c{i}", "type": "STATIC", "load_assignment": {"cluster_name": f"c{i}"}} for i in range(SHARES)]
    file.write_text(json.dumps(bootstrap(admin, [config], nobody)))
    argv = [ENVOY, "-c", str(file), "--concurrency", "1", "--use-dynamic-base-id", "-l", "error"]
    process = subprocess.Popen(argv)
    try:
        until(lambda: process.poll() is not None or _listens(admin), "Envoy is there")
        assert process.poll() is None, "Envoy has refused the configuration"
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _listens(admin: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, admin, timeout=PATIENCE)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def ask(connection: http.client.HTTPConnection, method: str, path: str, host: str, headers: Any) -> Any:
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in [("host", host), *headers]:
        connection.putheader(name, value)
    connection.endheaders()
    found = connection.getresponse()
    found.read()
    return found


def test_rules_and_redirects(tmp_path: Path) -> None:
    maker = Maker()
    hosts = maker.virtual_hosts()
    table = build(translate("route", {"name": "r", "virtual_hosts": hosts}))
    met = set()
    with envoy(tmp_path, hosts) as port, contextlib.closing(http.client.HTTPConnection(LOOPBACK, port)) as connection:
        for _ in range(3000):
            method, path, host, headers = maker.request()
            found = ask(connection, method, path, host, headers)
            head = request(path, host, method, headers)
            route = table.route(head)
            name = None if route is None else route.name
            assert name == found.getheader("x-route"), (method, path, host, headers)
            if route is not None and route.redirect is not None:
                assert found.status == route.redirect.status
                assert found.getheader("location") == route.location(head).decode(), (path, host)
            met.add(name)
    assert len(met) > 50, "the requests meet too few rules to say much"


POLICIES: list[list[Json]] = [
    [{"header": {"header_name": "X-A"}}],
    [{"header": {"header_name": ":path"}}],
    [{"header": {"header_name": "x-a", "regex_rewrite": {"pattern": {"regex": "[0-9]"}, "substitution": "n"}}}],
    [{"cookie": {"name": "s"}}],
    [{"query_parameter": {"name": "q"}}],
    [{"connection_properties": {"source_ip": True}}],
    [
        {"header": {"header_name": "x-a"}},
        {"query_parameter": {"name": "q"}},
        {"connection_properties": {"source_ip": True}},
    ],
    [{"header": {"header_name": "x-a"}, "terminal": True}, {"connection_properties": {"source_ip": True}}],
    [{"header": {"header_name": "x-a"}}, {"header": {"header_name": "x-a"}}],
]
COOKIES = ["s=1", 's="1"', "a=b; s=2; s=3", "s=", "t=1", "s=a=b"]


def test_hashes(tmp_path: Path) -> None:
    def share(i: int) -> Json:
        return {
            "name": f"c{i}",
            "weight": 1,
            "response_headers_to_add": [{"header": {"key": "x-share", "value": str(i)}}],
        }

    weighted = {"clusters": [share(i) for i in range(SHARES)], "use_hash_policy": True}
    hosts = [
        {
            "name": str(number),
            "domains": [f"{number}.test"],
            "routes": [{"match": {"prefix": "/"}, "route": {"weighted_clusters": weighted, "hash_policy": policy}}],
        }
        for number, policy in enumerate(POLICIES)
    ]
    built = [
        build(translate("route", action(hash_policy=policy))).route(request()).hash_policies for policy in POLICIES
    ]
    maker, there, told = Maker(), 0, set()
    with envoy(tmp_path, hosts) as port, contextlib.closing(http.client.HTTPConnection(LOOPBACK, port)) as connection:
        for i in range(600):
            _, path, _, headers = maker.request()
            if i % 2:
                headers.append(("Cookie", maker.random.choice(COOKIES)))
            number = i % len(POLICIES)
            found = ask(connection, "GET", path, f"{number}.test", headers)
            key = built[number].key(request(path, f"{number}.test", "GET", headers), None, b"127.0.0.1", Random(1))
            if key:
                there += 1
                told.add(key % SHARES)
                assert found.getheader("x-share") == str(key % SHARES), (POLICIES[number], path, headers)
    assert there > 300
    assert len(told) > 15
