"""No setting is without words: each field of each struct is changed in turn, and the words have to change."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest

from tage.sidecar import plan
from tage.sidecar.explain import words
from tage.sidecar.explain.findings import Line
from tage.sidecar.explain.policies import balancing, cluster, filter, listener, route

Words = Callable[[Any], list[Line]]

C = [plan.WeightedCluster("c")]
TLS = plan.UpstreamTls()
PREFIX = plan.StringMatch("prefix", "/a")


def changed(value: Any, kind: Any) -> Iterator[Any]:
    """Values of this type that differ from `value`: of a struct, one for each field that can differ."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        kinds = [each for each in get_args(kind) if each is not type(None)]
        for each in kinds:
            yield from changed(value if isinstance(value, each if isinstance(each, type) else object) else None, each)
    elif origin is Literal:
        yield from (each for each in get_args(kind) if each != value)
    elif origin in (list, tuple) and (origin is list or get_args(kind)[-1:] == (...,)):
        yield from ([each] for each in changed(value[0] if value else None, get_args(kind)[0]))
    elif origin is tuple:
        parts = [next(changed(None, each)) for each in get_args(kind)]
        yield tuple(parts)
    elif origin is dict:
        yield {"other" if value else "some": next(changed(None, get_args(kind)[1]))}
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if value is None:
            value = example(kind)
            yield value
        for field, variant in variants(value):
            yield msgspec.structs.replace(value, **{field: variant})
    else:
        yield plain(value, kind)


def plain(value: Any, kind: Any) -> Any:
    if kind is bool:
        return not value
    if kind is int:
        return 7 if value is None else value + 7
    if kind is float:
        return 1.5 if value is None else value + 1.5
    if kind is str:
        return f"other{value or ''}"
    if kind is bytes:
        return b"other"
    if kind is Any:
        return "%START_TIME%"
    raise AssertionError(f"no other value for {kind}")


def kinds(union: Any) -> tuple[Any, ...]:
    return get_args(union) or (union,)


def example(kind: type[msgspec.Struct]) -> Any:
    """One with what has no default."""
    hints = get_type_hints(kind)
    needed = [each for each in msgspec.structs.fields(kind) if each.required]
    return kind(**{each.name: next(changed(None, hints[each.name])) for each in needed})


def variants(struct: Any) -> Iterator[tuple[str, Any]]:
    hints = get_type_hints(type(struct))
    for field in msgspec.structs.fields(struct):
        for value in changed(getattr(struct, field.name), hints[field.name]):
            yield field.name, value


def wordless(struct: Any, speak: Words, elsewhere: set[str]) -> list[str]:
    before = speak(struct)
    return [
        f"{type(struct).__name__}.{field}: {value!r}"
        for field, value in variants(struct)
        if field not in elsewhere
        and value not in SILENT
        and speak(msgspec.structs.replace(struct, **{field: value})) == before
    ]


def chain(given: plan.FilterChain) -> list[Line]:
    return listener.listener(plan.Listener("l", "127.0.0.1", 1), given)


CASES: list[tuple[Any, Words, set[str]]] = [
    (plan.Route(plan.RouteMatch(PREFIX), clusters=C), route.route, route.ROUTE_ELSEWHERE),
    (C[0], route.share, route.SHARE_ELSEWHERE),
    (plan.VirtualHost("v", ["*"]), route.virtual_host, route.VIRTUAL_HOST_ELSEWHERE),
    (plan.Routes("r"), route.table, route.TABLE_ELSEWHERE),
    (plan.Cluster("c", "c"), cluster.cluster, cluster.CLUSTER_ELSEWHERE),
    (plan.LoadBalancing(), balancing.load_balancing, set()),
    (plan.LoadBalancing("maglev"), balancing.load_balancing, set()),
    (plan.Endpoints("e"), balancing.endpoints, balancing.ENDPOINTS_ELSEWHERE),
    (plan.Endpoint("127.0.0.1", 1), cluster.endpoint, cluster.ENDPOINT_ELSEWHERE),
    (plan.Listener("l", "127.0.0.1", 1), lambda each: listener.listener(each, None), listener.LISTENER_ELSEWHERE),
    (plan.FilterChain(tls=plan.DownstreamTls(["c"])), chain, listener.CHAIN_ELSEWHERE),
    (plan.Http("r"), lambda each: chain(plan.FilterChain(http=each)), listener.HTTP_ELSEWHERE),
    (plan.Tcp(C), lambda each: chain(plan.FilterChain(tcp=each)), listener.TCP_ELSEWHERE),
    (plan.Overload(), listener.overload, listener.OVERLOAD_ELSEWHERE),
]

