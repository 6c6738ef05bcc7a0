"""Configurations of a mesh: of files alone, and of a control plane with files laid over what it has."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tage.cli.client import ControlClient
from tage.config.load import load_objects, load_text
from tage.pilot import preview
from tests.cli.explain.test_command import run
from tests.pilot.samples import NODE, REVIEWS, SUBSETS, routing

MESH = """
apiVersion: tage.dev/v1alpha1
kind: Mesh
metadata: {name: shop}
spec:
  services:
  - name: web
    instances:
    - {command: "true"}
  - name: reviews
    instances:
    - {version: v1, replicas: 2, command: "true"}
    - {version: v2, command: "true"}
"""
SPLIT = routing(
    "[{match: [{headers: {end-user: {exact: jason}}}], route: [{destination: {host: reviews, subset: v2}}]},"
    " {route: [{destination: {host: reviews, subset: v1}}]}]"
)
TO_V2 = routing("[{route: [{destination: {host: reviews, subset: v2}}]}]")
V1, V2 = (f"outbound|80|{version}|reviews.default.svc.cluster.local" for version in ("v1", "v2"))


@pytest.fixture
def mesh(tmp_path: Path) -> str:
    return write(tmp_path, "mesh.yaml", "---".join((MESH, SUBSETS, SPLIT)))


def write(directory: Path, name: str, text: str) -> str:
    (directory / name).write_text(text)
    return str(directory / name)


def answer(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    status, out, err = run(capsys, *arguments, "-o", "json")
    assert (status, err) == (code, "")
    return json.loads(out)


def shares(found: dict[str, Any]) -> list[str]:
    return [share["cluster"] for share in found["route"]["shares"]]


# -- files alone -------------------------------------------------------------------------------------------------------


def test_files(mesh: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "http://reviews/", "-f", mesh, "--from", "web")
    assert found["scope"] == f"web-1.default, by {mesh}"
    assert [(rule["matched"], rule["why"]) for rule in found["rules"]] == [
        (False, "wants header end-user is 'jason'; it is absent"),
        (True, "every path"),
    ]
    assert shares(found) == [V1]
    assert len(found["clusters"][0]["endpoints"]) == 2
    [arrival] = found["arrivals"]
    assert arrival["scope"] == "reviews-v1-1.default"
    assert arrival["listener"]["direction"] == "inbound"
    assert arrival["clusters"][0]["endpoints"][0]["port"] == 8080


def test_remote_calls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """To the sidecar that the call arrives at, whose listener speaks the protocol too."""
    service = (
        "  - name: stock\n    protocol: x-ours\n    interfaces: [com.example.Stock]\n"
        '    instances:\n    - {version: v1, command: "true"}\n    - {version: v2, command: "true"}\n'
    )
    subsets = SUBSETS.replace("reviews", "stock")
    rule = routing(
        "[{match: [{uri: {exact: /com.example.Stock/check}, headers: {version: {exact: '2.0'}}}],"
        " route: [{destination: {host: stock, subset: v2}}]}, {route: [{destination: {host: stock, subset: v1}}]}]",
        hosts="[stock]",
    )
    mesh = write(tmp_path, "mesh.yaml", "---".join((MESH + service, subsets, rule)))
    found = answer(capsys, "x-ours://com.example.Stock/check", "-H", "version:2.0", "-f", mesh)
    assert shares(found) == ["outbound|80|v2|stock.default.svc.cluster.local"]
    assert found["listener"]["name"] == "x-ours_proxy"
    (arrival,) = found["arrivals"]
    assert (arrival["scope"], arrival["listener"]["name"]) == ("stock-v2-1.default", "virtualInbound")
    assert arrival["asked"]["path"] == "/com.example.Stock/check"
    assert arrival["route"]["shares"][0]["cluster"] == "inbound|8080||"
    other = answer(capsys, "x-ours://com.example.Stock/other", "-H", "version:2.0", "-f", mesh)
    assert shares(other) == ["outbound|80|v1|stock.default.svc.cluster.local"]
    _, text, _ = run(capsys, "x-ours://stock/check", "-f", mesh)
    assert text.startswith("x-ours://stock/check\n")


def test_a_rule_before_it_is_applied(mesh: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = write(tmp_path, "new.yaml", TO_V2)
    assert shares(answer(capsys, "http://reviews/", "-f", mesh)) == [V1]
    assert shares(answer(capsys, "http://reviews/", "-f", mesh, "-f", new)) == [V2]
    assert shares(answer(capsys, "http://reviews/", "-H", "end-user: jason", "-f", mesh)) == [V2]


def test_a_filters_code_need_not_be_here(mesh: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filters = write(
        tmp_path,
        "filters.yaml",
        "apiVersion: tage.dev/v1alpha1\nkind: PythonFilter\nmetadata: {name: keys}\n"
        "spec: {class: 'auth.py:ApiKey', direction: outbound}\n",
    )
    found = answer(capsys, "http://reviews/", "-f", mesh, "-f", filters, "--from", "web")
    assert "class ApiKey of auth.py" in json.dumps(found["filters"])


def test_no_such_host(mesh: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "http://nobody/", "-f", mesh, code=1)
    assert found["outcome"]["status"] == 404


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--from", "x"], "no sidecar 'x'; there are client.default, web-1.default, reviews-v1-1.default"),
        (["--sidecar", "http://127.0.0.1:1"], "say one of --bootstrap, --sidecar, and --from"),
    ],
)
def test_wrong_usage(arguments: list[str], error: str, mesh: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "http://reviews/", "-f", mesh, *arguments)
    assert (code, out) == (2, "")
    assert error in err


def test_a_file_that_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = write(tmp_path, "bad.yaml", SPLIT.replace("exact", "exakt"))
    code, _, err = run(capsys, "http://reviews/", "-f", bad)
    assert code == 2
    assert f"{bad}:" in err
    assert "exakt" in err


def test_rules_without_a_mesh(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "http://reviews/", "-f", write(tmp_path, "new.yaml", TO_V2))
    assert code == 2
    assert "no mesh runs here" in err


# -- a control plane ---------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A control plane with one sidecar; what it was asked."""
    calls: list[dict[str, Any]] = []

    def answered(self: ControlClient, wanted: dict[str, Any]) -> dict[str, Any] | None:
        calls.append(wanted)
        if wanted.get("address") not in (None, "127.1.0.1:15006"):
            return None
        resources = preview.overlaid(load_text(SUBSETS + "---" + SPLIT), load_objects(wanted["items"]))
        found = preview.preview(preview.snapshot([REVIEWS], resources), NODE)
        packed = {url: [base64.b64encode(each) for each in given] for url, given in found.resources.items()}
        return {"sidecar": "reviews-v1-1.default", "alike": 2, "synced": False, "warnings": ["w"], "resources": packed}

    monkeypatch.setattr(ControlClient, "preview", answered)
    return calls


