from __future__ import annotations

from typing import Literal

import msgspec

from tage.config.convert import Converter, suggestion
from tage.config.document import compose
from tage.config.networking import HTTPMatchRequest, StringMatch


class Inner(msgspec.Struct, rename="camel", frozen=True):
    name: str
    per_try: int = 0


class Outer(msgspec.Struct, frozen=True):
    inner: Inner | None = None
    items: tuple[Inner, ...] = ()
    names: list[str] = []
    numbers: dict[str, int] = {}
    ratio: float = 0.0
    on: bool = False
    color: Literal["red", "green"] = "red"


def convert(text: str, wanted: type = Outer) -> tuple[object, list[str]]:
    (node,), _ = compose(text)
    converter = Converter("f.yaml", {Inner: ["planned"]})
    return converter.convert(node, wanted), [str(problem) for problem in converter.problems]


def test_all_types() -> None:
    value, problems = convert(
        "inner: {name: a, perTry: 3}\nitems: [{name: b}]\nnames: [x, y]\nnumbers: {k: 1}\n"
        "ratio: 2\non: true\ncolor: green\n"
    )
    assert problems == []
    assert value == Outer(Inner("a", 3), (Inner("b"),), ["x", "y"], {"k": 1}, 2.0, True, "green")


def test_null_is_absent() -> None:
    assert convert("{inner: null, names: null, ratio: ~}") == (Outer(), [])
    assert convert("{name: null}", Inner) == (None, ["f.yaml:1: name: is missing"])


def test_every_problem_is_reported() -> None:
    value, problems = convert(
        "inner: {nam: a, perTry: '3'}\n"
        "items: {name: b}\n"
        "names: [1, x, true]\n"
        "numbers: {k: a, l: 1.5}\n"
        "ratio: true\n"
        "on: 1\n"
        "color: blue\n"
    )
    assert value is None
    assert problems == [
        "f.yaml:1: inner.nam: unknown field; did you mean 'name'?",
        "f.yaml:1: inner.perTry: expected a whole number, got the string '3'; write it without quotes",
        "f.yaml:1: inner.name: is missing",
        "f.yaml:2: items: expected a list, got a mapping; begin each entry with '- '",
        "f.yaml:3: names[0]: expected a string, got the number 1; put it in quotes",
        "f.yaml:3: names[2]: expected a string, got true; put it in quotes",
        "f.yaml:4: numbers.k: expected a whole number, got the string 'a'",
        "f.yaml:4: numbers.l: expected a whole number, got the number 1.5",
        "f.yaml:5: ratio: expected a number, got true",
        "f.yaml:6: on: expected true or false, got the number 1",
        "f.yaml:7: color: expected one of 'red', 'green', got the string 'blue'",
    ]


def test_what_is_not_carried_out_is_told_from_what_is_misspelt() -> None:
    _, problems = convert("{name: a, planned: 1, other: 2}", Inner)
    assert problems == [
        "f.yaml:1: planned: is not carried out by Tage yet; take it out",
        "f.yaml:1: other: unknown field; fields here: name, perTry",
    ]


def test_mappings_of_structs() -> None:
    value, problems = convert("headers: {x-user: {exact: jason}, x-any: {}}", HTTPMatchRequest)
    assert problems == []
    assert value == HTTPMatchRequest(headers={"x-user": StringMatch(exact="jason"), "x-any": StringMatch()})
    _, problems = convert("headers: {x-user: {exakt: jason}, x-any: }", HTTPMatchRequest)
    assert problems == [
        "f.yaml:1: headers.x-user.exakt: unknown field; did you mean 'exact'?",
        "f.yaml:1: headers.x-any: expected a mapping with exact, prefix, regex, got nothing (null)",
    ]


def test_suggestions_see_through_case_and_underscores() -> None:
    assert suggestion("per_try_timeout", ["attempts", "perTryTimeout"], "fields") == "did you mean 'perTryTimeout'?"
    assert suggestion("zzz", ["a", "b"], "fields") == "fields: a, b"
