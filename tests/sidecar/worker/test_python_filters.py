"""Filters in Python become a part of the tables: with the plan or not at all, and what stays keeps its state."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

import pytest

from tage.dataplane.filters.python.filter import PythonFilter
from tage.sidecar import plan
from tage.sidecar.worker import loading
from tage.sidecar.worker.python_filters import config_key
from tage.sidecar.worker.tables import PlanRefused
from tests.sidecar.worker.test_tables import ANY, cluster, endpoints, listener, worker

__all__ = ["worker"]

FILE = "/filters/gate.py"
SOURCE = """
import tage

class Auth(tage.Filter):
    def __init__(self, config):
        super().__init__(config)
        if config.get("bad"):
            raise ValueError("config.bad is bad")

    def on_request(self, request):
        pass
"""


def code(text: str = SOURCE) -> plan.FilterCode:
    return plan.FilterCode(FILE, text.encode())


def spec(name: str = "auth", kind: str = "Auth", **fields: Any) -> plan.PythonFilter:
    return plan.PythonFilter(name, kind, **{"file": FILE, **fields})


def routes(**settings: plan.AnyFilterSettings) -> plan.Routes:
    rule = plan.Route(ANY, clusters=[plan.WeightedCluster("c")], filters=settings)
    return plan.Routes("r", [plan.VirtualHost("v", ["*"], [rule])])


def whole(*filters: plan.PythonFilter, source: str = SOURCE, **settings: plan.AnyFilterSettings) -> Any:
    return endpoints(), cluster(), routes(**settings), code(source), listener(filters=list(filters))


def filters(worker: Any) -> list[PythonFilter]:
    return worker.state().filters or []


def objects(worker: Any) -> list[Any]:
    return [each.instance.filter for each in filters(worker)]


def refusal(worker: Any, *sections: plan.Section, **fields: Any) -> str:
    with pytest.raises(PlanRefused) as caught:
        worker.prepare(*sections, **fields)
    worker.tables.abort()
    return str(caught.value)


def modules() -> set[str]:
    return {name for name in sys.modules if name.startswith("tage_filter_gate_")}


@pytest.fixture(autouse=True)
def _no_module_is_left(worker: Any) -> Any:
    yield
    worker.apply(*whole()[:3], listener(), removed=[("filter_code", FILE)])
    assert modules() == set()


def test_a_filter_is_made_of_code_and_configuration(worker):
    worker.apply(*whole(spec(config={"a": 1}, timeout=7, blocking_threshold=20, fails_open=True)), full=True)
    (found,) = filters(worker)
    assert (found.name, type(found.instance.filter).__name__, found.instance.filter.config) == (
        "auth",
        "Auth",
        {"a": 1},
    )
    assert (found.instance.label, found.instance.file) == (f"{FILE}:Auth", FILE)
    assert (found.instance.timeout, found.instance.blocking_us, found.instance.fails_open) == (7, 20_000, True)


def test_a_filter_that_stays_keeps_its_state(worker):
    worker.apply(*whole(spec(), spec("other")), full=True)
    before = objects(worker)
    assert before[0] is not before[1]
    worker.apply(endpoints("c", "10.0.0.2"))
    worker.apply(listener(filters=[spec("other"), spec()], server_name="x"))
    worker.apply(routes())
    assert objects(worker) == before[::-1]


@pytest.mark.parametrize(
    "changed",
    [
        [code(SOURCE + "# another\n")],
        [listener(filters=[spec(config={"a": 1})])],
        [listener(filters=[spec(timeout=1)])],
    ],
)
def test_what_changes_is_made_anew(worker, changed):
    worker.apply(*whole(spec()), full=True)
    chain, before = filters(worker), objects(worker)
    worker.apply(*changed)
    assert objects(worker)[0] is not before[0]
    assert filters(worker) is not chain
    assert chain[0].instance.filter is before[0]  # of requests under way
    assert len(modules()) == 1


def test_nothing_is_changed_before_the_commit(worker):
    worker.apply(*whole(spec()), full=True)
    before = objects(worker)
    draft = worker.prepare(code(SOURCE + "# another\n"))
    assert objects(worker) == before
    worker.tables.abort()
    assert objects(worker) == before
    assert len(modules()) == 1
    del draft


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        ([code("x = (")], "python filter /filters/gate.py: line 1: SyntaxError"),
        ([code("import tage\n1 / 0")], "ZeroDivisionError: division by zero (/filters/gate.py:2)"),
        ([code("")], "python filter /filters/gate.py has no 'Auth'"),
        ([listener(filters=[spec(config={"bad": True})])], "python filter /filters/gate.py:Auth: config.bad is bad"),
        ([listener(filters=[spec(file="/filters/other.py")])], "filter_code '/filters/other.py' is not in the plan"),
        ([listener(filters=[spec(file="", module="acme_nothing")])], "no module 'acme_nothing' is installed"),
        ([routes(auth=plan.PythonFilterRoute("auth", {"bad": True}))], "config.bad is bad"),
    ],
)
def test_what_does_not_load_refuses_the_plan_and_the_former_stays(worker, sections, reason):
    worker.apply(*whole(spec()), full=True)
    before = objects(worker)
    assert reason in refusal(worker, *sections)
    assert objects(worker) == before
    assert len(modules()) == 1
    worker.apply(endpoints("c", "10.0.0.2"))
    assert objects(worker) == before


def test_routes_have_instances_of_their_own(worker):
    config = {"only": "here"}
    worker.apply(*whole(spec(), auth=plan.PythonFilterRoute("auth", config)), full=True)
    (found,) = filters(worker)
    assert list(found.routes) == [config_key(config)]
    own = found.routes[config_key(config)].filter
    assert own.config == config
    (route,) = worker.state().routes.virtual_hosts[0].routes
    assert route.filters == {"auth": config_key(config)}
    worker.apply(routes(auth=plan.PythonFilterRoute("auth", {"other": 1})))
    (found,) = filters(worker)
    assert list(found.routes) == [config_key({"other": 1})]
    worker.apply(routes())
    assert filters(worker)[0].routes == {}


def test_two_listeners_share_what_is_the_same(worker):
    worker.apply(*whole(spec()), listener("m", filters=[spec()]), full=True)
    (one,), (other,) = worker.state().filters, worker.state("m").filters
    assert one.instance is other.instance
    worker.apply(removed=[("listener", "m")])


def test_a_filter_that_does_not_finish_loading_is_refused_and_the_next_plan_too(worker, monkeypatch):
    monkeypatch.setattr(loading, "LOAD_SECONDS", 0.05)
    goes_on = threading.Event()
    monkeypatch.setitem(sys.modules, "_goes_on_of_the_test", goes_on)
    slow = code("import sys\nsys.modules['_goes_on_of_the_test'].wait(30)\n" + SOURCE)
    worker.apply(*whole()[:3], listener(), full=True)
    interval = sys.getswitchinterval()
    assert "does not load within 0.05 s" in refusal(worker, slow, listener(filters=[spec()]))
    assert sys.getswitchinterval() == interval
    assert "is still being loaded" in refusal(worker, code(), listener(filters=[spec()]))
    goes_on.set()
    assert worker.tables._python._loader._done.wait(30)
    worker.apply(code(), listener(filters=[spec()]))
    assert len(objects(worker)) == 1


def test_loading_runs_beside_the_loop(worker):
    """The loop has its turns while a module is loaded."""
    worker.apply(*whole()[:3], listener(), full=True)
    turns = 0

    async def prepare() -> Any:
        nonlocal turns

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.001)

        counting = asyncio.create_task(count())
        slow = code("import time\ntime.sleep(0.3)\n" + SOURCE)
        sections = [slow, listener(filters=[spec()])]
        upserts = [(plan.kind_of(section), section.name, plan.encode(section)) for section in sections]
        draft = await worker.tables.prepare(plan.Prepare(9, False, upserts))
        counting.cancel()
        return draft

    worker.commit(asyncio.run(prepare()))
    assert turns > 5
    assert len(objects(worker)) == 1
