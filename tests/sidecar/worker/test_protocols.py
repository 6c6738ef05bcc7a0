"""RPC protocols become a part of the tables: with the plan or not at all, and who stays the same keeps his."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import pytest

from tage.dataplane.net.inspection import NO, YES
from tage.dataplane.protocols.xprotocol.settings import MODES
from tage.dataplane.streams.http1_downstream import Http1DownstreamConnection
from tage.dataplane.streams.http1_upstream import Http1UpstreamConnection
from tage.dataplane.streams.rpc_downstream import RpcDownstreamConnection
from tage.dataplane.streams.rpc_upstream import RpcUpstreamConnection
from tage.dataplane.telemetry import reader
from tage.sidecar import plan
from tage.sidecar.worker import protocols
from tage.sidecar.worker.tables import WHOLE, PlanRefused
from tests.sidecar.worker.test_tables import ANY, cluster, endpoints, listener, routes, worker

__all__ = ["worker"]

FILE = "/protocols/ledger.py"
SOURCE = """
from tage.xprotocol import Frame, Protocol, pairs, u16, u32

class Ledger(Protocol):
    name = "ledger"
    _parts = dict(service=u16(12), method=u16(14), metadata=u32(16), body=u32(20))
    request = Frame({0: b"LG", 2: 1, 3: 1}, header=24, id=u32(4), timeout=u32(8), parts=_parts)
    response = Frame({0: b"LG", 2: 1, 3: 0}, header=24, id=u32(4), status=u16(8), parts=_parts)
    metadata = pairs(u16)
    heartbeat_interval = 0
