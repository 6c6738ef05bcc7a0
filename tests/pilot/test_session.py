"""Playbooks: requests and views in, responses out. No socket, no clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest, DiscoveryResponse

from tage.pilot.generate import CLUSTER, ENDPOINT, LISTENER, ROUTE, TYPES, Snapshot
from tage.pilot.session import HOLD, MAX_TYPES, ProtocolError, Session
from tage.pilot.world import Own, World
from tage.registry.model import Service
from tests.pilot.samples import NODE, RATINGS, REVIEWS, SUBSETS, instance, routing, snapshot

RATINGS_CLUSTER = f"outbound|9080||{RATINGS.fqdn}"
REVIEWS_CLUSTER = f"outbound|80||{REVIEWS.fqdn}"


class Client:
    """A well-behaved client whose answers the test gives one by one."""

    def __init__(self, *texts: str, services: tuple[Service, ...] = (REVIEWS, RATINGS)) -> None:
        self.world = World()
        self.world.update(snapshot(*texts, services=services))
        self.own = Own(NODE)
        self.now = 100.0
        self.time = datetime(2026, 1, 1, tzinfo=UTC)
        self.session = Session(self.world.view(NODE, self.own), clock=lambda: self.time)
        self.names: dict[str, list[str]] = {}
        self.last: dict[str, DiscoveryResponse] = {}

    def change(self, mesh: Snapshot) -> None:
        self.world.update(mesh)
        self.session.set_view(self.world.view(NODE, self.own))

    def responses(self) -> list[DiscoveryResponse]:
        found = []
        while (wire := self.session.next_response(self.now)) is not None:
            response = DiscoveryResponse.FromString(wire)
            self.last[response.type_url] = response
            found.append(response)
        return found

    def sent(self) -> list[str]:
        """The types of what is sent now."""
        return [TYPES.get(response.type_url, response.type_url) for response in self.responses()]

    def ask(self, type_url: str, *names: str, version: str = "", nonce: str = "") -> None:
        self.names[type_url] = list(names)
        request = DiscoveryRequest(type_url=type_url, resource_names=names, version_info=version, response_nonce=nonce)
        self.session.on_request(request)

    def ask_more(self, type_url: str, *names: str, version: str) -> None:
        """Other names, before the last response is answered."""
        self.ask(type_url, *names, version=version, nonce=self.last[type_url].nonce)

    def answer(self, type_url: str, *names: str, error: str = "", nonce: str | None = None) -> str:
        if names:
            self.names[type_url] = list(names)
        request = DiscoveryRequest(
            type_url=type_url,
            resource_names=self.names[type_url],
            response_nonce=self.last[type_url].nonce if nonce is None else nonce,
        )
        if error:
            request.error_detail.message = error
        else:
            request.version_info = self.last[type_url].version_info
        return self.session.on_request(request)

    def join(self) -> None:
        """As Envoy starts: all types, each acknowledged."""
        self.ask(CLUSTER)
        assert self.sent() == ["CDS"]
        self.answer(CLUSTER)
        self.ask(ENDPOINT, *self.clusters())
        assert self.sent() == ["EDS"]
        self.answer(ENDPOINT)
        self.ask(LISTENER)
        assert self.sent() == ["LDS"]
        self.answer(LISTENER)
        self.ask(ROUTE, "http_proxy")
        assert self.sent() == ["RDS"]
        self.answer(ROUTE)
        assert self.sent() == []
        assert self.synced() == {"CDS", "EDS", "LDS", "RDS"}

    def clusters(self) -> list[str]:
        return sorted(self.session.view[ENDPOINT].names)

    def synced(self) -> set[str]:
        return {name for name, state in self.session.status().items() if state["synced"]}


def names(response: DiscoveryResponse) -> set[str]:
    """Of clusters or endpoints."""
    if response.type_url == CLUSTER:
        return {Cluster.FromString(resource.value).name for resource in response.resources}
    assert response.type_url == ENDPOINT
    return {ClusterLoadAssignment.FromString(resource.value).cluster_name for resource in response.resources}


@pytest.fixture
def client() -> Client:
    joined = Client(SUBSETS, routing())
    joined.join()
    return joined


def grown() -> Service:
    return Service("reviews", instances=(*REVIEWS.instances, instance(4, "v2")))


def test_first_requests_are_answered_wholly():
    client = Client(SUBSETS)
    client.ask(CLUSTER)
    (response,) = client.responses()
    assert names(response) == {*client.clusters(), "inbound|8080||"}
    assert response.version_info
    assert response.nonce
    client.ask(ENDPOINT, REVIEWS_CLUSTER)
    (response,) = client.responses()
    assert names(response) == {REVIEWS_CLUSTER}


def test_a_first_request_is_answered_even_if_the_client_has_that_version(client: Client):
    again = Client(SUBSETS, routing())
    again.ask(CLUSTER, version=client.last[CLUSTER].version_info, nonce="17")
    (response,) = again.responses()
    assert response.version_info == client.last[CLUSTER].version_info


def test_a_first_request_is_answered_even_with_nothing():
    client = Client()
    client.ask(ENDPOINT, "outbound|80||unknown")
    (response,) = client.responses()
    assert not response.resources
    client.ask("type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret", "x")
    (response,) = client.responses()
    assert not response.resources


def test_an_unchanged_configuration_is_not_sent_again(client: Client):
    client.change(snapshot(SUBSETS, routing()))
    assert client.sent() == []


def test_an_endpoint_change_sends_what_changed(client: Client):
    client.change(snapshot(SUBSETS, routing(), services=(grown(), RATINGS)))
    (response,) = client.responses()
    assert response.type_url == ENDPOINT
    assert names(response) == {REVIEWS_CLUSTER, f"outbound|80|v2|{REVIEWS.fqdn}"}
    assert "EDS" not in client.synced()
    client.answer(ENDPOINT)
    assert "EDS" in client.synced()


def test_only_what_was_asked_for_is_sent():
    client = Client()
    client.ask(ENDPOINT, RATINGS_CLUSTER)
    client.sent()
    client.answer(ENDPOINT)
    client.change(snapshot(services=(grown(), RATINGS)))
    assert client.sent() == []
    assert client.synced() == {"EDS"}


def test_one_response_in_flight_and_the_newest_after_it(client: Client):
    client.change(snapshot(SUBSETS, routing(), services=(grown(), RATINGS)))
    assert client.sent() == ["EDS"]
    for number in (5, 6):
        more = Service("reviews", instances=(*REVIEWS.instances, instance(number, "v1")))
        client.change(snapshot(SUBSETS, routing(), services=(more, RATINGS)))
        assert client.sent() == []
    client.answer(ENDPOINT)
    (response,) = client.responses()
    assert b"127.1.0.6" in response.SerializeToString()
    assert b"127.1.0.5" not in response.SerializeToString()


def test_stale_nonces_are_ignored(client: Client):
    old = client.last[ENDPOINT].nonce
    client.change(snapshot(SUBSETS, routing(), services=(grown(), RATINGS)))
    assert client.sent() == ["EDS"]
    client.answer(ENDPOINT, REVIEWS_CLUSTER, nonce=old)
    assert client.sent() == []
    assert "EDS" not in client.synced()


def test_new_names_are_answered_and_known_ones_are_not(client: Client):
    client = Client(SUBSETS)
    client.ask(ENDPOINT, REVIEWS_CLUSTER)
    client.sent()
    client.answer(ENDPOINT, REVIEWS_CLUSTER, RATINGS_CLUSTER)
    (response,) = client.responses()
    assert names(response) == {RATINGS_CLUSTER}
    client.answer(ENDPOINT, RATINGS_CLUSTER)
    assert client.sent() == []
    client.answer(ENDPOINT, REVIEWS_CLUSTER, RATINGS_CLUSTER)
    (response,) = client.responses()
    assert names(response) == {REVIEWS_CLUSTER}


def test_asking_once_more_is_answered(client: Client):
    client.answer(ENDPOINT)
    (response,) = client.responses()
    assert names(response) == set(client.clusters())
    client.answer(ENDPOINT)
    assert client.sent() == []


def test_a_refused_response_is_recorded_and_not_repeated(client: Client):
    client.change(snapshot(SUBSETS, routing(), services=(grown(), RATINGS)))
    assert client.sent() == ["EDS"]
    assert client.answer(ENDPOINT, error="no such thing") == "no such thing"
    assert client.sent() == []
    state = client.session.status()["EDS"]
    assert state["nacked"] == "no such thing"
    assert not state["synced"]
    assert state["acked"] != state["sent"]


def test_after_a_refusal_the_refused_go_out_with_the_next_change(client: Client):
    client.change(snapshot(SUBSETS, routing(), services=(grown(), RATINGS)))
    client.sent()
    client.answer(ENDPOINT, error="no")
    more = Service("ratings", "other", 9080, instances=())
    client.change(snapshot(SUBSETS, routing(), services=(grown(), more)))
    (response,) = client.responses()
    assert names(response) == {REVIEWS_CLUSTER, f"outbound|80|v2|{REVIEWS.fqdn}", RATINGS_CLUSTER}
    client.answer(ENDPOINT)
    assert client.session.status()["EDS"]["nacked"] == ""
    assert "EDS" in client.synced()


def test_a_new_service_is_made_before_routes_lead_to_it(client: Client):
    new = Service("new", instances=(instance(7),))
    name = f"outbound|80||{new.fqdn}"
    client.change(snapshot(SUBSETS, routing(), services=(REVIEWS, RATINGS, new)))
    assert client.sent() == ["CDS"]
    client.answer(CLUSTER)
    assert client.sent() == [], "the client has not asked for the endpoints yet"
    client.answer(ENDPOINT, *client.clusters())
    (response,) = client.responses()
    assert names(response) == {name}
    client.answer(ENDPOINT)
    assert client.sent() == ["RDS"]


def test_routes_do_not_wait_for_ever(client: Client):
    new = Service("new", instances=(instance(7),))
    client.change(snapshot(SUBSETS, routing(), services=(REVIEWS, RATINGS, new)))
    assert client.sent() == ["CDS"]
    assert client.session.wait(client.now) == HOLD
    client.now += HOLD - 0.1
    assert client.sent() == []
    client.now += 0.2
    assert client.session.wait(client.now) == 0
    assert client.sent() == ["RDS"]
    assert client.session.wait(client.now) is None


def test_a_route_change_alone_waits_for_nothing(client: Client):
    client.change(snapshot(SUBSETS, routing("[{timeout: 1s, route: [{destination: {host: reviews}}]}]")))
    assert client.sent() == ["RDS"]
    assert client.session.wait(client.now) is None


def test_a_cluster_goes_only_after_the_routes_that_named_it(client: Client):
    client.change(snapshot(SUBSETS, routing(), services=(REVIEWS,)))
    assert client.sent() == ["RDS"]
    client.answer(ROUTE)
    (response,) = client.responses()
    assert response.type_url == CLUSTER
    assert RATINGS_CLUSTER not in names(response)
    client.answer(CLUSTER)
    client.answer(ENDPOINT, *client.clusters())
    assert client.sent() == []
    assert client.synced() == {"CDS", "EDS", "LDS", "RDS"}


def test_a_cluster_stays_while_others_come(client: Client):
    new = Service("new", instances=(instance(7),))
    client.change(snapshot(SUBSETS, routing(), services=(REVIEWS, new)))
    (response,) = client.responses()
    assert response.type_url == CLUSTER
    assert {RATINGS_CLUSTER, f"outbound|80||{new.fqdn}"} <= names(response)
    client.answer(CLUSTER)
    client.answer(ENDPOINT, *client.clusters(), RATINGS_CLUSTER)
    assert client.sent() == ["EDS"]
    client.answer(ENDPOINT)
    assert client.sent() == ["RDS"]
    client.answer(ROUTE)
    (response,) = client.responses()
    assert RATINGS_CLUSTER not in names(response)


def test_refused_routes_keep_their_clusters(client: Client):
    client.change(snapshot(SUBSETS, routing(), services=(REVIEWS,)))
    assert client.sent() == ["RDS"]
    client.answer(ROUTE, error="no")
    assert client.sent() == []
    other = routing("[{timeout: 1s, route: [{destination: {host: reviews}}]}]")
    client.change(snapshot(SUBSETS, other, services=(REVIEWS,)))
    assert client.sent() == ["RDS"]
    client.answer(ROUTE)
    assert client.sent() == ["CDS"]


def test_a_removed_service_that_comes_back_meanwhile_was_never_gone(client: Client):
    client.change(snapshot(SUBSETS, routing(), services=(REVIEWS,)))
    assert client.sent() == ["RDS"]
    client.change(snapshot(SUBSETS, routing()))
    client.answer(ROUTE)
    assert client.sent() == ["EDS"], "they may have changed; the cluster never went"
    client.answer(ENDPOINT)
    assert client.sent() == ["RDS"]
    client.answer(ROUTE)
    assert client.sent() == []
    assert client.synced() == {"CDS", "EDS", "LDS", "RDS"}


def test_a_changed_clusters_endpoints_are_sent_after_it(client: Client):
    policy = SUBSETS + "  trafficPolicy: {loadBalancer: {simple: RANDOM}}\n"
    client.change(snapshot(policy, routing()))
    clusters, endpoints = client.responses()
    assert (clusters.type_url, endpoints.type_url) == (CLUSTER, ENDPOINT)
    assert names(endpoints) == {f"outbound|80|{subset}|{REVIEWS.fqdn}" for subset in ("", "v1", "v2")}


def test_a_client_that_takes_clusters_only_with_their_endpoints_is_not_kept_waiting(client: Client):
    """It acknowledges clusters and endpoints together, and asks for the new ones' endpoints before."""
    before = client.last[ENDPOINT].version_info
    new = Service("new", instances=(instance(7),))
    policy = SUBSETS + "  trafficPolicy: {loadBalancer: {simple: RANDOM}}\n"
    client.change(snapshot(policy, routing(), services=(REVIEWS, RATINGS, new)))
    assert client.sent() == ["CDS", "EDS"]
    client.ask_more(ENDPOINT, *client.clusters(), version=before)
    assert "EDS" not in client.synced()
    (response,) = client.responses()
    assert names(response) == {f"outbound|80||{new.fqdn}"}
    client.answer(ENDPOINT)
    client.answer(CLUSTER)
    assert client.sent() == ["RDS"]
    client.answer(ROUTE)
    assert client.synced() == {"CDS", "EDS", "LDS", "RDS"}


