"""No setting is without words: each field of each struct is changed in turn, and the words have to change."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest

from tage.sidecar import plan
from tage.sidecar.explain import policies, words
from tage.sidecar.explain.findings import Line

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
        yield {"some": next(changed(None, get_args(kind)[1]))}
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


def example(kind: type[msgspec.Struct]) -> Any:
    """One with what has no default."""
    hints = get_type_hints(kind, vars(plan))
    needed = [each for each in msgspec.structs.fields(kind) if each.required]
    return kind(**{each.name: next(changed(None, hints[each.name])) for each in needed})


def variants(struct: Any) -> Iterator[tuple[str, Any]]:
    hints = get_type_hints(type(struct), vars(plan))
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
    return policies.listener(plan.Listener("l", "127.0.0.1", 1), given)


CASES: list[tuple[Any, Words, set[str]]] = [
    (plan.Route(plan.RouteMatch(PREFIX), clusters=C), policies.route, policies.ROUTE_ELSEWHERE),
    (C[0], policies.share, policies.SHARE_ELSEWHERE),
    (plan.VirtualHost("v", ["*"]), policies.virtual_host, policies.VIRTUAL_HOST_ELSEWHERE),
    (plan.Routes("r"), policies.table, policies.TABLE_ELSEWHERE),
    (plan.Cluster("c", "c"), policies.cluster, policies.CLUSTER_ELSEWHERE),
    (plan.Endpoint("127.0.0.1", 1), policies.endpoint, policies.ENDPOINT_ELSEWHERE),
    (plan.Listener("l", "127.0.0.1", 1), lambda each: policies.listener(each, None), policies.LISTENER_ELSEWHERE),
    (plan.FilterChain(tls=plan.DownstreamTls(["c"])), chain, policies.CHAIN_ELSEWHERE),
    (plan.Http("r"), lambda each: chain(plan.FilterChain(http=each)), policies.HTTP_ELSEWHERE),
    (plan.Tcp(C), lambda each: chain(plan.FilterChain(tcp=each)), policies.TCP_ELSEWHERE),
]

SILENT = (plan.HeaderMutations(),)
"""Values that change nothing, so that they need no words."""


@pytest.mark.parametrize(("struct", "speak", "elsewhere"), CASES, ids=[type(case[0]).__name__ for case in CASES])
def test_every_setting_has_words(struct: Any, speak: Words, elsewhere: set[str]) -> None:
    assert wordless(struct, speak, elsewhere) == []


TABLES = [
    (plan.Route, policies.ROUTE, policies.ROUTE_ELSEWHERE),
    (plan.WeightedCluster, policies.SHARE, policies.SHARE_ELSEWHERE),
    (plan.VirtualHost, policies.VIRTUAL_HOST, policies.VIRTUAL_HOST_ELSEWHERE),
    (plan.Routes, policies.TABLE, policies.TABLE_ELSEWHERE),
    (plan.Cluster, policies.CLUSTER, policies.CLUSTER_ELSEWHERE),
    (plan.Endpoint, policies.ENDPOINT, policies.ENDPOINT_ELSEWHERE),
    (plan.Listener, policies.LISTENER, policies.LISTENER_ELSEWHERE),
    (plan.FilterChain, policies.CHAIN, policies.CHAIN_ELSEWHERE),
    (plan.Http, policies.HTTP, policies.HTTP_ELSEWHERE),
    (plan.Tcp, policies.TCP, policies.TCP_ELSEWHERE),
]


@pytest.mark.parametrize(("kind", "topics", "elsewhere"), TABLES, ids=[each[0].__name__ for each in TABLES])
def test_no_field_is_left_to_the_fallback(kind: Any, topics: Any, elsewhere: set[str]) -> None:
    worded = [field for topic in topics for field in topic.fields]
    assert [each.name for each in words.unworded(kind, worded, elsewhere)] == []
    names = {each.name for each in msgspec.structs.fields(kind)}
    assert {*worded, *elsewhere} <= names, "words for a field that there is not"
    assert not set(worded) & elsewhere


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
