"""Playbooks: feed this, expect that; no socket, no clock, no protobuf."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tage.sidecar import plan
from tage.sidecar.ads_state import (
    CLUSTER,
    ENDPOINTS,
    LISTENER,
    RETRY_FIRST,
    RETRY_MAX,
    ROUTES,
    Action,
    AdsState,
    Note,
    Request,
)
from tage.sidecar.translate.draft import (
    ChainDraft,
    ClusterDraft,
    DataSource,
    Dns,
    ListenerDraft,
    SecretDraft,
    Source,
)
from tage.sidecar.translate.problem import Problem, TranslateError


def decode(type_url: str, resources: Sequence[Any]) -> dict[str, Any]:
    """The tests put drafts where a real response has protos; a string stands for a resource with that problem."""
    problems = [Problem("", resource) for resource in resources if isinstance(resource, str)]
    if problems:
        raise TranslateError(problems)
    return {name_of(resource): resource for resource in resources}


def name_of(resource: Any) -> str:
    if isinstance(resource, ListenerDraft):
        return resource.listener.name
    return str(resource.cluster.name if isinstance(resource, ClusterDraft) else resource.name)


def cluster(name: str, timeout: int = 15_000, **settings: Any) -> ClusterDraft:
    return ClusterDraft(plan.Cluster(name, name, **settings), eds=Source(name, timeout))


def endpoints(name: str, *ports: int) -> plan.Endpoints:
    return plan.Endpoints(name, [plan.Endpoint("127.0.0.1", port) for port in ports])


def routes(name: str, *clusters: str) -> plan.Routes:
    match = plan.RouteMatch(plan.StringMatch("prefix", "/"))
    found = [plan.Route(match, clusters=[plan.WeightedCluster(each)]) for each in clusters]
    return plan.Routes(name, [plan.VirtualHost("v", ["*"], found)])


def listener(name: str, rds: str, port: int = 80, idle: int = 300_000) -> ListenerDraft:
    draft = plan.Listener(name, "127.0.0.1", port, chains=[plan.FilterChain(http=plan.Http(rds))])
    return ListenerDraft(draft, [ChainDraft(rds=Source(rds), stream_idle_timeout=idle)])


def inline(name: str, port: int, given: plan.Routes) -> ListenerDraft:
    chain = plan.FilterChain(http=plan.Http(given.name))
    return ListenerDraft(plan.Listener(name, "127.0.0.1", port, chains=[chain]), [ChainDraft(given)])


class Play:
    """One machine, its clock and what it did last."""

    def __init__(self, **arguments: Any) -> None:
        self.state = AdsState(decode, **arguments)
        self.now = 100.0
        self.plan: dict[plan.SectionKey, Any] = {}
        self.requests: list[Request] = []
        self.updates: list[plan.Update] = []
        self.notes: list[str] = []
        self.seen(self.state.tick(self.now))

    def seen(self, actions: list[Action]) -> None:
        self.requests = [action for action in actions if isinstance(action, Request)]
        self.updates = [action for action in actions if isinstance(action, plan.Update)]
        self.notes = [action.text for action in actions if isinstance(action, Note)]

    def connect(self) -> None:
        self.seen(self.state.connected(self.now))

    def say(self, type_url: str, nonce: str, *resources: Any, version: str = "") -> None:
        self.seen(self.state.response(type_url, version or f"v{nonce}", nonce, resources, self.now))

    def later(self, seconds: float) -> None:
        self.now += seconds
        self.seen(self.state.tick(self.now))

    def commit(self) -> plan.Update:
        """The workers take the update that was sent last."""
        [update] = self.updates
        if update.full:
            self.plan.clear()
        for kind, name, blob in update.upserts:
            self.plan[kind, name] = plan.decode(kind, blob)
        for key in update.removed:
            del self.plan[tuple(key)]
        self.seen(self.state.result(update.version, "", self.now))
        return update

    def refuse(self, error: str = "no") -> None:
        [update] = self.updates
        self.seen(self.state.result(update.version, error, self.now))

    def keys(self) -> set[plan.SectionKey]:
        return set(self.plan)


def start(**arguments: Any) -> Play:
    """In force: listener l with routes r to cluster a with one endpoint."""
    play = Play(**arguments)
    play.connect()
    play.say(CLUSTER, "1", cluster("a"))
    play.say(ENDPOINTS, "2", endpoints("a", 1))
    play.commit()
    play.say(LISTENER, "3", listener("l", "r"))
    play.say(ROUTES, "4", routes("r", "a"))
    play.commit()
    assert play.keys() == {("cluster", "a"), ("endpoints", "a"), ("listener", "l"), ("routes", "r")}
    return play


def test_first_responses() -> None:
    play = Play()
    assert not play.requests
    assert not play.updates
    play.connect()
    assert play.requests == [Request(CLUSTER), Request(LISTENER)]

    play.say(CLUSTER, "1", cluster("a"), cluster("b"))
    assert play.requests == [Request(ENDPOINTS, names=("a", "b"))]
    assert not play.updates  # not closed
    play.say(ENDPOINTS, "2", endpoints("a", 1))
    assert not play.requests
    assert not play.updates
    play.say(ENDPOINTS, "3", endpoints("b", 2))
    assert not play.requests  # not in force yet
    update = play.commit()
    assert update.full
    assert update.version == 1
    assert play.requests == [Request(CLUSTER, "v1", "1"), Request(ENDPOINTS, "v3", "3", ("a", "b"))]

    play.say(LISTENER, "4", listener("l", "r"))
    assert play.requests == [Request(ROUTES, names=("r",))]
    play.say(ROUTES, "5", routes("r", "a", "b"))
    update = play.commit()
    assert not update.full
    assert {(kind, name) for kind, name, _ in update.upserts} == {("routes", "r"), ("listener", "l")}
    assert play.requests == [Request(LISTENER, "v4", "4"), Request(ROUTES, "v5", "5", ("r",))]


def test_an_endpoint_change_is_a_small_update() -> None:
    play = start()
    play.say(ENDPOINTS, "5", endpoints("a", 1, 2))
    update = play.commit()
    assert not update.full
    assert [(kind, name) for kind, name, _ in update.upserts] == [("endpoints", "a")]
    assert not update.removed
    assert play.requests == [Request(ENDPOINTS, "v5", "5", ("a",))]


def test_what_changes_nothing_is_acknowledged_at_once() -> None:
    play = start()
    play.say(CLUSTER, "5", cluster("a"))
    assert not play.updates
    assert play.requests == [Request(CLUSTER, "v5", "5")]


def test_a_problem_is_refused_and_the_rest_stays() -> None:
    play = start()
    play.say(ROUTES, "5", "bad route")
    assert not play.updates
    assert play.requests == [Request(ROUTES, "v4", "5", ("r",), "bad route")]
    assert "bad route" in play.notes[0]
    play.say(ROUTES, "6", routes("r"))
    play.commit()
    assert play.requests == [Request(ROUTES, "v6", "6", ("r",))]


def test_a_worker_refuses() -> None:
    play = start()
    play.say(LISTENER, "5", listener("l", "r", port=81))
    play.refuse("port 81 is in use")
    assert play.requests == [Request(LISTENER, "v3", "5", (), "port 81 is in use")]
    assert not play.updates
    # Later the port is free.
    assert play.state.deadline() == play.now + 5
    play.later(5)
    play.commit()
    assert play.plan["listener", "l"].port == 81
    assert play.requests == [Request(LISTENER, "v5", "5")]
    assert play.state.deadline() is None


def test_retries_are_spaced_out() -> None:
    play = start()
    play.say(LISTENER, "5", listener("l", "r", port=81))
    delays = []
    for _ in range(8):
        play.refuse()
        deadline = play.state.deadline()
        assert deadline is not None
        delays.append(deadline - play.now)
        play.later(delays[-1])
    assert delays == [5, 10, 20, 40, 80, 160, 300, 300]


def test_refused_together_tried_alone() -> None:
    play = start()
    play.say(CLUSTER, "5", cluster("a"), cluster("b", connect_timeout=1))
    play.say(ENDPOINTS, "6", endpoints("b", 2))
    play.refuse("cluster b: odd")
    # Endpoints of a cluster that is not there are no change; the cluster alone is.
    assert play.requests == [Request(ENDPOINTS, "v6", "6", ("a", "b"))]
    play.refuse("cluster b: odd")
    assert play.requests == [Request(CLUSTER, "v1", "5", (), "cluster b: odd")]
    assert ("cluster", "b") not in play.plan
    play.say(ROUTES, "7", routes("r", "a"))
    assert play.updates  # and the refused one gets another chance with it
    play.commit()
    assert Request(CLUSTER, "v5", "5") in play.requests


def test_a_newer_response_takes_the_place_of_one_under_way() -> None:
    play = start()
    play.say(ENDPOINTS, "5", endpoints("a", 5))
    first = play.updates
    play.say(ENDPOINTS, "6", endpoints("a", 6))
    assert not play.updates  # one at a time
    play.updates = first
    play.commit()
    assert not play.requests  # nobody waits for an answer to 5
    play.commit()
    assert play.requests == [Request(ENDPOINTS, "v6", "6", ("a",))]
    assert play.plan["endpoints", "a"].endpoints[0].port == 6


def test_clusters_that_wait_hold_back_routes_but_not_endpoints() -> None:
    play = start()
    play.say(CLUSTER, "5", cluster("a"), cluster("b"))
    play.say(ROUTES, "6", routes("r", "b"))
    assert not play.updates
    play.say(ENDPOINTS, "7", endpoints("a", 7))
    play.commit()
    assert play.plan["endpoints", "a"].endpoints[0].port == 7
    assert not play.updates
    play.say(ENDPOINTS, "8", endpoints("b", 8))
    update = play.commit()
    assert {(kind, name) for kind, name, _ in update.upserts} == {("cluster", "b"), ("endpoints", "b"), ("routes", "r")}


def test_endpoints_that_do_not_come_count_as_none() -> None:
    play = start()
    play.say(CLUSTER, "5", cluster("a"), cluster("b", timeout=2000))
    assert play.state.deadline() == play.now + 2
    play.later(1)
    assert not play.updates
    play.later(1)
    play.commit()
    assert play.plan["endpoints", "b"].endpoints == []
    assert play.state.deadline() is None
    play.say(ENDPOINTS, "6", endpoints("b", 1))
    play.commit()
    assert len(play.plan["endpoints", "b"].endpoints) == 1


def test_no_timeout_means_for_ever_and_no_time_passes_without_a_stream() -> None:
    play = start()
    play.say(CLUSTER, "5", cluster("a"), cluster("b", timeout=0), cluster("c"))
    play.state.disconnected()
    assert play.state.deadline() is None
    play.later(1000)
    assert not play.updates
    play.connect()
    assert play.state.deadline() == play.now + 15
    play.later(15)
    assert not play.updates  # b


def test_routes_that_do_not_come_count_as_none() -> None:
    play = start()
    play.say(LISTENER, "5", listener("l", "r"), listener("m", "s", port=81))
    play.later(15)
    play.commit()
    assert play.plan["routes", "s"].virtual_hosts == []


def test_a_removed_cluster_stays_while_a_route_names_it() -> None:
    play = start()
    play.say(CLUSTER, "5", cluster("b"))
    play.say(ENDPOINTS, "6", endpoints("b", 2))
    play.commit()
    assert {("cluster", "a"), ("endpoints", "a"), ("cluster", "b")} <= play.keys()
    play.say(ENDPOINTS, "7", endpoints("a", 9))  # and it is still served
    play.commit()
    assert play.plan["endpoints", "a"].endpoints[0].port == 9
    play.say(ROUTES, "8", routes("r", "b"))
    update = play.commit()
    assert set(update.removed) == {("cluster", "a"), ("endpoints", "a")}
    assert Request(ENDPOINTS, "v7", "7", ("b",)) in play.requests


def test_routes_of_a_removed_listener_go() -> None:
    play = start()
    play.say(LISTENER, "5")
    update = play.commit()
    assert set(update.removed) == {("listener", "l"), ("routes", "r")}
    assert play.requests == [Request(LISTENER, "v5", "5"), Request(ROUTES, "v4", "4", ())]


def test_nothing_is_dropped_when_the_stream_breaks() -> None:
    play = start()
    play.state.disconnected()
    play.later(60)
    assert not play.updates
    play.connect()
    assert play.requests == [
        Request(CLUSTER, "v1"),
        Request(ENDPOINTS, "v2", names=("a",)),
        Request(LISTENER, "v3"),
        Request(ROUTES, "v4", names=("r",)),
    ]
    assert not play.updates
    play.say(CLUSTER, "1", cluster("a"), version="v1")
    assert not play.updates
    assert play.requests == [Request(CLUSTER, "v1", "1")]


def test_names_that_crossed_a_response_are_said_again() -> None:
    """A control plane that was started again has other clusters. It answers the first request for endpoints before it
    has read the second, which is stale then."""
    play = start()
    play.state.disconnected()
    play.connect()
    assert Request(ENDPOINTS, "v2", "", ("a",)) in play.requests
    play.say(CLUSTER, "1", cluster("b"))
    assert play.requests == [Request(ENDPOINTS, "v2", "", ("a", "b"))]
    play.say(ENDPOINTS, "2", version="other")
    assert play.requests == [Request(ENDPOINTS, "v2", "2", ("a", "b"))]
    play.say(ENDPOINTS, "3", endpoints("b", 2), version="other")
    assert not play.requests
    play.commit()
    assert ("endpoints", "b") in play.plan


def test_names_are_not_said_again_when_they_were_answered() -> None:
    play = start()
    play.say(CLUSTER, "5", cluster("a"), cluster("b"), cluster("c"))
    assert play.requests == [Request(ENDPOINTS, "v2", "2", ("a", "b", "c"))]
    play.say(ENDPOINTS, "6", endpoints("b", 2), endpoints("c", 3))
    assert not play.requests
    play.say(CLUSTER, "7", cluster("a"), cluster("b"), cluster("c"), cluster("d"))
    assert [request.names for request in play.requests if request.type_url == ENDPOINTS] == [("a", "b", "c", "d")]


def test_a_result_of_the_former_stream_is_not_acknowledged_on_the_new_one() -> None:
    play = start()
    play.say(ENDPOINTS, "5", endpoints("a", 5))
    update = play.updates
    play.state.disconnected()
    play.connect()
    play.updates = update
    play.commit()
    assert not play.requests
    assert play.plan["endpoints", "a"].endpoints[0].port == 5


def test_after_a_restart_of_the_agent_updates_add_until_everything_is_there() -> None:
    play = Play(in_force=7)
    play.connect()
    play.say(CLUSTER, "1", cluster("a"))
    play.say(ENDPOINTS, "2", endpoints("a", 1))
    update = play.commit()
    assert not update.full
    assert update.version == 8
    assert not update.removed
    assert len(play.requests) == 2
    play.say(LISTENER, "3", listener("l", "r"))
    play.say(ROUTES, "4", routes("r", "a"))
    update = play.commit()
    assert update.full
    assert {(kind, name) for kind, name, _ in update.upserts} == {
        ("cluster", "a"),
        ("endpoints", "a"),
        ("listener", "l"),
        ("routes", "r"),
    }
    play.say(LISTENER, "5")
    assert set(play.commit().removed) == {("listener", "l"), ("routes", "r")}


def test_after_a_restart_even_nothing_is_a_full_update() -> None:
    play = Play(in_force=7)
    play.connect()
    play.say(CLUSTER, "1")
    assert not play.updates
    play.say(LISTENER, "2")
    update = play.commit()
    assert update.full
    assert not update.upserts


def test_static_configuration() -> None:
    static = inline("l", 80, routes("r", "a"))
    a = ClusterDraft(plan.Cluster("a", "a"), endpoints=endpoints("a", 1))
    play = Play(subscribe=(), listeners=[static], clusters=[a], in_force=3)
    update = play.commit()
    assert update.full
    assert update.version == 4
    assert play.keys() == {("cluster", "a"), ("endpoints", "a"), ("listener", "l"), ("routes", "r")}
    assert play.state.deadline() is None


def test_a_new_static_configuration() -> None:
    a = ClusterDraft(plan.Cluster("a", "a"), endpoints=endpoints("a", 1))
    b = ClusterDraft(plan.Cluster("b", "b"), endpoints=endpoints("b", 2))
    play = Play(subscribe=(), listeners=[inline("l", 80, routes("r", "a"))], clusters=[a])
    play.commit()
    before = dict(play.state.sections)
    # Refused: nothing has changed, and nothing is tried again.
    play.seen(play.state.reloaded([inline("l", 81, routes("r", "b"))], [b], play.now))
    play.refuse()
    assert not play.updates
    assert play.state.sections == before
    assert "refused" in play.notes[0]
    # Taken over as a whole.
    play.seen(play.state.reloaded([inline("m", 80, routes("r", "b"))], [b], play.now))
    play.commit()
    assert play.keys() == {("cluster", "b"), ("endpoints", "b"), ("listener", "m"), ("routes", "r")}
    assert play.notes == ["the new configuration is in force"]
    # The same again needs no update.
    play.seen(play.state.reloaded([inline("m", 80, routes("r", "b"))], [b], play.now))
    assert not play.updates
    assert play.notes == ["the new configuration is in force"]


def test_dns() -> None:
    a = ClusterDraft(plan.Cluster("a", "a"), dns=Dns([plan.Endpoint("host", 80)]))
    play = Play(subscribe=(), clusters=[a])
    assert not play.updates
    assert list(play.state.dns) == ["a"]
    play.seen(play.state.resolved("a", [plan.Endpoint("127.0.0.1", 80)], play.now))
    play.commit()
    play.seen(play.state.resolved("a", [plan.Endpoint("127.0.0.2", 80)], play.now))
    update = play.updates[0]
    assert [(kind, name) for kind, name, _ in update.upserts] == [("endpoints", "a")]
    play.refuse()
    assert not play.updates
    play.later(5)
    assert play.commit().upserts == update.upserts


def test_names_that_need_not_be_waited_for() -> None:
    a = ClusterDraft(plan.Cluster("a", "a"), dns=Dns([plan.Endpoint("host", 80)], wait=False))
    play = Play(subscribe=(), clusters=[a])
    play.commit()
    assert play.plan["endpoints", "a"].endpoints == []
    # A former agent's plan has addresses: nothing takes their place unasked.
    play = Play(subscribe=(), clusters=[a], in_force=3)
    assert not play.updates
    play.seen(play.state.resolved("a", [plan.Endpoint("127.0.0.1", 80)], play.now))
    assert play.commit().full
    assert len(play.plan["endpoints", "a"].endpoints) == 1


# -- files that change -------------------------------------------------------------------------------------------------


def coded(name: str, rds: str, source: bytes = b"1") -> ListenerDraft:
    """A listener that needs a file."""
    section = plan.FilterCode("/f.py", source)
    found = listener(name, rds)
    return ListenerDraft(found.listener, found.chains, [SecretDraft(section, {"source": DataSource("/f.py")})])


def code(play: Play) -> bytes:
    found = play.plan["filter_code", "/f.py"]
    assert isinstance(found, plan.FilterCode)
    return found.source


def with_code() -> Play:
    play = start()
    play.say(LISTENER, "5", coded("l", "r"))
    play.commit()
    assert code(play) == b"1"
    return play


def renew(play: Play, source: bytes) -> None:
    play.seen(play.state.renewed(plan.FilterCode("/f.py", source), play.now))


def test_a_file_that_changes_is_an_update_of_its_own() -> None:
    play = with_code()
    renew(play, b"2")
    assert play.commit().upserts == [("filter_code", "/f.py", plan.encode(plan.FilterCode("/f.py", b"2")))]
    assert (code(play), play.requests) == (b"2", [])
    renew(play, b"2")
    assert play.updates == []


def test_a_new_file_that_is_refused_holds_up_nothing_else_and_is_tried_again() -> None:
    play = with_code()
    renew(play, b"broken")
    play.refuse("line 1: no")
    assert play.notes == ["filter_code /f.py: refused: line 1: no; what was there before stays in force"]
    play.say(ENDPOINTS, "6", endpoints("a", 2))
    assert [name for _, name, _ in play.commit().upserts] == ["a"]
    assert [request.error for request in play.requests] == [""]
    assert code(play) == b"1"
    play.later(RETRY_FIRST + 1)
    assert [name for _, name, _ in play.updates[0].upserts] == ["/f.py"]
    play.refuse("line 1: no")
    play.later(RETRY_FIRST + 1)
    assert play.updates == [], "the second time it takes longer"
    renew(play, b"3")
    play.commit()
    assert code(play) == b"3"
    assert play.state.deadline() is None


def test_a_file_that_is_as_before_again_needs_no_update() -> None:
    play = with_code()
    renew(play, b"broken")
    play.refuse("no")
    renew(play, b"1")
    assert play.updates == []
    play.later(RETRY_MAX)
    assert (play.updates, code(play)) == ([], b"1")


def test_a_file_that_changes_while_an_update_is_under_way_waits() -> None:
    play = with_code()
    play.say(ENDPOINTS, "6", endpoints("a", 2))
    under_way = play.updates
    renew(play, b"2")
    assert play.updates == []
    play.updates = under_way
    play.commit()
    assert [name for _, name, _ in play.updates[0].upserts] == ["/f.py"]
    play.commit()
    assert code(play) == b"2"


def test_a_listener_that_was_refused_for_its_file_is_tried_again_with_the_new_one() -> None:
    play = start()
    play.say(LISTENER, "5", coded("l", "r", b"broken"))
    play.refuse("line 1: no")
    assert [request.error for request in play.requests] == ["line 1: no"]
    renew(play, b"2")
    play.commit()
    assert code(play) == b"2"
    assert play.state.status()["Listener"]["error"] == ""


def test_a_static_configuration_that_is_on_its_way_is_not_given_up_for_a_file() -> None:
    first = inline("l", 80, routes("r", "a"))
    play = Play(
        subscribe=(),
        listeners=[ListenerDraft(first.listener, first.chains, coded("l", "r").secrets)],
        clusters=[ClusterDraft(plan.Cluster("a", "a"), endpoints=endpoints("a", 1))],
    )
    play.commit()
    renew(play, b"broken")
    pending = play.updates
    fresh = inline("l", 81, routes("r", "a"))
    clusters = [ClusterDraft(plan.Cluster("a", "a"), endpoints=endpoints("a", 1))]
    play.seen(play.state.reloaded([fresh], clusters, play.now))
    play.updates = pending
    play.refuse("no")
    play.commit()
    listening = play.plan["listener", "l"]
    assert isinstance(listening, plan.Listener)
    assert listening.port == 81
    assert play.notes == ["the new configuration is in force"]


def protocols(*sources: bytes) -> list[plan.ProtocolCode]:
    return [plan.ProtocolCode(f"/p{i}.py", source) for i, source in enumerate(sources)]


def files(play: Play) -> list[bytes]:
    return [section.source for section in play.plan.values() if isinstance(section, plan.ProtocolCode)]


def with_protocols(*sources: bytes) -> Play:
    play = Play(protocols=protocols(*sources))
    play.connect()
    play.say(CLUSTER, "1", cluster("a"))
    play.say(ENDPOINTS, "2", endpoints("a", 1))
    play.commit()
    assert files(play) == list(sources)
    return play


def test_files_with_protocols_are_a_part_of_every_plan() -> None:
    play = with_protocols(b"1")
    play.say(CLUSTER, "3", cluster("b"))
    play.say(ENDPOINTS, "4", endpoints("b", 1))
    play.commit()
    assert files(play) == [b"1"]


def test_files_with_protocols_change_in_updates_of_their_own() -> None:
    play = with_protocols(b"1", b"2")
    play.seen(play.state.protocols_changed(protocols(b"1", b"3"), play.now))
    assert [name for _, name, _ in play.commit().upserts] == ["/p1.py"]
    play.seen(play.state.protocols_changed(protocols(b"1"), play.now))
    assert play.commit().removed == [("protocol", "/p1.py")]
    play.seen(play.state.protocols_changed(protocols(b"1"), play.now))
    assert (play.updates, files(play)) == ([], [b"1"])


def test_protocols_that_are_refused_hold_up_nothing_else_and_are_tried_again() -> None:
    play = with_protocols(b"1")
    play.seen(play.state.protocols_changed(protocols(b"broken"), play.now))
    play.refuse("/p0.py:3: no")
    assert play.notes == ["protocols: refused: /p0.py:3: no; those that were there before stay in force"]
    play.say(ENDPOINTS, "6", endpoints("a", 2))
    assert [name for _, name, _ in play.commit().upserts] == ["a"]
    assert files(play) == [b"1"]
    play.later(RETRY_FIRST + 1)
    assert [name for _, name, _ in play.updates[0].upserts] == ["/p0.py"]
    play.refuse("/p0.py:3: no")
    play.seen(play.state.protocols_changed(protocols(b"2"), play.now))
    play.commit()
    assert files(play) == [b"2"]
    assert play.state.deadline() is None


def test_what_was_refused_for_want_of_a_protocol_is_tried_again_when_one_comes() -> None:
    play = with_protocols()
    play.say(CLUSTER, "3", cluster("b"))
    play.say(ENDPOINTS, "4", endpoints("b", 1))
    play.refuse("there is no protocol 'ledger'")
    while play.updates:
        play.refuse("there is no protocol 'ledger'")
    play.seen(play.state.protocols_changed(protocols(b"1"), play.now))
    play.commit()
    while play.updates:
        play.commit()
    assert ("cluster", "b") in play.plan
    assert files(play) == [b"1"]


def test_a_static_name_cannot_be_sent() -> None:
    a = ClusterDraft(plan.Cluster("a", "a"), endpoints=endpoints("a", 1))
    play = Play(clusters=[a])
    play.commit()
    play.connect()
    play.say(CLUSTER, "1", cluster("a"))
    assert "static_resources" in play.requests[0].error


def test_a_type_nobody_asked_for() -> None:
    play = start()
    play.say("type.googleapis.com/other", "5", cluster("a"))
    assert not play.requests
    assert play.notes


def test_one_route_configuration_for_http_and_for_rpc() -> None:
    """Services are compared otherwise than hosts: it becomes two tables."""
    play = start()
    found = listener("m", "r", 81)
    (chain,) = found.listener.chains
    http = msgspec.structs.replace(chain.http, x_protocol=plan.XProtocol("bolt"))  # type: ignore[type-var]
    rpc = msgspec.structs.replace(found.listener, chains=[msgspec.structs.replace(chain, http=http)])
    play.say(LISTENER, "5", listener("l", "r"), ListenerDraft(rpc, found.chains))
    play.commit()
    first, second = play.plan["routes", "r"], play.plan["routes", "r@m"]
    assert isinstance(first, plan.Routes)
    assert isinstance(second, plan.Routes)
    assert (first.exact, second.exact) == (False, True)
    assert first.virtual_hosts == second.virtual_hosts


@pytest.mark.parametrize("second", [listener("m", "r", 81, idle=1), None])
def test_routes_of_two_listeners(second: ListenerDraft | None) -> None:
    """One name for different things: other idle timeouts, or inline routes called like an RDS resource."""
    if second is None:
        second = inline("m", 81, routes("r"))
    play = start()
    play.say(LISTENER, "5", listener("l", "r"), second)
    play.commit()
    assert play.plan["listener", "l"].chains[0].http.routes == "r"
    assert play.plan["listener", "m"].chains[0].http.routes == "r@m"
    assert play.plan["routes", "r@m"].name == "r@m"


NAMES = st.lists(st.sampled_from("abc"), unique=True)
EVENTS = st.one_of(
    st.tuples(st.just("clusters"), NAMES, st.booleans()),
    st.tuples(st.just("endpoints"), NAMES, st.integers(1, 3)),
    st.tuples(st.just("listeners"), st.lists(st.sampled_from("lm"), unique=True)),
    st.tuples(st.just("routes"), NAMES),
    st.tuples(st.just("bad"), st.sampled_from([CLUSTER, ENDPOINTS, LISTENER, ROUTES])),
    st.tuples(st.sampled_from(["commit", "commit", "refuse", "break"])),
    st.tuples(st.just("later"), st.sampled_from([1, 6, 20])),
)


class Anything(Play):
    """A play of whatever happens; holds the update under way apart."""

    def __init__(self, in_force: int) -> None:
        self.pending: list[plan.Update] = []
        self.nonce = 0
        self.answered: dict[str, Request] = {}
        super().__init__(in_force=in_force)
        self.connect()

    def seen(self, actions: list[Action]) -> None:
        super().seen(actions)
        self.pending += self.updates
        assert len(self.pending) <= 1
        for request in self.requests:
            self.answered[request.type_url] = request

    def tell(self, type_url: str, *resources: Any) -> None:
        self.nonce += 1
        self.say(type_url, str(self.nonce), *resources)

    def finish(self, error: str = "") -> None:
        if not self.pending:
            return
        self.updates = [self.pending.pop()]
        if error:
            self.refuse(error)
            return
        self.commit()
        for (kind, name), section in self.plan.items():
            if kind == "cluster":
                assert ("endpoints", section.endpoints) in self.plan, name
            if kind == "listener":
                for chain in section.all_chains():
                    assert ("routes", chain.http.routes) in self.plan, name

    def event(self, kind: str, *arguments: Any) -> None:
        if kind == "clusters":
            self.tell(CLUSTER, *(cluster(name, max_requests=1 + arguments[1]) for name in arguments[0]))
        elif kind == "endpoints":
            self.tell(ENDPOINTS, *(endpoints(name, arguments[1]) for name in arguments[0]))
        elif kind == "listeners":
            self.tell(LISTENER, *(listener(name, "r") for name in arguments[0]))
        elif kind == "routes":
            self.tell(ROUTES, routes("r", *arguments[0]))
        elif kind == "bad":
            self.tell(arguments[0], "bad")
        elif kind == "later":
            self.later(arguments[0])
        elif kind == "break":
            self.state.disconnected()
            self.connect()
        else:
            self.finish("no" if kind == "refuse" else "")


@settings(max_examples=300, deadline=None)
@given(events=st.lists(EVENTS, max_size=30), in_force=st.sampled_from([0, 5]))
def test_whatever_happens_plans_are_closed_and_in_the_end_everything_is_in_force(
    events: list[Any], in_force: int
) -> None:
    play = Anything(in_force)
    for event in events:
        play.event(*event)
    last = {}
    for kind, *arguments in (
        ("clusters", ["a", "b"], True),
        ("endpoints", ["a", "b"], 9),
        ("listeners", ["l"]),
        ("routes", ["b"]),
    ):
        play.event(kind, *arguments)
        last[str(play.nonce)] = kind
        while play.pending:
            play.finish()
    play.later(RETRY_MAX)
    while play.pending:
        play.finish()
    assert set(play.plan) >= {("cluster", "a"), ("cluster", "b"), ("listener", "l"), ("routes", "r")}
    assert play.keys() == {
        *(("cluster", name) for name in "ab"),
        *(("endpoints", name) for name in "ab"),
        ("listener", "l"),
        ("routes", "r"),
    }
    assert play.plan["endpoints", "b"].endpoints[0].port == 9
    assert play.plan["routes", "r"].virtual_hosts[0].routes[0].clusters[0].name == "b"
    assert {request.nonce for request in play.answered.values()} == set(last)
    assert not any(request.error for request in play.answered.values())
    assert play.state.deadline() is None
