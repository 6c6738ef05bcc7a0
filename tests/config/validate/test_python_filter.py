"""PythonFilter, as it is written and as it is refused."""

from __future__ import annotations

import pytest

from tage.config.dump import dump
from tage.config.errors import ConfigError
from tage.config.load import load_text
from tage.config.python_filter import PythonFilter

HEAD = "apiVersion: tage.dev/v1alpha1\nkind: PythonFilter\nmetadata: {name: auth}\nspec:\n"


def load(spec: str):
    return load_text(HEAD + "".join(f"  {line}\n" for line in spec.splitlines()))[0]


def problems(spec: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(spec)
    return [f"{problem.path}: {problem.message}" for problem in caught.value.problems]


def test_what_is_not_written():
    spec = load("class: auth.py:Auth").spec
    assert isinstance(spec, PythonFilter)
    assert (spec.kind, spec.direction, spec.failure, spec.config) == ("auth.py:Auth", "inbound", "closed", {})
    assert (spec.selector.service, spec.selector.labels, spec.priority) == ("", {}, 0)


def test_all_of_it_comes_back():
    resource = load(
        "class: acme.filters:Auth\nselector: {service: reviews, labels: {version: v2}}\ndirection: both\npriority: -5\n"
        "config: {keys: {k1: ann}, rate: 1.5, on: [1, true, null, 'x']}\nfailure: open\ntimeout: 250ms\n"
        "blockingThreshold: 20ms"
    )
    spec = resource.spec
    assert isinstance(spec, PythonFilter)
    assert spec.config == {"keys": {"k1": "ann"}, "rate": 1.5, "on": [1, True, None, "x"]}
    assert (spec.timeout, spec.blocking_threshold, spec.priority) == ("250ms", "20ms", -5)
    assert "class: acme.filters:Auth" in dump(resource)
    assert load_text(dump(resource)) == [resource]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("direction: inbound", "spec.class: is missing"),
        ("class: auth", "spec.class: 'auth' does not name a class"),
        ("class: auth.py", "spec.class: 'auth.py' does not name a class"),
        ("class: 'auth.py:a b'", "spec.class: 'auth.py:a b' does not name a class"),
        ("class: a-b:C", "spec.class: 'a-b:C' does not name a class"),
        ("class: ../auth.py:C", "spec.class: '../auth.py:C' leads out of the directory"),
        ("class: a.py:C\ndirection: sideways", "spec.direction: expected one of 'inbound', 'outbound', 'both'"),
        ("class: a.py:C\nfailure: maybe", "spec.failure: expected one of 'closed', 'open'"),
        ("class: a.py:C\ntimeout: soon", "spec.timeout: 'soon' is not a duration"),
        ("class: a.py:C\ntimeout: 0s", "spec.timeout: '0s' is too short"),
        ("class: a.py:C\nblockingThreshold: 0ms", "spec.blockingThreshold: '0ms' is too short"),
        ("class: a.py:C\nconfig: 7", "spec.config: expected a mapping"),
        ("class: a.py:C\nselector: {service: A_B}", "spec.selector.service: "),
        ("class: a.py:C\nselector: {app: a}", "spec.selector.app: unknown field"),
        ("class: a.py:C\npriority: 3000000000", "spec.priority: 3000000000 is not possible"),
        ("class: a.py:C\nconifg: {}", "spec.conifg: unknown field; did you mean 'config'?"),
    ],
)
def test_what_is_refused(spec, problem):
    (found,) = problems(spec)
    assert found.startswith(problem)