"""
TALLY = SOURCE.replace("Ledger", "Tally").replace('"ledger"', '"tally"').replace('b"LG"', 'b"TA"')
LEDGER = plan.XProtocol("ledger")


def code(text: str = SOURCE, file: str = FILE) -> plan.ProtocolCode:
    return plan.ProtocolCode(file, text.encode())


def whole(text: str = SOURCE, downstream: Any = LEDGER, upstream: Any = None, **fields: Any) -> Any:
    spoken = upstream or plan.XProtocolUpstream("ledger")
    return code(text), endpoints(), cluster(x_protocol=spoken), routes(), listener(x_protocol=downstream, **fields)


def plain(**fields: Any) -> plan.Listener:
    return plan.Listener("l", "127.0.0.1", 80, chains=[plan.FilterChain(http=plan.Http("r"))], **fields)


def applied(worker: Any, *sections: Any, **fields: Any) -> Any:
    worker.apply(*(sections or whole()), full=True, **fields)
    return worker.state().rpc


def upstream(worker: Any) -> Any:
    return worker.context.clusters["c"].rpc


def made(worker: Any) -> Any:
    """What a connection to the listener becomes."""
    return worker.tables.listeners["l"].entrance.chains[0].make()


def test_a_chain_and_a_cluster(worker):
    rpc = applied(worker)
    assert rpc.protocol.name == "ledger"
    assert upstream(worker).protocol is rpc.protocol, "one object of it"
    assert (rpc.names, rpc.limit, rpc.whole, rpc.max_requests) == (True, 16 << 20, WHOLE, 1024)
    assert upstream(worker).mode == MODES["multiplexed"]
    assert isinstance(made(worker), RpcDownstreamConnection)
    (host,) = worker.context.clusters["c"].hosts
    assert isinstance(worker.tables._connection(host), RpcUpstreamConnection)
    assert worker.context.methods is not None


def test_what_they_say_is_carried_over(worker):
    spoken = plan.XProtocolUpstream("ledger", "ping_pong", 7, 1_500, 8192)
    rpc = applied(worker, *whole(downstream=plan.XProtocol("ledger", "frame", 5000, 3), upstream=spoken))
    assert (rpc.names, rpc.limit, rpc.whole, rpc.max_requests) == (False, 5000, 5000, 3)
    found = upstream(worker)
    assert (found.mode, found.max_requests, found.heartbeat_interval, found.limit) == (
        MODES["ping_pong"],
        1,
        1_500,
        8192,
    )


def test_http_needs_none_of_it(worker):
    worker.apply(endpoints(), cluster(), routes(), listener(), full=True)
    assert worker.tables._protocols is None
    assert worker.context.methods is None
    assert isinstance(made(worker), Http1DownstreamConnection)
    (host,) = worker.context.clusters["c"].hosts
    assert isinstance(worker.tables._connection(host), Http1UpstreamConnection)


def test_frames_are_whole_where_headers_are_looked_at(worker):
    rpc = applied(worker)
    assert rpc.whole == WHOLE
    match = plan.RouteMatch(plan.StringMatch("prefix", "/"), [plan.HeaderMatch("version")])
    rule = plan.Route(match, clusters=[plan.WeightedCluster("c")])
    worker.apply(plan.Routes("r", [plan.VirtualHost("v", ["*"], [rule])]))
    assert worker.state().rpc is rpc
    assert rpc.whole == rpc.limit
    worker.apply(routes())
    assert rpc.whole == WHOLE
    worker.apply(listener(x_protocol=LEDGER, filters=[plan.Fault("f")]))
    assert worker.state().rpc.whole == rpc.limit


def test_who_stays_the_same_keeps_his(worker):
    rpc = applied(worker)
    state, spoken = worker.state(), upstream(worker)
    (host,) = worker.context.clusters["c"].hosts
    assert worker.apply(routes(timeout=1), cluster(max_requests=5, x_protocol=plan.XProtocolUpstream("ledger"))) == (
        [],
        [],
        [],
    )
    assert worker.state() is state
    assert state.rpc is rpc
    assert upstream(worker) is spoken
    assert worker.context.clusters["c"].hosts == [host]


def test_a_new_version_of_the_code_is_for_connections_to_come(worker):
    rpc = applied(worker)
    state, spoken = worker.state(), upstream(worker)
    (host,) = worker.context.clusters["c"].hosts
    _, _, drained = worker.apply(code(SOURCE.replace("heartbeat_interval = 0", "heartbeat_interval = 9")))
    assert drained == [state], "its connections end when they are done"
    assert (state.rpc, state.carries) == (rpc, "ledger"), "with what they began with"
    assert worker.state() is not state
    assert worker.state().rpc.protocol is upstream(worker).protocol is not rpc.protocol
    assert upstream(worker).heartbeat_interval == 9
    assert spoken.heartbeat_interval == 0
    assert worker.context.clusters["c"].hosts != [host]
    assert host.retired
    assert worker.state().routes is state.routes


def test_a_chain_in_a_new_state_has_all_that_it_had(worker, monkeypatch):
    """Filters and logs are made for listeners that have changed, and this one has not."""

    async def opened(logs):
        return [object() for _ in logs]

    monkeypatch.setattr(worker.tables.logs, "prepare", opened)
    applied(worker, *whole(filters=[plan.Fault("f")], access_logs=[plan.AccessLog("/dev/null")], idle_timeout=7))
    worker.apply(code(SOURCE + "# another\n"))
    state = worker.state()
    assert len(state.filters) == 1
    assert len(state.access_logs) == 1
    assert state.idle_timeout == 7


def test_other_settings_are_for_connections_to_come(worker):
    applied(worker)
    state = worker.state()
    _, _, drained = worker.apply(listener(x_protocol=plan.XProtocol("ledger", max_requests=3)))
    assert drained == [state]
    assert worker.state().rpc.max_requests == 3


def test_from_http_and_back(worker):
    worker.apply(endpoints(), cluster(), routes(), listener(), full=True)
    before = worker.state()
    (host,) = worker.context.clusters["c"].hosts
    _, _, drained = worker.apply(*whole())
    assert drained == [before]
    assert host.retired, "what it has open speaks HTTP"
    assert worker.context.clusters["c"].carries == "ledger"
    worker.apply(cluster(), listener())
    assert (worker.state().rpc, upstream(worker), worker.context.clusters["c"].carries) == (None, None, None)
    assert isinstance(made(worker), Http1DownstreamConnection)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1/0", r"protocol /protocols/ledger.py: ZeroDivisionError: division by zero \(/protocols/ledger.py:1\)"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("x = 1", r"/protocols/ledger.py: has no protocol: no class derived from tage.xprotocol.Protocol"),
        ("from tage.xprotocol import Protocol", "has no protocol"),
        (SOURCE.replace("header=24", "header=2"), r"/protocols/ledger.py:4: .*Ledger"),
        (SOURCE.replace('"ledger"', '""'), r"/protocols/ledger.py:4: Ledger.name: ''"),
        (SOURCE.replace('"ledger"', '"x-ledger"'), "no x- in front"),
        (SOURCE.replace('"ledger"', '"bolt"'), "the name 'bolt' is taken, by one that is built in"),
        (SOURCE + SOURCE.replace("Ledger", "Other"), "the name 'ledger' stands twice in this file"),
        (TALLY, "filter chain '#0': there is no protocol 'ledger'; there are bolt, dubbo, .*tally"),
    ],
)
def test_what_refuses_a_plan(worker, text, reason):
    rpc = applied(worker)
    with pytest.raises(PlanRefused, match=reason):
        worker.prepare(code(text))
    worker.tables.abort()
    assert worker.state().rpc is rpc
    worker.apply(code(SOURCE + "# another\n"))
    assert worker.state().rpc.protocol is not rpc.protocol


def test_a_name_in_two_files(worker):
    applied(worker)
    with pytest.raises(PlanRefused, match=r"b\.py: the name 'ledger' is taken, by one of /protocols/ledger\.py"):
        worker.prepare(code(SOURCE, "/protocols/b.py"))
    worker.tables.abort()
    worker.apply(code(TALLY, "/protocols/b.py"))
    worker.apply(listener("m", x_protocol=plan.XProtocol("tally")))
    assert worker.state("m").rpc.protocol.name == "tally"


def test_who_asks_for_what_is_not_there(worker):
    sections = [endpoints(), cluster(), routes()]
    with pytest.raises(
        PlanRefused, match=r"listener 'l': filter chain '#0': there is no protocol 'ledger'; there are b"
    ):
        worker.prepare(*sections, listener(x_protocol=LEDGER), full=True)
    with pytest.raises(PlanRefused, match="cluster 'c': there is no protocol 'ledger'"):
        worker.prepare(endpoints(), cluster(x_protocol=plan.XProtocolUpstream("ledger")), full=True)
    inspecting = plain(inspect_protocols=["no"])
    with pytest.raises(PlanRefused, match="listener 'l': inspect_protocols: there is no protocol 'no'"):
        worker.prepare(*sections, inspecting, full=True)


def test_a_mode_that_a_protocol_cannot_have(worker):
    ordered = SOURCE.replace("id=u32(4), ", "").replace(
        "    metadata =", '    multiplexing = "ordered"\n    metadata ='
    )
    with pytest.raises(PlanRefused, match="cluster 'c': the frames of 'ledger' have no ids"):
        worker.prepare(*whole(ordered, upstream=plan.XProtocolUpstream("ledger", "multiplexed")), full=True)


def test_what_is_looked_for_in_first_bytes(worker):
    chain = plan.FilterChain(http=plan.Http("r", x_protocol=LEDGER))
    section = plan.Listener("l", "127.0.0.1", 80, chains=[chain], inspect_protocols=["ledger"])
    worker.apply(*whole()[:4], section, full=True)
    ((name, matches),) = worker.tables.listeners["l"].entrance.inspect_protocols
    assert name == "x-ledger"
    assert matches(b"LG\x01\x01") == YES
    assert matches(b"XX") == NO
    assert matches(b"L") not in (YES, NO)


def test_a_protocol_that_raises_is_counted_and_named(worker, capfd):
    text = SOURCE + "    def matches(self, prefix):\n        raise RuntimeError('worn out')\n"
    said: list[str] = []

    class Said:
        def say(self, line: str) -> None:
            said.append(line)

    section = plain(inspect_protocols=["ledger"])
    worker.tables._protocols = protocols.Protocols(worker.store, Said())
    worker.apply(code(text), endpoints(), cluster(), routes(), section, full=True)
    ((_, matches),) = worker.tables.listeners["l"].entrance.inspect_protocols
    assert [matches(b"LG"), matches(b"LG")] == [NO, NO]
    assert reader.read([worker.store.path]).counters["x_protocol", "ledger", "exception"] == 2
    assert len(said) == 1
    assert said[0].startswith("protocol 'ledger' (/protocols/ledger.py) failed: ")
    assert "RuntimeError: worn out" in said[0]
    assert "line 12" in said[0]


def test_one_of_an_installed_package(worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "acme_wire.py").write_text(TALLY)
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[tage.protocols]\ntally = acme_wire:Tally\nbroken = acme_wire:Nothing\nodd = json:loads\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert {entry.name for entry in importlib.metadata.entry_points(group="tage.protocols")} >= {"tally"}
    sections = endpoints(), cluster(), routes()
    worker.apply(*sections, listener(x_protocol=plan.XProtocol("tally")), full=True)
    assert worker.state().rpc.protocol.name == "tally"
    with pytest.raises(PlanRefused, match="entry point broken = acme_wire:Nothing: AttributeError"):
        worker.prepare(listener(x_protocol=plan.XProtocol("broken")))
    worker.tables.abort()
    with pytest.raises(PlanRefused, match="entry point odd = json:loads: is no class derived from"):
        worker.prepare(listener(x_protocol=plan.XProtocol("odd")))
    worker.tables.abort()
    with pytest.raises(PlanRefused, match="the name 'tally' is taken, by one of an installed package"):
        worker.prepare(code(TALLY))
    worker.tables.abort()
    with pytest.raises(PlanRefused, match=r"there is no protocol 'no'; there are .*tally"):
        worker.prepare(listener(x_protocol=plan.XProtocol("no")))


def test_services_are_found_with_their_case(worker):
    rule = plan.Route(ANY, clusters=[plan.WeightedCluster("c")])
    table = plan.Routes("r", [plan.VirtualHost("v", ["com.a.Stock"], [rule])], exact=True)
    worker.apply(code(), endpoints(), cluster(), table, listener(x_protocol=LEDGER), full=True)
    found = worker.state().routes
    assert found.find(b"com.a.Stock") is not None
    assert found.find(b"com.a.stock") is None
    assert found.find(b"com.a.Stock:80") is None
