"""Plans become tables: in force all at once or not at all, and what stays keeps its state."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from tage.dataplane.net.timers import TimerWheel
from tage.dataplane.protocols.http1.request import RequestDecoder
from tage.dataplane.streams.context import Context
from tage.dataplane.streams.tcp_downstream import TcpDownstreamConnection
from tage.dataplane.telemetry import layout
from tage.dataplane.telemetry.access_log.record import Record
from tage.dataplane.telemetry.store import StatStore
from tage.sidecar import plan
from tage.sidecar.worker import tables
from tage.sidecar.worker.tables import PlanRefused, Tables
from tage.xprotocol_testing.fakes import FakeLoop

ANY = plan.RouteMatch(plan.StringMatch("prefix", "/"))


def cluster(name="c", **fields):
    return plan.Cluster(name, **{"endpoints": name, **fields})


def endpoints(name="c", *addresses):
    return plan.Endpoints(name, [plan.Endpoint(address, 80) for address in addresses or ("10.0.0.1",)])


def routes(name="r", to="c", **fields):
    rule = plan.Route(ANY, clusters=[plan.WeightedCluster(to)], **fields)
    return plan.Routes(name, [plan.VirtualHost("v", ["*"], [rule])])


def listener(name="l", to="r", **fields):
    return plan.Listener(name, "127.0.0.1", 80, chains=[plan.FilterChain(http=plan.Http(to, **fields))])


def chains(*chains):
    return plan.Listener("l", "127.0.0.1", 80, chains=list(chains))


def tcp(to="c", weight=1, **fields):
    return chains(plan.FilterChain(tcp=plan.Tcp([plan.WeightedCluster(to, weight)], **fields)))


WHOLE = (endpoints(), cluster(), routes(), listener())
KINDS = {cls: kind for kind, cls in plan.KINDS.items()}


@dataclass
class Worker:
    """Tables, and the plans that they are given."""

    tables: Tables
    context: Context
    store: StatStore
    version: int = 0

    def prepare(self, *sections: plan.Section, full: bool = False, removed: Any = ()) -> Any:
        self.version += 1
        upserts = [(KINDS[type(section)], section.name, plan.encode(section)) for section in sections]
        return self.prepare_raw(upserts, full, removed)

    def prepare_raw(self, upserts: Any, full: bool = False, removed: Any = ()) -> Any:
        return asyncio.run(self.tables.prepare(plan.Prepare(self.version, full, upserts, list(removed))))

    def apply(self, *sections: plan.Section, **fields: Any) -> Any:
        return self.commit(self.prepare(*sections, **fields))

    def commit(self, draft: Any) -> Any:
        return asyncio.run(self.tables.commit(draft))

    def state(self, name: str = "l") -> Any:
        """Of the listener's one chain."""
        (state,) = self.tables.listeners[name].states.values()
        return state

    def leads_to(self, name: str = "l") -> str:
        """The cluster that a request to the listener goes to."""
        decoder = RequestDecoder()
        decoder.feed(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        decoder.read_head()
        return str(self.state(name).routes.route(decoder.head).pick_cluster(self.context.random))

    def hosts(self, name: str = "c") -> list[str]:
        return [host.address for host in self.context.clusters[name].hosts]


@pytest.fixture
def worker(tmp_path):
    loop = FakeLoop()
    context = Context(TimerWheel(loop.call_later, loop.clock))
    store = StatStore(tmp_path / "stats")
    return Worker(Tables(context, store, None, None), context, store)


def test_a_first_plan(worker):
    draft = worker.prepare(*WHOLE, full=True)
    assert (worker.tables.version, worker.tables.listeners, worker.context.clusters) == (0, {}, {})
    added, gone, states = worker.commit(draft)
    assert [listener.name for listener in added] == ["l"]
    assert (gone, states) == ([], [])
    assert worker.tables.version == 1
    assert worker.leads_to() == "c"
    assert worker.hosts() == ["10.0.0.1"]


def test_hosts_that_are_listeners_of_this_sidecar(worker):
    def own():
        return [host.own for host in worker.context.clusters["c"].hosts]

    worker.apply(endpoints("c", "127.0.0.1", "10.0.0.1"), *WHOLE[1:], full=True)
    assert own() == [True, False]
    worker.apply(endpoints("c", "10.0.0.1", "127.0.0.1"))
    assert own() == [False, True]
    elsewhere = plan.Listener("l", "127.0.0.2", 80, chains=[plan.FilterChain(http=plan.Http("r"))])
    worker.apply(elsewhere)
    assert own() == [False, False]
    worker.apply(listener("m"))
    assert own() == [False, True]
    worker.apply(removed=[("listener", "m")])
    assert own() == [False, False]


@pytest.mark.parametrize("order", [WHOLE, WHOLE[::-1]])
def test_the_order_of_sections_does_not_count(worker, order):
    worker.apply(*order, full=True)
    assert worker.leads_to() == "c"


def test_everything_about_a_cluster_is_carried_over(worker):
    section = cluster(
        lb=plan.LoadBalancing("least_request"),
        connect_timeout=1,
        idle_timeout=2,
        max_connections=3,
        max_pending=4,
        max_requests=5,
        max_retries=6,
        max_requests_per_connection=7,
        max_connection_duration=8,
        retry_budget=plan.RetryBudget(9.5, 10),
        per_upstream_preconnect=1.25,
        predictive_preconnect=1.5,
        tcp_keepalive=plan.TcpKeepalive(11, 12, 13),
        enable_trailers=True,
    )
    given = plan.Endpoints("c", [plan.Endpoint("10.0.0.1", 81, 2, False), plan.Endpoint("10.0.0.2", 82)])
    worker.apply(given, section, routes(), listener(), full=True)
    live = worker.context.clusters["c"]
    for field in section.__struct_fields__:
        elsewhere = "endpoints", "lb", "tls", "alt_stat_name", "labels", "retry_budget", "tcp_keepalive"
        if field not in (*elsewhere, "outlier_detection", "health_check", "x_protocol", "http2", "http2_for"):
            assert getattr(live, field) == getattr(section, field), field
    assert live.settings is section.lb or live.settings == section.lb
    # Each has tests of its own: test_tls.py, test_protocols.py, test_http2.py, test_health.py.
    assert (live.retry_budget, live.min_retries) == (9.5, 10)
    assert live.preconnects
    assert live.tcp_keepalive == (11, 12, 13)
    assert [(h.address, h.port, h.weight, h.healthy) for h in live.hosts] == [
        ("10.0.0.1", 81, 2, False),
        ("10.0.0.2", 82, 1, True),
    ]


def test_what_a_cluster_does_not_say_any_more(worker):
    """Back to the defaults."""
    worker.apply(*WHOLE, full=True)
    live = worker.context.clusters["c"]
    before = {
        name: getattr(live, name) for name in dir(live) if name.startswith(("max_", "min_", "retry_", "tcp_", "p"))
    }
    worker.apply(
        cluster(
            max_connection_duration=8,
            retry_budget=plan.RetryBudget(),
            per_upstream_preconnect=2.0,
            tcp_keepalive=plan.TcpKeepalive(),
        )
    )
    assert live.preconnects
    worker.apply(cluster())
    assert {name: getattr(live, name) for name in before if not callable(before[name])} == {
        name: value for name, value in before.items() if not callable(value)
    }


def test_everything_about_a_listener_is_carried_over(worker):
    http = plan.Http(
        "r",
        append_x_forwarded_for=False,
        generate_request_id=False,
        max_head_bytes=1,
        max_headers=2,
        idle_timeout=3,
        head_timeout=4,
        server_name="me",
        upgrades=["websocket"],
        enable_trailers=True,
        max_connection_duration=5,
        max_requests_per_connection=6,
        max_stream_duration=7,
        delayed_close_timeout=8,
    )
    worker.apply(*WHOLE[:3], plan.Listener("l", "127.0.0.1", 80, chains=[plan.FilterChain(http=http)]), full=True)
    state = worker.state()
    for field in http.__struct_fields__:
        # access_logs: test_logs.py, filters: test_filters.py, x_protocol: test_protocols.py, the rest: test_http2.py
        elsewhere = "access_logs", "filters", "x_protocol", "codec", "http2"
        if field not in ("routes", "stat_prefix", "server_name", "upgrades", *elsewhere):
            assert getattr(state, field) == getattr(http, field), field
    assert state.server_name == b"me"
    assert state.upgrades == {b"websocket"}


# -- deltas and whole plans --------------------------------------------------------------------------------------------


def test_a_delta_changes_what_it_names(worker):
    worker.apply(*WHOLE, full=True)
    live, state = worker.context.clusters["c"], worker.state()
    kept, host = state.routes, live.hosts[0]
    worker.apply(endpoints("c", "10.0.0.1", "10.0.0.2"))
    assert worker.context.clusters["c"] is live
    assert worker.state().routes is kept, "unchanged routes are not built again"
    assert live.hosts[0] is host
    assert worker.hosts() == ["10.0.0.1", "10.0.0.2"]


def test_a_delta_for_a_route(worker):
    worker.apply(*WHOLE, full=True)
    state = worker.state()
    assert worker.apply(endpoints("d"), cluster("d"), routes(to="d")) == ([], [], [])
    assert worker.state() is state
    assert worker.leads_to() == "d"


def test_a_delta_for_a_cluster_alone(worker):
    worker.apply(*WHOLE, full=True)
    live = worker.context.clusters["c"]
    host = live.hosts[0]
    worker.apply(cluster(max_requests=1))
    assert live.max_requests == 1
    assert live.hosts == [host]


def test_a_cluster_that_turns_to_other_endpoints(worker):
    worker.apply(*WHOLE, endpoints("other", "10.9.9.9"), full=True)
    worker.apply(cluster(endpoints="other"))
    assert worker.hosts() == ["10.9.9.9"]
    worker.apply(endpoints("other", "10.9.9.8"))
    assert worker.hosts() == ["10.9.9.8"]


def test_clusters_share_endpoints(worker):
    worker.apply(endpoints(), cluster(), cluster("d", endpoints="c"), routes(), listener(), full=True)
    worker.apply(endpoints("c", "10.0.0.7"))
    assert worker.hosts("c") == worker.hosts("d") == ["10.0.0.7"]


def test_a_whole_plan_without_changes_changes_nothing(worker):
    worker.apply(*WHOLE, full=True)
    live, state = worker.context.clusters["c"], worker.state()
    table, host = state.routes, live.hosts[0]
    assert worker.apply(*WHOLE, full=True) == ([], [], [])
    assert worker.context.clusters == {"c": live}
    assert list(worker.tables.listeners) == ["l"]
    assert worker.state() is state
    assert state.routes is table
    assert live.hosts == [host]
    assert worker.tables.version == 2


def test_what_a_whole_plan_does_not_name_goes(worker):
    more = (endpoints("d"), cluster("d"), routes("r2", "d"), listener("l2", "r2"))
    worker.apply(*WHOLE, *more, full=True)
    gone_cluster, gone_state = worker.context.clusters["d"], worker.state("l2")
    assert worker.apply(*WHOLE, full=True) == ([], ["l2"], [gone_state])
    assert list(worker.context.clusters) == ["c"]
    assert gone_cluster.hosts == []
    assert list(worker.tables.listeners) == ["l"]
    assert worker.store.group(layout.CLUSTER, "d").value("membership_total") == 0


def test_what_a_delta_removes_goes(worker):
    worker.apply(*WHOLE, endpoints("d"), cluster("d"), full=True)
    gone_cluster = worker.context.clusters["d"]
    worker.apply(removed=[("cluster", "d"), ("endpoints", "d"), ("routes", "never there")])
    assert list(worker.context.clusters) == ["c"]
    assert gone_cluster.balancer is None
    swap = worker.apply(removed=[("listener", "l"), ("routes", "r")])
    assert swap.gone == ["l"]
    assert [state.name for state in swap.states] == ["l"]
    assert worker.tables.listeners == {}


def test_removed_and_given_in_one_delta(worker):
    """It is there, and stays what it was."""
    worker.apply(*WHOLE, full=True)
    live = worker.context.clusters["c"]
    worker.apply(cluster(), endpoints(), removed=[("cluster", "c"), ("endpoints", "c")])
    assert worker.context.clusters["c"] is live
    assert worker.hosts() == ["10.0.0.1"]


def test_streams_under_way_keep_the_clusters_that_they_know(worker):
    """The dictionary is replaced, never changed."""
    worker.apply(*WHOLE, full=True)
    before = worker.context.clusters
    worker.apply(endpoints("d"), cluster("d"))
    assert list(before) == ["c"]
    assert sorted(worker.context.clusters) == ["c", "d"]


def test_a_cluster_that_comes_back_counts_on(worker):
    worker.apply(*WHOLE, full=True)
    worker.context.clusters["c"].stats.count("upstream_rq_total", 3)
    worker.apply(routes(to="x"), removed=[("cluster", "c"), ("endpoints", "c")])
    worker.apply(cluster(), endpoints())
    assert worker.context.clusters["c"].stats.value("upstream_rq_total") == 3


# -- TCP proxies -------------------------------------------------------------------------------------------------------


def test_a_tcp_proxy(worker):
    added = worker.apply(tcp(idle_timeout=1, max_duration=2, max_connect_attempts=3), full=True).added
    [state] = added[0].states.values()
    assert (state.tcp.clusters, state.tcp.weights) == (["c"], [1])
    assert (state.tcp.idle_timeout, state.tcp.max_duration, state.tcp.max_connect_attempts) == (1, 2, 3)
    assert isinstance(added[0].entrance.direct.make(), TcpDownstreamConnection)


def test_a_tcp_proxy_leads_elsewhere_for_connections_to_come(worker):
    worker.apply(tcp(), full=True)
    [state] = worker.tables.listeners["l"].states.values()
    before = state.tcp
    swap = worker.apply(tcp("d"))
    assert swap.states == []
    assert before.clusters == ["c"]
    assert state.tcp.clusters == ["d"]


def test_what_becomes_a_tcp_proxy_leaves_its_connections_behind(worker):
    worker.apply(*WHOLE, full=True)
    [before] = worker.tables.listeners["l"].states.values()
    assert worker.apply(tcp()).states == [before]
    [state] = worker.tables.listeners["l"].states.values()
    assert (before.tcp, state.routes) == (None, None)
    assert worker.apply(*WHOLE).states == [state]


def test_logs_of_a_tcp_proxy(tmp_path):
    async def main():
        loop = asyncio.get_running_loop()
        made = Tables(Context(TimerWheel(loop.call_later)), StatStore(tmp_path / "stats"), loop, None)
        section = tcp(access_logs=[plan.AccessLog(str(tmp_path / "log"), "line\n")])
        await made.commit(await made.prepare(plan.Prepare(1, True, [("listener", "l", plan.encode(section))])))
        [state] = made.listeners["l"].states.values()
        state.write_logs(Record())
        made.logs.close()

    asyncio.run(main())
    assert (tmp_path / "log").read_text() == "line\n"


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        ((cluster(),), "cluster 'c': its endpoints 'c' are not in the plan"),
        ((listener(),), "listener 'l': its routes 'r' are not in the plan"),
        ((plan.Listener("l", "127.0.0.1", 80),), "listener 'l': it has no filter chain"),
        (
            (plan.Listener("l", "127.0.0.1", 80, chains=[plan.FilterChain()]),),
            "listener 'l': a filter chain has to say one thing to do with connections",
        ),
        (
            (tcp(weight=0),),
            "listener 'l': filter chain '#0': the weights of the clusters add up to 0",
        ),
        (
            (routes(), chains(plan.FilterChain(http=plan.Http("r"), tcp=plan.Tcp([plan.WeightedCluster("c")])))),
            "listener 'l': a filter chain has to say one thing to do with connections",
        ),
        (
            (routes(retry=plan.RetryPolicy(["x"])),),
            "routes 'r', virtual host 'v', route '0': unknown retry condition 'x'",
        ),
        ((plan.Routes("r", [plan.VirtualHost("v", ["a", "a"])]),), "the domain 'a' is already taken"),
    ],
)
@pytest.mark.parametrize("full", [False, True])
def test_a_plan_that_is_refused(worker, sections, reason, full):
    with pytest.raises(PlanRefused, match=reason):
        worker.prepare(*sections, full=full)
    assert worker.tables.version == 0
    assert worker.context.clusters == {}


