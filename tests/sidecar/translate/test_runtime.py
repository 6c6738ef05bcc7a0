"""`layered_runtime` in a bootstrap: when a worker counts as overloaded."""

from __future__ import annotations

from typing import Any

import pytest

from tage.sidecar import plan
from tests.sidecar.test_bootstrap import load, problems, static
from tests.sidecar.translate.build import manager
from tests.sidecar.translate.build import translate as translated


def runtime(*layers: Any) -> dict[str, Any]:
    return static(layered_runtime={"layers": [{"name": f"l{i}", **layer} for i, layer in enumerate(layers)]})


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"tage.overload.target_ms": 50}, plan.Overload(target=50)),
        ({"tage.overload.target_ms": 50, "tage.overload.interval_ms": 500}, plan.Overload(target=50, interval=500)),
        ({"tage": {"overload": {"target_ms": 50}}}, plan.Overload(target=50)),
        ({"tage.overload.enabled": False}, plan.Overload(target=0)),
        ({"tage.overload.enabled": True}, plan.Overload()),
    ],
)
def test_keys(tmp_path, keys, expected):
    assert load(tmp_path, runtime({"static_layer": keys})).overload == expected


def test_a_later_layer_counts_before_an_earlier_one(tmp_path):
    first, second = {"tage.overload.target_ms": 50}, {"tage.overload.target_ms": 70}
    found = load(tmp_path, runtime({"static_layer": first}, {"static_layer": second})).overload
    assert found == plan.Overload(target=70)


def test_nothing_said_is_nothing_sent(tmp_path):
    assert load(tmp_path, static()).overload is None


@pytest.mark.parametrize(
    ("layer", "path", "says"),
    [
        ({"static_layer": {"envoy.reloadable_features.x": True}}, '["envoy.reloadable_features.x"]', "not supported"),
        ({"static_layer": {"tage.overload.targets": 1}}, '["tage.overload.targets"]', "not supported"),
        ({"static_layer": {"tage.overload.target_ms": 0}}, '["tage.overload.target_ms"]', "from 1 to 60000 ms"),
        ({"static_layer": {"tage.overload.target_ms": "5"}}, '["tage.overload.target_ms"]', "whole number"),
        ({"static_layer": {"tage.overload.target_ms": True}}, '["tage.overload.target_ms"]', "whole number"),
        ({"static_layer": {"tage.overload.interval_ms": 1}}, '["tage.overload.interval_ms"]', "from 100"),
        ({"static_layer": {"tage.overload.enabled": 1}}, '["tage.overload.enabled"]', "true or false"),
        ({}, "", "is missing"),
    ],
)
def test_what_is_refused(tmp_path, layer, path, says):
    (found,) = problems(tmp_path, runtime(layer))
    assert found.path == f"layered_runtime.layers[0].static_layer{path}"
    assert says in found.message


@pytest.mark.parametrize("layer", ["admin_layer", "rtds_layer", "disk_layer"])
def test_other_kinds_of_layers_are_refused(tmp_path, layer):
    found = problems(tmp_path, runtime({layer: {}}))
    assert f"layered_runtime.layers[0].{layer}" in {each.path for each in found}


def test_a_listener_may_keep_out(tmp_path):
    assert translated("listener", manager()).listener.sheds
    assert not translated("listener", {**manager(), "bypass_overload_manager": True}).listener.sheds
