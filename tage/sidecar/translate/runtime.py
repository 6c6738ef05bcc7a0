"""`layered_runtime` -> what of it Tage has: when a worker counts as overloaded.

Envoy's overload manager knows no monitor of queueing delay, so its message cannot say this. Runtime keys of a static
layer can, and an Envoy that is started with the same bootstrap passes over keys that it does not know:

    layered_runtime:
      layers:
      - name: tage
        static_layer: {tage.overload.target_ms: 100, tage.overload.interval_ms: 1000}

As in Envoy a key may also be written as nested structs, and a later layer counts before an earlier one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from envoy.config.bootstrap.v3 import bootstrap_pb2

from tage.sidecar import plan
from tage.sidecar.translate.problem import Problems
from tage.sidecar.translate.shape import Shape, leaf

_BOUNDS = {"target_ms": (1, 60_000), "interval_ms": (100, 60_000)}
_PREFIX = "tage.overload."

RUNTIME = Shape(
    "envoy.config.bootstrap.v3.LayeredRuntime",
    {"layers": Shape("envoy.config.bootstrap.v3.RuntimeLayer", {"name": leaf, "static_layer": leaf})},
)


def overload(message: bootstrap_pb2.LayeredRuntime, path: str, problems: Problems) -> plan.Overload | None:
    """None where nothing is said."""
    found: dict[str, Any] = {}
    for i, layer in enumerate(message.layers):
        at = f"{path}.layers[{i}]"
        if layer.WhichOneof("layer_specifier") is None:
            problems.add(f"{at}.static_layer", "is missing: it is the only kind of layer that is supported")
        for key, value in _keys(layer.static_layer, ""):
            where = f'{at}.static_layer["{key}"]'
            if key == f"{_PREFIX}enabled":
                if not isinstance(value, bool):
                    problems.add(where, "must be true or false")
                found["enabled"] = value
                continue
            name = key.removeprefix(_PREFIX)
            if not key.startswith(_PREFIX) or name not in _BOUNDS:
                known = ", ".join(f"{_PREFIX}{each}" for each in ("enabled", *_BOUNDS))
                problems.add(where, f"not supported; the runtime has {known}")
                continue
            low, high = _BOUNDS[name]
            if isinstance(value, bool) or not isinstance(value, float) or not value.is_integer():
                problems.add(where, "must be a whole number of ms")
            elif not low <= value <= high:
                problems.add(where, f"must be from {low} to {high} ms")
            else:
                found[name] = int(value)
    if not found:
        return None
    default = plan.Overload()
    target = found.get("target_ms", default.target) if found.get("enabled", True) else 0
    return plan.Overload(target=target, interval=found.get("interval_ms", default.interval))


def _keys(struct: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in struct.fields.items():
        kind = value.WhichOneof("kind")
        if kind == "struct_value":
            yield from _keys(value.struct_value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", getattr(value, kind) if kind else None