@pytest.mark.parametrize(
    ("upsert", "reason"),
    [
        (("filter", "f", b"\x80"), "filter 'f': an unknown kind of section"),
        (("cluster", "c", b"\x80"), "cluster 'c': Object missing required field"),
        (("cluster", "c", b""), "cluster 'c': "),
        (("cluster", "c", b"\xff\xff"), "cluster 'c': "),
        (("cluster", "c", plan.encode(cluster())[:-1]), "cluster 'c': "),
        (("cluster", "c", plan.encode(endpoints())), "cluster 'c': .*endpoints"),
        (("cluster", "d", plan.encode(cluster())), "cluster 'd': the section calls itself 'c'"),
    ],
)
def test_a_section_that_cannot_be_read(worker, upsert, reason):
    with pytest.raises(PlanRefused, match=reason):
        worker.prepare_raw([upsert])


@pytest.mark.parametrize(
    "removed", [[("endpoints", "c")], [("routes", "r")], [("endpoints", "c"), ("listener", "l"), ("routes", "r")]]
)
def test_what_is_needed_cannot_go(worker, removed):
    worker.apply(*WHOLE, full=True)
    with pytest.raises(PlanRefused, match="not in the plan"):
        worker.prepare(removed=removed)
    assert worker.leads_to() == "c"


