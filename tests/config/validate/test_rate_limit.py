"""RateLimit: what is refused, in the user's words."""

import pytest

from tage.config.errors import ConfigError
from tage.config.load import load_text


def load(spec: str):
    text = f"apiVersion: tage.dev/v1alpha1\nkind: RateLimit\nmetadata: {{name: r}}\nspec: {spec}\n"
    (resource,) = load_text(text)
    return resource.spec


def test_all_fields():
    spec = load(
        "{host: reviews, direction: outbound, routes: [a], headers: {x-a: {prefix: b}, x-c: {}}, requests: 5, per: 1m,"
        " burst: 9, descriptors: [{header: x-user, value: ann, requests: 2, per: 1h, burst: 3}, "
        "{header: x-user, requests: 1}]}"
    )
    assert (spec.host, spec.direction, spec.routes, spec.requests, spec.per, spec.burst) == (
        "reviews",
        "outbound",
        ["a"],
        5,
        "1m",
        9,
    )
    assert [(each.header, each.value, each.requests) for each in spec.descriptors] == [
        ("x-user", "ann", 2),
        ("x-user", "", 1),
    ]


@pytest.mark.parametrize(
    ("spec", "path", "says"),
    [
        ("{requests: 1}", "spec.host", "missing"),
        ("{host: 'a b', requests: 1}", "spec.host", "not a host"),
        ("{host: a}", "spec.requests", "nothing would be limited"),
        ("{host: a, requests: 1, direction: up}", "spec.direction", "inbound"),
        ("{host: a, requests: 1, routes: [x]}", "spec.routes", "only an outbound limit"),
        ("{host: a, requests: -1}", "spec.requests", "not possible"),
        ("{host: a, requests: 1, per: 49ms}", "spec.per", "50ms"),
        ("{host: a, requests: 1, per: 25h}", "spec.per", "at most 24h"),
        ("{host: a, requests: 1, per: fast}", "spec.per", "not a duration"),
        ("{host: a, burst: 4, descriptors: [{header: b, requests: 1}]}", "spec.burst", "there are none"),
        ("{host: a, requests: 1, headers: {'a b': {}}}", "spec.headers", "header"),
        ("{host: a, descriptors: [{header: b, requests: 0}]}", "spec.descriptors[0].requests", "at least 1"),
        ("{host: a, descriptors: [{requests: 1}]}", "spec.descriptors[0].header", "missing"),
        (
            "{host: a, descriptors: [{header: b, requests: 1}, {header: b, requests: 2}]}",
            "spec.descriptors[1]",
            "another one",
        ),
    ],
)
def test_refused(spec, path, says):
    with pytest.raises(ConfigError) as caught:
        load(spec)
    assert any(problem.path.startswith(path) and says in problem.message for problem in caught.value.problems), [
        str(problem) for problem in caught.value.problems
    ]
