"""Filters in Python: TypedStructs of listeners and routes -> the plan, and the files that they name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tage.sidecar import filter_code, plan
from tage.sidecar.translate.draft import DataSource
from tests.sidecar.translate.build import ROUTER, manager, problems, routes, translate

TYPES = ("xds.type.v3.TypedStruct", "udpa.type.v1.TypedStruct")
TYPE_URL = "type.googleapis.com/tage.filters.http.Python"
AT = "filter_chains[0].filters[0].typed_config.http_filters[0].typed_config"
SOURCE = "import tage\nclass Auth(tage.Filter):\n    def on_request(self, request): pass\n"


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that filters may be taken from."""
    directory = tmp_path / "filters"
    directory.mkdir()
    (directory / "auth.py").write_text(SOURCE)
    monkeypatch.setenv("TAGE_FILTERS", str(directory))
    return directory


def typed(value: dict[str, Any], kind: str = TYPES[0], type_url: str = TYPE_URL) -> dict[str, Any]:
    return {"@type": f"type.googleapis.com/{kind}", "type_url": type_url, "value": value}


def listener(value: dict[str, Any], **struct: str) -> dict[str, Any]:
    return manager(http_filters=[{"name": "auth", "typed_config": typed(value, **struct)}, ROUTER])


def one(value: dict[str, Any], **struct: str) -> plan.PythonFilter:
    draft = translate("listener", listener(value, **struct))
    (found,) = draft.listener.chains[0].http.filters
    assert isinstance(found, plan.PythonFilter)
    return found


@pytest.mark.parametrize("kind", TYPES)
def test_what_is_not_said(code: Path, kind):
    expected = plan.PythonFilter("auth", "Auth", file=str(code / "auth.py"))
    assert one({"class": "auth.py:Auth"}, kind=kind) == expected
    assert (expected.fails_open, expected.timeout, expected.blocking_threshold) == (False, 5_000, 10)


def test_all_of_it(code: Path):
    config = {"keys": {"k1": "ann"}, "limit": 5, "rate": 1.5, "on": True, "none": None, "list": [1, "a"], "big": 1e300}
    found = one(
        {
            "class": "acme.filters:Auth", "config": config, "failure": "open", "timeout": "250ms",
            "blocking_threshold": "1s",
        }
    )  # fmt: skip
    assert found == plan.PythonFilter(
        "auth", "Auth", module="acme.filters", config=config, fails_open=True, timeout=250, blocking_threshold=1000
    )
    assert type(found.config["limit"]) is int
    whole = translate("listener", listener({"class": "a:B", "config": config})).listener
    assert plan.decode("listener", plan.encode(whole)) == whole


def test_the_code_comes_along(code: Path):
    draft = translate("listener", listener({"class": "auth.py:Auth"}))
    (secret,) = draft.secrets
    assert secret.section == plan.FilterCode(str(code / "auth.py"), SOURCE.encode())
    assert secret.sources == {"source": DataSource(str(code / "auth.py"))}
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(draft), type=type(draft)) == draft
    assert translate("listener", listener({"class": "a:B"})).secrets == []


def test_the_same_file_comes_once(code: Path):
    filters = [{"name": name, "typed_config": typed({"class": "auth.py:Auth"})} for name in ("a", "b")]
    assert len(translate("listener", manager(http_filters=[*filters, ROUTER])).secrets) == 1