def test_a_route_to_a_cluster_that_nobody_sent_is_accepted(worker):
    worker.apply(routes(to="nobody"), listener(), full=True)
    assert worker.leads_to() == "nobody"


def test_a_refusal_leaves_what_is_in_force(worker):
    worker.apply(*WHOLE, full=True)
    before = (
        worker.context.clusters,
        dict(worker.tables.listeners),
        worker.state().routes,
        worker.hosts(),
    )
    with pytest.raises(PlanRefused):
        worker.prepare(
            endpoints("c", "10.0.0.9"), cluster(max_requests=1), routes(to="d"), listener(idle_timeout=1), cluster("d")
        )
    after = (
        worker.context.clusters,
        dict(worker.tables.listeners),
        worker.state().routes,
        worker.hosts(),
    )
    assert after == before
    assert worker.tables.version == 1
    worker.apply(endpoints("c", "10.0.0.2"))
    assert worker.hosts() == ["10.0.0.2"]
    assert worker.context.clusters["c"].max_requests == 1024


def test_a_draft_that_is_thrown_away_leaves_nothing(worker):
    """Another worker refused: the next delta starts from what is in force."""
    worker.apply(*WHOLE, full=True)
    worker.prepare(endpoints("c", "10.0.0.9"), routes(to="d"), listener("l2"), endpoints("d"), cluster("d"))
    assert worker.hosts() == ["10.0.0.1"]
    worker.apply(cluster(max_requests=1))
    assert worker.hosts() == ["10.0.0.1"]
    assert worker.leads_to() == "c"
    assert list(worker.context.clusters) == ["c"]
    assert list(worker.tables.listeners) == ["l"]