def test_a_control_plane(asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "http://reviews/", "--control", "127.0.0.1:15014", "--from", "reviews")
    assert found["scope"] == "reviews-v1-1.default, by control plane 127.0.0.1:15014"
    assert shares(found) == [V1]
    assert [arrival["scope"] for arrival in found["arrivals"]] == ["reviews-v1-1.default"]
    assert asked == [{"sidecar": "reviews", "items": []}, {"address": "127.1.0.1:15006", "items": []}]
    assert found["notes"] == [
        "w",
        "2 more sidecars go by that name; this is the first one's configuration",
        "the sidecar has not taken all of this yet; `tage status` says more",
    ]


def test_files_are_laid_over(
    asked: list[dict[str, Any]], mesh: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = write(tmp_path, "new.yaml", TO_V2)
    found = answer(capsys, "http://reviews/", "--control", "127.0.0.1:15014", "-f", mesh, "-f", new)
    assert shares(found) == [V2]
    assert [item["kind"] for item in asked[0]["items"]] == ["DestinationRule", "VirtualService"]
    assert "Mesh shop of the files is left out: services are those that run" in found["notes"]


def test_a_rule_that_sidecars_refuse(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from envoy.config.route.v3.route_pb2 import RouteConfiguration
    from google.protobuf.any_pb2 import Any as Packed

    config = RouteConfiguration(name="r")
    config.vhds.SetInParent()
    packed = Packed()
    packed.Pack(config)
    resources = {packed.type_url: [base64.b64encode(packed.SerializeToString())]}
    given = {"sidecar": "s", "alike": 0, "synced": True, "warnings": [], "resources": resources}
    monkeypatch.setattr(ControlClient, "preview", lambda self, wanted: given)
    code, _, err = run(capsys, "http://reviews/", "--control", "127.0.0.1:15014")
    assert code == 1
    assert "a sidecar would refuse this: route_config[r].vhds" in err