@pytest.mark.parametrize(
    ("value", "field", "message"),
    [
        ({}, "class", "is missing: give FILE.py:Class, or package.module:Class"),
        ({"class": 7}, "class", "is missing"),
        ({"class": "auth"}, "class", "'auth' does not name a class"),
        ({"class": "auth.py:1"}, "class", "does not name a class"),
        ({"class": "a-b.txt:A"}, "class", "is neither a file that ends with .py nor the name of a module"),
        ({"class": "other.py:Auth"}, "class", "there is no such file in"),
        ({"class": "../secret.py:Auth"}, "class", "is outside of the directories that may hold filters"),
        ({"class": "/etc/passwd.py:Auth"}, "class", "is outside of the directories that may hold filters"),
        ({"class": "link.py:Auth"}, "class", "is outside of the directories that may hold filters"),
        ({"class": "broken.py:Auth"}, "class", "broken.py: line 1: "),
        ({"class": "a:B", "config": 7}, "config", "has to be a mapping, not 7"),
        ({"class": "a:B", "failure": "maybe"}, "failure", "'maybe' is not one of open and closed"),
        ({"class": "a:B", "timeout": "soon"}, "timeout", "'soon' is not a duration"),
        ({"class": "a:B", "timeout": "0s"}, "timeout", "has to be a duration from 1ms to 3600s"),
        ({"class": "a:B", "timeout": 5}, "timeout", "has to be a duration from 1ms to 3600s"),
        ({"class": "a:B", "blocking_threshold": "2h"}, "blocking_threshold", "has to be a duration from 1ms to 60s"),
        ({"class": "a:B", "conifg": {}}, "conifg", "unknown field; there are class, config, failure"),
    ],
)
def test_what_is_refused(code: Path, value, field, message):
    (code.parent / "secret.py").write_text(SOURCE)
    (code / "link.py").symlink_to(code.parent / "secret.py")
    (code / "broken.py").write_text("x = (")
    (found,) = problems("listener", listener(value))
    assert found.path == f"{AT}.value.{field}"
    assert message in found.message


def test_another_type_url_is_refused():
    (found, *_) = problems("listener", listener({"class": "a:B"}, type_url="type.googleapis.com/envoy.Lua"))
    assert found.path == f"{AT}.type_url"
    assert "is not supported (only type.googleapis.com/tage.filters.http.Python)" in found.message


def test_without_a_directory_no_file_will_do(code: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("TAGE_FILTERS")
    (found,) = problems("listener", listener({"class": "auth.py:Auth"}))
    assert "name one with `tage sidecar --filters DIR` or TAGE_FILTERS" in found.message
    (found,) = problems("listener", listener({"class": f"{code}/auth.py:Auth"}))
    assert "no directory is allowed" in found.message


def test_files_of_a_mounted_volume(tmp_path: Path):
    """Kubernetes: auth.py -> ..data/auth.py, ..data -> ..2026."""
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "auth.py").write_text(SOURCE)
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "auth.py").symlink_to("..data/auth.py")
    assert filter_code.find("auth.py", [str(tmp_path)]) == str(tmp_path / "auth.py")
    assert filter_code.find(str(tmp_path / "auth.py"), ["/nowhere", str(tmp_path)]) == str(tmp_path / "auth.py")


def test_the_first_directory_that_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "auth.py").write_text(SOURCE)
    monkeypatch.setenv("TAGE_FILTERS", os.pathsep.join([str(tmp_path / "b"), "", str(tmp_path / "a")]))
    assert filter_code.directories() == [str(tmp_path / "b"), str(tmp_path / "a")]
    assert one({"class": "auth.py:Auth"}).file == str(tmp_path / "b" / "auth.py")


# -- routes ------------------------------------------------------------------------------------------------------------


def of_route(value: dict[str, Any]) -> Any:
    entry = {"match": {"prefix": "/"}, "route": {"cluster": "c"}, "typed_per_filter_config": {"auth": typed(value)}}
    return routes(entry)


def test_a_route_has_a_configuration_of_its_own_or_none():
    for value, expected in (
        ({"disabled": True}, plan.FilterDisabled("auth")),
        ({"config": {"a": 1}}, plan.PythonFilterRoute("auth", {"a": 1})),
        ({"config": {}, "disabled": False}, plan.PythonFilterRoute("auth", {})),
    ):
        found = translate("route", of_route(value))
        assert found.virtual_hosts[0].routes[0].filters == {"auth": expected}
        assert plan.decode("routes", plan.encode(found)) == found


@pytest.mark.parametrize(
    ("value", "field", "message"),
    [
        ({}, "", "needs one of disabled and config"),
        ({"disabled": "yes"}, ".disabled", "is not one of true and false"),
        ({"disabled": True, "config": {}}, "", "exclude one another"),
        ({"config": []}, ".config", "has to be a mapping"),
        ({"class": "a:B", "config": {}}, ".class", "unknown field; there are disabled, config"),
    ],
)
def test_what_a_route_may_not_say(value, field, message):
    (found, *_) = problems("route", of_route(value))
    assert found.path == f'virtual_hosts[0].routes[0].typed_per_filter_config["auth"].value{field}'
    assert message in found.message