def test_a_refusal_that_was_taken_back(client: Client):
    client.change(snapshot(SUBSETS, routing(), services=(grown(), RATINGS)))
    assert client.sent() == ["EDS"]
    client.answer(ENDPOINT, error="no port")
    client.answer(ENDPOINT)
    assert client.sent() == []
    assert client.session.status()["EDS"]["nacked"] == ""
    assert client.synced() == {"CDS", "EDS", "LDS", "RDS"}


def test_a_refusal_names_all_that_was_in_flight(client: Client):
    client = Client(SUBSETS)
    client.ask(ENDPOINT, REVIEWS_CLUSTER)
    client.sent()
    client.ask_more(ENDPOINT, REVIEWS_CLUSTER, RATINGS_CLUSTER, version="")
    assert client.sent() == ["EDS"]
    client.answer(ENDPOINT, error="no")
    client.change(snapshot(SUBSETS, services=(REVIEWS, Service("ratings", "other", 9080))))
    (response,) = client.responses()
    assert names(response) == {REVIEWS_CLUSTER, RATINGS_CLUSTER}


def test_since_changes_with_the_state(client: Client):
    before = client.session.status()["EDS"]["since"]
    client.time += timedelta(seconds=10)
    client.change(snapshot(SUBSETS, routing(), services=(grown(), RATINGS)))
    client.sent()
    during = client.session.status()["EDS"]["since"]
    client.time += timedelta(seconds=10)
    client.answer(ENDPOINT)
    after = client.session.status()["EDS"]["since"]
    assert before < during < after
    assert client.session.status()["CDS"]["since"] == before


def test_protocol_errors():
    client = Client()
    with pytest.raises(ProtocolError, match="type_url"):
        client.ask("")
    for number in range(MAX_TYPES):
        client.ask(f"type.googleapis.com/{number}")
    with pytest.raises(ProtocolError, match=str(MAX_TYPES)):
        client.ask("type.googleapis.com/more")
