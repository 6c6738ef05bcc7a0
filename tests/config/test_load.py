from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tage.config.errors import ConfigError, Problem
from tage.config.load import load_file, load_objects, load_text
from tage.config.mesh import Mesh
from tage.config.networking import DestinationRule, HTTPRoute, StringMatch, VirtualService
from tests.config.samples import virtual_service

MESH = """\
apiVersion: tage.dev/v1alpha1
kind: Mesh
metadata: {name: bookshop}
spec:
  services:
  - name: reviews
    instances:
    - {version: v1, replicas: 2, command: "python reviews.py", env: {STARS: "none"}}
    - {version: v2, command: "python reviews.py"}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - match:
    - uri: {prefix: /api}
      headers: {x-user: {exact: jason}, x-any: {}}
    route:
    - destination: {host: reviews, subset: v2, port: {number: 80}}
    timeout: 1.5s
    retries: {attempts: 3, perTryTimeout: 250ms, retryOn: "5xx,connect-failure,503"}
  - route:
    - {destination: {host: reviews, subset: v1}, weight: 90}
    - {destination: {host: reviews, subset: v2}, weight: 10}
---
---
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
"""


def problems(load: Callable[[], object]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load()
    return [str(problem) for problem in caught.value.problems]


def test_a_mesh_file() -> None:
    mesh, service, rule = load_text(MESH)
    assert isinstance(mesh.spec, Mesh)
    assert mesh.spec.services[0].instances[0].env == {"STARS": "none"}
    assert isinstance(service.spec, VirtualService)
    assert service.key == ("VirtualService", "default", "reviews")
    first: HTTPRoute = service.spec.http[0]
    assert first.match[0].headers == {"x-user": StringMatch(exact="jason"), "x-any": StringMatch()}
    assert first.retries is not None
    assert first.retries.per_try_timeout == "250ms"
    assert isinstance(rule.spec, DestinationRule)
    assert rule.api_version == "networking.istio.io/v1beta1"


def test_nothing() -> None:
    assert load_text("") == []
    assert load_text("# only a comment\n---\n") == []


def test_every_problem_with_line_and_path() -> None:
    text = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: Reviews}
spec:
  hosts: [reviews]
  http:
  - route:
    - destination: {host: reviews}
      weight: -1
    timeout: 0.1ms
---
apiVersion: networking.istio.io/v1
kind: VirtualServic
metadata: {nam: reviews}
---
apiVersion: networking.istio.io/v2
kind: DestinationRule
metadata: {name: reviews}
specs: {}
spec:
  subsets:
  - name: v1
    labels: {version: 1}
  trafficPolicy: {tunnel: {}}
"""
    assert problems(lambda: load_text(text, "f.yaml")) == [
        "f.yaml:3: metadata.name: 'Reviews' is not a DNS name: lower-case letters, digits, '-' and '.' inside, "
        "at most 253 characters",
        "f.yaml:9: spec.http[0].route[0].weight: -1 is negative",
        "f.yaml:10: spec.http[0].timeout: '0.1ms' is finer than 1ms; use whole milliseconds",
        "f.yaml:12: spec: is missing",
        "f.yaml:13: kind: unknown kind 'VirtualServic'; did you mean 'VirtualService'?",
        "f.yaml:14: metadata.nam: unknown field; did you mean 'name'?",
        "f.yaml:14: metadata.name: is missing",
        "f.yaml:16: apiVersion: 'networking.istio.io/v2' has no DestinationRule; write networking.istio.io/v1, "
        "networking.istio.io/v1beta1, networking.istio.io/v1alpha3",
        "f.yaml:19: specs: unknown field; did you mean 'spec'?",
        "f.yaml:20: spec.host: is missing",
        "f.yaml:23: spec.subsets[0].labels.version: expected a string, got the number 1; put it in quotes",
        "f.yaml:24: spec.trafficPolicy.tunnel: is not carried out by Tage yet; take it out",
    ]


def test_what_is_no_resource() -> None:
    assert problems(lambda: load_text("- a\n", "f.yaml")) == [
        "f.yaml:1: expected a resource: a mapping with apiVersion, kind, metadata, spec"
    ]
    assert problems(lambda: load_text("a: 1\n", "f.yaml")) == [
        "f.yaml:1: apiVersion: is missing",
        "f.yaml:1: kind: is missing",
        "f.yaml:1: a: unknown field; fields here: apiVersion, kind, metadata, spec",
        "f.yaml:1: metadata: is missing",
        "f.yaml:1: spec: is missing",
    ]


def test_the_same_resource_twice() -> None:
    (problem,) = problems(lambda: load_text(virtual_service() + "---\n" + virtual_service(), "f.yaml"))
    assert problem == "f.yaml:13: metadata.name: VirtualService default/reviews is defined twice, first in line 1"
    assert len(load_text(virtual_service() + "---\n" + virtual_service(namespace="other"))) == 2


def test_a_list_stands_for_its_items() -> None:
    indented = virtual_service().replace("\n", "\n  ").rstrip()
    text = f"apiVersion: v1\nkind: List\nmetadata: {{resourceVersion: ''}}\nitems:\n- {indented}\n"
    assert load_text(text) == load_text(virtual_service())
    broken = text.replace("timeout: 1s", "timeout: 1x")
    assert problems(lambda: load_text(broken, "f.yaml"))[0].startswith("f.yaml:15: items[0].spec.http[0].timeout: ")
    assert problems(lambda: load_text("kind: List\nitems: 5\nitem: 1\n", "f.yaml")) == [
        "f.yaml:2: items: expected a list",
        "f.yaml:3: item: unknown field; did you mean 'items'?",
    ]


def test_what_a_kubernetes_api_server_adds_is_dropped() -> None:
    text = virtual_service().replace("metadata:\n", "metadata:\n  uid: x\n  generation: 3\n  managedFields: [{}]\n")
    assert load_text(text + "status: {}\n") == load_text(virtual_service())


def test_json() -> None:
    value = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "reviews"},
        "spec": {"hosts": ["reviews"], "http": [{"route": [{"destination": {"host": "reviews"}}], "timeout": "1s"}]},
    }
    assert load_text(json.dumps(value, indent="\t")) == load_text(virtual_service())
    assert load_objects([value]) == load_text(virtual_service())


def test_objects_have_a_path_but_no_line() -> None:
    assert problems(lambda: load_objects([{"kind": "VirtualService"}, 5, object()])) == [
        "items[2]: object is not a JSON value",
        "items[0].apiVersion: is missing",
        "items[0].metadata: is missing",
        "items[0].spec: is missing",
        "items[1]: expected a resource: a mapping with apiVersion, kind, metadata, spec",
        "items[2]: expected a resource: a mapping with apiVersion, kind, metadata, spec",
    ]


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "mesh.yaml"
    assert problems(lambda: load_file(file)) == [f"{file}: cannot be read: No such file or directory"]
    file.write_bytes(b"\xef\xbb\xbf" + MESH.encode())
    assert len(load_file(file)) == 3
    file.write_bytes(b"a: 1\nb: \xff\n")
    assert problems(lambda: load_file(str(file))) == [f"{file}:2: is not UTF-8 text"]


@given(st.data())
def test_only_config_errors_escape(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(MESH)))
    end = min(len(MESH), start + data.draw(st.integers(0, 40)))
    text = MESH[:start] + data.draw(st.text("{}[]:-, \n'\"&*1ax~!|", max_size=12)) + MESH[end:]
    found: tuple[Problem, ...] = ()
    try:
        load_text(text)
    except ConfigError as error:
        found = error.problems
    assert all(problem.line > 0 for problem in found)
