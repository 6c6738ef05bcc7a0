from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tage.config.dump import dump, dump_all, to_builtins
from tage.config.load import load_objects, load_text
from tage.config.model import Metadata, Resource
from tage.config.networking import (
    Destination,
    HTTPMatchRequest,
    HTTPRetry,
    HTTPRoute,
    HTTPRouteDestination,
    StringMatch,
    VirtualService,
)
from tests.config.samples import resource
from tests.config.test_load import MESH


def test_camel_case_without_defaults() -> None:
    route = HTTPRoute(route=[HTTPRouteDestination(Destination("a"))], retries=HTTPRetry(1, per_try_timeout="1s"))
    spec = VirtualService(["a"], [route])
    assert to_builtins(Resource("networking.istio.io/v1", "VirtualService", Metadata("x"), spec)) == {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "x", "namespace": "default"},
        "spec": {
            "hosts": ["a"],
            "http": [{"route": [{"destination": {"host": "a"}}], "retries": {"attempts": 1, "perTryTimeout": "1s"}}],
        },
    }


def test_what_is_dumped_loads_equal() -> None:
    resources = load_text(MESH)
    assert load_text(dump_all(resources)) == resources
    assert load_objects([to_builtins(resource) for resource in resources]) == resources


def test_equal_parts_are_written_out() -> None:
    match = HTTPMatchRequest(uri=StringMatch(prefix="/"))
    route = HTTPRoute(match=[match, match], route=[HTTPRouteDestination(Destination("a"))])
    spec = VirtualService(["a"], [route, route])
    assert "&" not in dump(Resource("networking.istio.io/v1", "VirtualService", Metadata("x"), spec))


_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | st.sampled_from(
    ["1e3", "on", "007", "0x1", "1_000", "~", "null", "1:30", "2024-01-01", "=", "<<", " a", "a\n", "- a", "a: b", "#"]
)


@given(st.dictionaries(_texts, _texts, max_size=3))
def test_any_string_survives(annotations: dict[str, str]) -> None:
    sample = resource()
    metadata = Metadata("x", annotations=annotations)
    changed = Resource(sample.api_version, sample.kind, metadata, sample.spec)
    assert load_text(dump(changed)) == [changed]
