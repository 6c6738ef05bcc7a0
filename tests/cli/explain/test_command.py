"""The command: where the configuration comes from, what is printed, the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tage.cli import main
from tests.e2e import bootstraps


@pytest.fixture
def bootstrap(tmp_path: Path) -> str:
    rules = [
        {"name": "beta", "match": {"prefix": "/", "headers": [_header("x-user", prefix="test-")]}, "route": _to("a")},
        {"name": "old", "match": {"prefix": "/old"}, "route": {**_to("a"), "prefix_rewrite": "/new"}},
        {"name": "hi", "match": {"path": "/hi"}, "direct_response": {"status": 200}},
        {"name": "lost", "match": {"path": "/lost"}, "route": _to("none")},
    ]
    host = {"name": "v", "domains": ["reviews"], "routes": rules}
    named = bootstraps.cluster("names", 80, host="example.test", type="STRICT_DNS")
    content = bootstraps.bootstrap(
        19001, [bootstraps.listener("web", 19002, [host])], [bootstraps.cluster("a", 19003), named]
    )
    file = tmp_path / "envoy.json"
    file.write_text(json.dumps(content))
    return str(file)


def _header(name: str, **value: str) -> dict[str, object]:
    return {"name": name, "string_match": value}


def _to(cluster: str) -> dict[str, object]:
    return {"cluster": cluster}


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["explain", *arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_text(bootstrap: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "GET", "http://reviews/old/1", "-H", "x-user: jason", "--bootstrap", bootstrap)
    assert code == 0
    assert out.splitlines() == [
        "GET reviews/old/1   x-user: jason",
        "listener            web, 127.0.0.1:19002",
        'virtual host        v, by its domain "reviews" (exactly)',
        "rules               1  beta  no   wants header x-user begins with 'test-'; it is 'jason'",
        "                    2  old   yes  path begins with '/old'",
        "                    2 rules behind it not tried",
        "route               old",
        "  timeout           15 s, to the end of the answer",
        "  retries           none",
        "  path rewrite      the path as far as it matched to /new",
        "goes to             100 %  a",
        "upstream sees       GET /new/1",
        "                    host: reviews",
        "                    x-user: jason",
        "                    + x-request-id: (made for each request)",
        "                    + x-forwarded-for: 127.0.0.1",
        "                    + x-forwarded-proto: http",
        "cluster             a",
        "  balancing         round robin",
        "  panic             where less than 50 % are healthy, all are used, healthy or not",
        "  circuit breakers  connections 1024, pending 1024, requests 1024, retries 3",
        "  connections       opened within 1 s; closed when idle for 1 h",
        "  endpoints         127.0.0.1:19003  healthy",
        "result              the request goes on",
    ]


@pytest.mark.parametrize(
    ("path", "code", "result"),
    [
        ("/hi", 0, "the sidecar answers 200 itself"),
        ("/lost", 1, "503, flag NC: there is no such cluster"),
        ("/nothing", 1, "404, flag NR: no rule matches"),
    ],
)
def test_exit_codes(path: str, code: int, result: str, bootstrap: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, f"http://reviews{path}", "--bootstrap", bootstrap)
    assert (status, err) == (code, "")
    assert out.splitlines()[-1] == f"result              {result}"


def test_json(bootstrap: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "/old", "-H", "host: reviews", "-o", "json", "--bootstrap", bootstrap)
    found = json.loads(out)
    assert code == 0
    assert found["route"]["name"] == "old"
    assert found["route"]["raw"]["prefix_rewrite"] == "/new"
    assert [rule["matched"] for rule in found["rules"]] == [False, True]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "[METHOD] URL"),
        (["GET"], "GET what? say a URL, as `tage explain GET http://reviews/`"),
        (["GET", "http://a/", "x"], "is more than a method and a URL"),
        (["http://a/", "-H", "nothing"], "header 'nothing': give NAME: VALUE"),
        (["/a"], "names no host: give a URL, or a header 'host: NAME' beside the path"),
        (["http://a/", "--source", "x"], "source 'x' is not an IP address"),
        (["http://a/", "--listener", "x"], "no listener 'x'; there are web (127.0.0.1:19002)"),
    ],
)
def test_wrong_usage(arguments: list[str], error: str, bootstrap: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, *arguments, "--bootstrap", bootstrap)
    assert (code, out) == (2, "")
    assert error in err
    assert len(err.splitlines()) == 1


def test_no_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "http://a/", "--bootstrap", str(tmp_path / "none.yaml"))
    assert code == 2
    assert "none.yaml" in err
    empty = tmp_path / "empty.json"
    empty.write_text("{}")
    code, _, err = run(capsys, "http://a/", "--bootstrap", str(empty))
    assert code == 2
    assert "there is no listener in it" in err


def test_no_sidecar(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "http://a/", "--sidecar", "http://127.0.0.1:1")
    assert code == 1
    assert "Connection refused; --sidecar is the address of its admin API (15000)" in err
    code, _, err = run(capsys, "http://a/", "--sidecar", "https://127.0.0.1:1")
    assert code == 2
    assert "give http://HOST:PORT" in err