SILENT = (plan.HeaderMutations(),)
"""Values that change nothing, so that they need no words."""


@pytest.mark.parametrize(("struct", "speak", "elsewhere"), CASES, ids=[type(case[0]).__name__ for case in CASES])
def test_every_setting_has_words(struct: Any, speak: Words, elsewhere: set[str]) -> None:
    assert wordless(struct, speak, elsewhere) == []


TABLES = [
    (plan.Route, route.ROUTE, route.ROUTE_ELSEWHERE),
    (plan.WeightedCluster, route.SHARE, route.SHARE_ELSEWHERE),
    (plan.VirtualHost, route.VIRTUAL_HOST, route.VIRTUAL_HOST_ELSEWHERE),
    (plan.Routes, route.TABLE, route.TABLE_ELSEWHERE),
    (plan.Cluster, cluster.CLUSTER, cluster.CLUSTER_ELSEWHERE),
    (plan.LoadBalancing, balancing.LOAD_BALANCING, set()),
    (plan.Endpoints, balancing.ENDPOINTS, balancing.ENDPOINTS_ELSEWHERE),
    (plan.Endpoint, cluster.ENDPOINT, cluster.ENDPOINT_ELSEWHERE),
    (plan.Listener, listener.LISTENER, listener.LISTENER_ELSEWHERE),
    (plan.FilterChain, listener.CHAIN, listener.CHAIN_ELSEWHERE),
    (plan.Http, listener.HTTP, listener.HTTP_ELSEWHERE),
    (plan.Tcp, listener.TCP, listener.TCP_ELSEWHERE),
    (plan.Overload, listener.OVERLOAD, listener.OVERLOAD_ELSEWHERE),
]
FILTERS = sorted({*kinds(plan.AnyFilter), *kinds(plan.AnyFilterSettings)}, key=str)


@pytest.mark.parametrize(("kind", "topics", "elsewhere"), TABLES, ids=[each[0].__name__ for each in TABLES])
def test_no_field_is_left_to_the_fallback(kind: Any, topics: Any, elsewhere: set[str]) -> None:
    worded = [field for topic in topics for field in topic.fields]
    assert [each.name for each in words.unworded(kind, worded, elsewhere)] == []
    names = {each.name for each in msgspec.structs.fields(kind)}
    assert {*worded, *elsewhere} <= names, "words for a field that there is not"
    assert not set(worded) & elsewhere


@pytest.mark.parametrize("kind", FILTERS)
def test_every_setting_of_every_filter_has_words(kind: Any) -> None:
    assert kind in filter.KINDS
    worded = [field for topic in filter.KINDS[kind] for field in topic.fields]
    assert [each.name for each in words.unworded(kind, worded, filter.ELSEWHERE)] == []
    assert wordless(example(kind), filter.describe, filter.ELSEWHERE) == []


def test_the_fallback() -> None:
    found = words.lines(plan.Endpoint("127.0.0.1", 1, 3), (), {"address", "port"})
    assert found == [Line("weight", "3")]


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "0 ms"), (1, "1 ms"), (1_500, "1500 ms"), (90_000, "90 s"), (300_000, "5 min"), (7_200_000, "2 h")],
)
def test_duration(ms: int, text: str) -> None:
    assert words.duration(ms) == text


def test_quoted() -> None:
    assert words.quoted("a\x1b[1m") == '"a\\x1b[1m"'
    assert words.quoted(b"x" * 300) == f'"{"x" * 200}..."'


def test_listed() -> None:
    assert words.listed([]) == ""
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b", "c"], "or") == "a, b or c"
