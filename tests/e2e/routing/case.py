"""The data files, read: `File`, `Case`, `Ask`. A word that is not known there is an error, so that none is ignored."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml

CASES = Path(__file__).with_name("cases")


@dataclass(frozen=True)
class Ask:
    """One request and what is to come of it; the package tells the words."""

    path: str = "/"
    method: str = "GET"
    host: str = ""
    headers: Any = ()
    body: str = ""
    play: str = ""
    times: int = 1

    to: Any = None
    status: int = 0
    seen: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] = field(default_factory=dict)
    split: dict[str, float] = field(default_factory=dict)
    sticky: bool = False
    same: bool = False
    attempts: int | None = None
    took: tuple[float, float] | None = None
    mirrored: list[dict[str, Any]] | None = None
    explained: dict[str, Any] = field(default_factory=dict)

    @property
    def backends(self) -> list[str]:
        """Those that may answer; none: the proxy answers itself."""
        if self.split:
            return list(self.split)
        if self.to is None:
            return []
        return [self.to] if isinstance(self.to, str) else list(self.to)

    @property
    def expected_status(self) -> int:
        return self.status or (200 if self.backends else 404)

    def numbered(self, number: int) -> Ask:
        """The one with that number of all `times`."""
        fill = str(number)
        pairs = [(name, value.replace("{n}", fill)) for name, value in self.pairs]
        return replace(self, path=self.path.replace("{n}", fill), headers=pairs)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        pairs = self.headers.items() if isinstance(self.headers, dict) else self.headers
        return [(str(name), str(value)) for name, value in pairs]

    def of(self, proxy: str) -> Ask:
        """As it is to be with `proxy`."""
        return replace(self, **self.explained.get(proxy, {}), explained={})


@dataclass(frozen=True, eq=False)
class Case:
    id: str
    requests: list[Ask]
    http: list[Any] | None = None
    destination_rules: list[Any] = field(default_factory=list)
    resources: list[Any] | None = None
    virtual_host: dict[str, Any] | None = None
    virtual_hosts: list[Any] | None = None
    services: list[dict[str, Any]] = field(default_factory=list)
    node: dict[str, Any] = field(default_factory=dict)
    pending: str = ""

    @property
    def host(self) -> str:
        return f"{self.id}.test"

    @property
    def is_istio(self) -> bool:
        return self.http is not None or self.resources is not None


@dataclass(frozen=True, eq=False)
class File:
    name: str
    about: str
    cases: list[Case]
    filters: list[Any] = field(default_factory=list)

    @property
    def is_istio(self) -> bool:
        """Whether its listener is the one that Pilot makes."""
        return self.cases[0].is_istio


def load() -> list[File]:
    files = [_file(path) for path in sorted(CASES.glob("*.yaml"))]
    ids = [case.id for file in files for case in file.cases]
    twice = {each for each in ids if ids.count(each) > 1}
    assert not twice, f"ids that stand twice: {twice}"
    return files


def _file(path: Path) -> File:
    content = yaml.load(path.read_text(), yaml.CSafeLoader)  # many times as quick as the one in Python
    content.pop("names", None)
    cases = [_case(each, f"{path.name}: {each.get('id')}") for each in content.pop("cases")]
    found = File(path.stem, cases=cases, **_known(content, File, path.name))
    assert len({case.is_istio for case in cases}) == 1, f"{path.name}: cases in Istio's words and in Envoy's"
    assert not (found.is_istio and found.filters), f"{path.name}: Pilot says which filters there are"
    return found


def _case(content: dict[str, Any], where: str) -> Case:
    kinds = {"http", "resources", "virtual_host", "virtual_hosts"} & set(content)
    assert len(kinds) == 1, f"{where}: needs one of http, resources, virtual_host and virtual_hosts"
    asked = content.pop("requests")
    asked = asked.split(", ") if isinstance(asked, str) else asked
    requests = [_ask(each, f"{where}: requests[{i}]") for i, each in enumerate(asked)]
    assert requests, f"{where}: no requests"
    return Case(requests=requests, **_known(content, Case, where))


def _ask(content: dict[str, Any] | str, where: str) -> Ask:
    if isinstance(content, str):
        return _line(content, where)
    ask = Ask(**_known(content, Ask, where))
    if ask.explained:
        assert set(ask.explained) == {"why", "envoy"}, f"{where}: explained has `why` and `envoy`"
        _known(ask.explained["envoy"], Ask, f"{where}.explained.envoy")
    return ask


def _line(text: str, where: str) -> Ask:
    """`[METHOD] PATH [name:value]... -> BACKEND or STATUS`"""
    request, _, outcome = text.partition(" -> ")
    words = request.split()
    method = words.pop(0) if words[0].isalpha() else "GET"
    headers = [tuple(word.split(":", 1)) for word in words[1:]]
    assert outcome, f"{where}: {text!r} does not say what is to come of it"
    assert all(len(pair) == 2 for pair in headers), f"{where}: {text!r}: a header is `name:value`"
    status = int(outcome) if outcome.isdigit() else 0
    return Ask(words[0], method, headers=headers, to=None if status else outcome, status=status)


def _known(content: dict[str, Any], kind: type, where: str) -> dict[str, Any]:
    unknown = set(content) - {each.name for each in fields(kind)}
    assert not unknown, f"{where}: unknown words {unknown}"
    return content