# -- slices ------------------------------------------------------------------------------------------------------------


def test_preparing_lets_the_loop_go_on(worker, monkeypatch):
    """Every slice ends when its time is over, however much is left."""
    at = 0

    def clock():
        nonlocal at
        at += tables.SLICE_US
        return at

    monkeypatch.setattr(tables._Slices.__init__, "__defaults__", (clock,))
    sections = [plan.Endpoints(f"e{i}") for i in range(20)]
    upserts = [("endpoints", section.name, plan.encode(section)) for section in sections]

    async def run():
        turns = 0
        task = asyncio.ensure_future(worker.tables.prepare(plan.Prepare(1, True, upserts)))
        while not task.done():
            await asyncio.sleep(0)
            turns += 1
        return turns

    assert asyncio.run(run()) >= 20


# -- slices ------------------------------------------------------------------------------------------------------------


def test_a_request_between_any_two_slices_is_led_to_a_cluster_that_is_there(worker, monkeypatch):
    """Routes and clusters all change; every slice is cut as short as can be."""
    old = [(endpoints(f"c{i}"), cluster(f"c{i}")) for i in range(20)]
    new = [(endpoints(f"d{i}", "10.0.0.2"), cluster(f"d{i}")) for i in range(20)]
    worker.apply(*(section for each in old for section in each), routes("r", "c7"), listener(), full=True)
    monkeypatch.setattr(tables, "SLICE_US", -1)
    turns = 0

    async def watch() -> None:
        nonlocal turns
        while True:
            led = worker.leads_to()
            assert worker.hosts(led) == (["10.0.0.1"] if led == "c7" else ["10.0.0.2"])
            turns += 1
            await asyncio.sleep(0)

    async def change() -> None:
        watching = asyncio.create_task(watch())
        upserts = [
            (KINDS[type(section)], section.name, plan.encode(section))
            for section in (*(section for each in new for section in each), routes("r", "d3"), listener())
        ]
        draft = await worker.tables.prepare(plan.Prepare(2, True, upserts))
        prepared = turns
        await worker.tables.commit(draft)
        assert turns > prepared > 20
        assert not watching.done(), watching.exception()
        watching.cancel()

    asyncio.run(change())
    assert sorted(worker.context.clusters) == sorted(f"d{i}" for i in range(20))


def test_a_draft_that_is_given_up_leaves_no_clusters(worker):
    worker.apply(*WHOLE, full=True)
    worker.prepare(endpoints("d"), cluster("d"))
    assert worker.store.group(layout.CLUSTER, "d").value("membership_total") == 1
    worker.tables.abort()
    assert worker.store.group(layout.CLUSTER, "d").value("membership_total") == 0
    assert list(worker.context.clusters) == ["c"]


def test_hosts_that_stay_are_the_same_when_everything_else_changes(worker):
    worker.apply(endpoints("c", "10.0.0.1", "10.0.0.2"), cluster(), routes(), listener(), full=True)
    kept = worker.context.clusters["c"].hosts[1]
    worker.apply(endpoints("c", "10.0.0.3", "10.0.0.2"), cluster(lb=plan.LoadBalancing("maglev", table_size=101)))
    assert worker.context.clusters["c"].hosts[1] is kept
    assert not kept.retired
