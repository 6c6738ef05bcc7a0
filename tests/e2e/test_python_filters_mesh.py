"""PythonFilters in a mesh: applied, changed, refused and deleted while it runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.mesh import SERVICE, Mesh
from tests.e2e.ports import until

pytestmark = pytest.mark.processes

EXAMPLES = Path(__file__).parents[2] / "examples" / "filters"


@pytest.fixture
def mesh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mesh]:
    code = tmp_path / "filters"
    shutil.copytree(EXAMPLES, code)
    monkeypatch.setenv("TAGE_FILTERS", str(code))
    mesh = Mesh(tmp_path)
    try:
        mesh.wait_ready()
        yield mesh
    except BaseException:
        mesh.discard()
        raise
    mesh.close()


def python_filter(name: str, kind: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "tage.dev/v1alpha1", "kind": "PythonFilter", "metadata": {"name": name},
        "spec": {"class": kind, **spec},
    }  # fmt: skip


def routing(*rules: tuple[dict[str, Any] | None, str]) -> list[dict[str, Any]]:
    """To versions by conditions."""
    subsets = [{"name": version, "labels": {"version": version}} for version in ("v1", "v2")]
    http = [
        {**({"match": [match]} if match else {}), "route": [{"destination": {"host": SERVICE, "subset": version}}]}
        for match, version in rules
    ]
    head = {"apiVersion": "networking.istio.io/v1", "metadata": {"name": SERVICE}}
    return [
        {**head, "kind": "DestinationRule", "spec": {"host": SERVICE, "subsets": subsets}},
        {**head, "kind": "VirtualService", "spec": {"hosts": [SERVICE], "http": http}},
    ]


def test_a_filter_of_a_service(mesh: Mesh) -> None:
    assert mesh.get().status == 200
    config = {"keys": {"k1": "ann"}}
    mesh.apply(python_filter("key", "api_key.py:ApiKey", config=config, selector={"service": SERVICE}))
    until(lambda: {mesh.get().status for _ in range(6)} == {401}, "the filter")
    assert {mesh.get(x_api_key="k1").status for _ in range(6)} == {200}
    assert "key" in mesh.tage("get", "pythonfilters")
    (version_one,) = (sidecar for name, sidecar in mesh.sidecars.items() if name == "v1")
    assert version_one.stats()["python_filter.key.requests"] > 0
    assert not [name for name in mesh.client.stats() if name.startswith("python_filter")]

    mesh.apply(python_filter("key", "api_key.py:ApiKey", config={}, selector={"service": SERVICE}))
    until(lambda: "nobody would be let in" in mesh.tage("status"), "that the status tells why it is refused")
    assert {mesh.get(x_api_key="k1").status for _ in range(6)} == {200}
    assert {mesh.get().status for _ in range(6)} == {401}

    mesh.tage("delete", "pythonfilter", "key")
    until(lambda: {mesh.get().status for _ in range(6)} == {200}, "the filter's end")
    mesh.wait_in_sync()


def test_an_ab_test_of_the_callers_side(mesh: Mesh) -> None:
    mesh.apply(*routing(({"headers": {"x-variant": {"exact": "b"}}}, "v2"), (None, "v1")))
    mesh.apply(python_filter("ab", "ab_test.py:AbTest", direction="outbound", config={"percent": 50}))
    until(lambda: "x-variant" in mesh.get(x_user="user-1").headers, "the filter")
    mesh.wait_in_sync()
    seen = set()
    for number in range(30):
        answer = mesh.get(x_user=f"user-{number}")
        variant = answer.headers["x-variant"]
        assert answer.headers["x-backend"] == {"a": "v1", "b": "v2"}[variant]
        seen.add(variant)
    assert seen == {"a", "b"}
