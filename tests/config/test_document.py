from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tage.config import document
from tage.config.document import Node, compose, format_path, line_of


def plain(node: Node) -> object:
    if isinstance(node.value, dict):
        return {key: plain(item) for key, item in node.value.items()}
    if isinstance(node.value, list):
        return [plain(item) for item in node.value]
    return node.value


def read(text: str) -> object:
    (node,), problems = compose(text)
    assert problems == []
    return plain(node)


def problems(text: str) -> list[str]:
    return [str(problem) for problem in compose(text, "f.yaml")[1]]


def test_lines_are_those_of_the_keys() -> None:
    (node,), _ = compose("spec:\n  http:\n  - timeout: 1s\n    route:\n\n    - weight: 5\n")
    assert line_of(node, ("spec",)) == 1
    assert line_of(node, ("spec", "http")) == 2
    assert line_of(node, ("spec", "http", 0, "timeout")) == 3
    assert line_of(node, ("spec", "http", 0, "route")) == 4
    assert line_of(node, ("spec", "http", 0, "route", 0, "weight")) == 6


def test_the_line_of_what_is_not_written_is_that_of_what_would_hold_it() -> None:
    (node,), _ = compose("a:\n  b: 1\n")
    assert line_of(node, ("a", "c", "d")) == 1
    assert line_of(node, ("a", "b", 0)) == 2


def test_lines_go_on_from_document_to_document() -> None:
    documents, _ = compose("a: 1\n---\n# nothing\n---\nb: 2\n")
    assert [(plain(node), node.line) for node in documents] == [({"a": 1}, 1), ({"b": 2}, 5)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"), ("yes", "yes"), ("1:30", "1:30"), ("2024-01-01", "2024-01-01"), ("007", "007"), ("v1", "v1"),
        ("true", True), ("False", False), ("80", 80), ("-3", -3), ("0.5", 0.5), ("1e3", 1000.0), ("~", None),
        ("'80'", "80"), ('"true"', "true"), ("!!str 80", "80"), ("!!int 80", 80), ("1_000", "1_000"), ("=", "="),
    ],
)  # fmt: skip
def test_plain_scalars_as_in_yaml_1_2(text: str, value: object) -> None:
    assert read(f"x: {text}") == {"x": value}


def test_path_format() -> None:
    path = ("metadata", "labels", "a.b/c")
    assert format_path(path) == 'metadata.labels["a.b/c"]'
    assert format_path(("spec", "http", 0, "headers", "x-user")) == "spec.http[0].headers.x-user"
    assert format_path(("items", 2, "spec")) == "items[2].spec"


def test_duplicate_keys_are_all_reported() -> None:
    assert problems("a: 1\nb: {c: 1,\n c: 2}\na: 3\n") == [
        "f.yaml:3: b.c: is written twice, first in line 2",
        "f.yaml:4: a: is written twice, first in line 1",
    ]


def test_syntax_error_keeps_the_documents_before_it() -> None:
    documents, found = compose("a: 1\n---\nb: [1\nc: 2\n", "f.yaml")
    assert [plain(node) for node in documents] == [{"a": 1}]
    assert found[0].line == 4
    assert "a flow sequence that begins in line 3" in found[0].message


def test_tabs_are_named() -> None:
    (problem,) = compose("a:\n\tb: 1\n")[1]
    assert problem.line == 2
    assert "not with tabs" in problem.message


def test_characters_that_yaml_does_not_allow() -> None:
    assert problems("a: 1\nb: \x01\n") == ["f.yaml:2: not valid YAML: character U+0001 is not allowed"]
    assert problems("a: 1\nb: '\ud800'\n") == ["f.yaml:2: not valid Unicode: a lone surrogate"]


def test_tags_of_other_languages_are_refused() -> None:
    assert problems("a: !!python/object:os.system x\n") == [
        "f.yaml:1: a: tag tag:yaml.org,2002:python/object:os.system is not allowed"
    ]


def test_aliases() -> None:
    documents, found = compose("a: &x {k: 1}\nb: *x\n")
    assert found == []
    assert plain(documents[0]) == {"a": {"k": 1}, "b": {"k": 1}}
    assert line_of(documents[0], ("b",)) == 2
    assert problems("a: *x") == ["f.yaml:1: a: alias *x has no anchor &x before it"]
    assert problems("a: &x [*x]") == ["f.yaml:1: a[0]: alias *x stands inside of what it names"]


def test_an_alias_bomb_is_refused_before_it_expands() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n"
    for level in range(10):
        name, before = chr(98 + level), chr(97 + level)
        bomb += f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
    assert "aliases expanded" in problems(bomb)[0]


def test_depth_is_bounded() -> None:
    assert problems("[" * 100_000) == ["f.yaml:1: nested deeper than 64 levels"]
    with pytest.raises(ValueError, match="nested deeper"):
        document.from_object(json.loads("[" * 100 + "]" * 100))


def test_json_with_tabs_and_escaped_halves() -> None:
    assert read('{\n\t"a":\t["\\ud83d\\ude00", "\\\\ud83d", 1.5],\n\t"b":{"c":null}\n}') == {
        "a": ["😀", "\\ud83d", 1.5],
        "b": {"c": None},
    }


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcé\"\\:# ", min_size=1), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.text("abc", min_size=1), _json, min_size=1), st.booleans(), st.sampled_from([None, 2, "\t"]))
def test_json_is_read_as_json(value: dict[str, object], ascii_only: bool, indent: int | str | None) -> None:
    assert read(json.dumps(value, ensure_ascii=ascii_only, indent=indent)) == value


@given(st.text("ab:-[]{}&*!|>'\"#%@` \n\t,?1.~\\"))
def test_no_text_makes_it_fail_otherwise(text: str) -> None:
    compose(text)
