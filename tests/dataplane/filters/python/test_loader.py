"""Source -> module -> class -> object; what is wrong is told with its place."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

import tage
from tage.dataplane.filters.python.loader import LoadError, Modules, find_class, find_module, make

GOOD = b"""
from __future__ import annotations
from dataclasses import dataclass
import tage

@dataclass
class Seen:
    count: int = 0

class Auth(tage.Filter):
    def __init__(self, config):
        super().__init__(config)
        if "keys" not in config:
            raise ValueError("config.keys is missing")
        self.seen = Seen()
    def on_request(self, request):
        self.seen.count += 1
"""


def load(source: bytes, file: str = "/f/auth.py") -> types.ModuleType:
    return Modules().load(file, source)


def test_a_class_is_found_and_made():
    modules = Modules()
    module = modules.load("/f/auth.py", GOOD)
    kind = find_class(module, "Auth", "auth.py")
    filter = make(kind, {"keys": ["a"]}, "auth.py:Auth")
    assert isinstance(filter, tage.Filter)
    assert filter.config == {"keys": ["a"]}
    assert module.__file__ == "/f/auth.py"
    assert sys.modules[module.__name__] is module
    modules.keep([])
    assert module.__name__ not in sys.modules


def test_the_configuration_is_the_filters_own():
    given: dict[str, Any] = {"keys": ["a"]}
    filter = make(find_class(load(GOOD), "Auth", "auth.py"), given, "auth.py:Auth")
    filter.config["keys"].append("b")
    assert given == {"keys": ["a"]}


def test_each_content_has_a_module_of_its_own_and_those_not_used_are_forgotten():
    before = {name for name in sys.modules if name.startswith("tage_filter_")}
    modules = Modules()
    loaded = [modules.load("/f/auth.py", GOOD + b"# %d\n" % number) for number in range(20)]
    assert len({module.__name__ for module in loaded}) == len(modules) == 20
    assert modules.load("/f/auth.py", GOOD + b"# 3\n") is loaded[3]
    modules.keep([("/f/auth.py", GOOD + b"# 3\n")])
    assert len(modules) == 1
    assert {name for name in sys.modules if name.startswith("tage_filter_")} - before == {loaded[3].__name__}
    modules.keep([])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"x = (", "/f/auth.py: line 1: SyntaxError"),
        (b"\xff", "/f/auth.py: "),
        (b"import tage\n\n1 / 0\n", "/f/auth.py: ZeroDivisionError: division by zero (/f/auth.py:3)"),
        (b"raise SystemExit(3)", "/f/auth.py: SystemExit: 3 (/f/auth.py:1)"),
        (b"import no_such_package", "ModuleNotFoundError: No module named 'no_such_package' (/f/auth.py:1)"),
    ],
)
def test_a_module_that_does_not_load(source, said):
    before = set(sys.modules)
    with pytest.raises(LoadError) as caught:
        load(source)
    assert said in str(caught.value)
    assert not [name for name in set(sys.modules) - before if name.startswith("tage_filter_")]


HEAD = b"import tage\nclass A(tage.Filter):\n"


@pytest.mark.parametrize(
    ("source", "name", "said"),
    [
        (GOOD, "Other", "auth.py has no 'Other'; its filters: Auth"),
        (b"x = 1", "A", "auth.py has no 'A'"),
        (b"class A: pass", "A", "A is not a class derived from tage.Filter"),
        (b"A = 7", "A", "A is not a class derived from tage.Filter"),
        (b"from tage import Filter as A", "A", "A is not a class derived from tage.Filter"),
        (HEAD + b"    pass", "A", "has neither on_request nor on_response"),
        (HEAD + b"    def on_reqest(self, request): pass", "A", "nothing calls on_reqest"),
        (HEAD + b"    def on_request(self): pass", "A", "on_request has to take (self, request)"),
        (HEAD + b"    def on_response(self, response): pass", "A", "has to take (self, response, request)"),
        (HEAD + b"    def on_request(self, request): yield", "A", "on_request is a generator"),
        (HEAD + b"    async def on_request(self, request): yield", "A", "on_request is a generator"),
    ],
)
def test_a_class_that_is_no_filter(source, name, said):
    with pytest.raises(LoadError) as caught:
        find_class(load(source), name, "auth.py")
    assert said in str(caught.value)


def test_a_configuration_that_the_filter_refuses():
    with pytest.raises(LoadError, match=r"^auth.py:Auth: config.keys is missing$"):
        make(find_class(load(GOOD), "Auth", "auth.py"), {}, "auth.py:Auth")


def test_a_filter_that_breaks_while_it_is_made():
    source = (
        b"import tage\nclass A(tage.Filter):\n  def __init__(self, c):\n    c['x']\n  def on_request(self, r): pass"
    )
    with pytest.raises(LoadError, match=r"A: __init__: KeyError: 'x' \(/f/auth.py:4\)"):
        make(find_class(load(source), "A", "auth.py"), {}, "auth.py:A")


def test_a_module_of_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = tmp_path / "acme_filters"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "auth.py").write_bytes(GOOD)
    (package / "broken.py").write_text("import acme_missing")
    monkeypatch.syspath_prepend(tmp_path)
    assert find_class(find_module("acme_filters.auth"), "Auth", "acme_filters.auth").__name__ == "Auth"
    with pytest.raises(LoadError, match="No module named 'acme_missing'"):
        find_module("acme_filters.broken")
    for name in ("acme_filters.nothing", "acme_nothing", "acme_nothing.auth"):
        with pytest.raises(LoadError, match=f"no module '{name}' is installed"):
            find_module(name)
    for name in [name for name in sys.modules if name.startswith("acme_")]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["antigravity", "os", "os.path", "builtins", "tage", "tage.cli"])
def test_modules_that_are_not_even_looked_at(name):
    before = set(sys.modules)
    with pytest.raises(LoadError, match="has no filters"):
        find_module(name)
    assert set(sys.modules) == before
