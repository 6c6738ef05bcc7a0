from __future__ import annotations

import pytest

from tage.registry.model import Service
from tests.pilot.samples import REVIEWS, destination_rule, routing, snapshot

SERVICES = (REVIEWS, Service("stock", protocol="bolt", interfaces=("com.tage.Stock",)))
TO = "route: [{destination: {host: stock}}]"


@pytest.mark.parametrize(
    ("rule", "warning"),
    [
        (f"{{{TO}, match: [{{method: {{exact: POST}}, uri: {{prefix: /com.tage}}}}]}}", ""),
        (
            f"{{{TO}, match: [{{method: {{exact: GET}}}}]}}",
            "match[0].method: never matches: it is POST for remote calls",
        ),
        (
            f"{{{TO}, match: [{{scheme: {{prefix: https}}}}]}}",
            "match[0].scheme: never matches: it is http for remote calls",
        ),
        (
            f"{{{TO}, match: [{{uri: {{exact: check}}}}]}}",
            "match[0].uri: never matches: it is /SERVICE/METHOD for remote calls",
        ),
        (
            f"{{{TO}, match: [{{queryParams: {{a: {{exact: b}}}}}}]}}",
            "match[0].queryParams: never match: remote calls have none",
        ),
        ("{redirect: {uri: /a}}", "redirect: no client of remote calls follows one; such requests fail"),
        ("{directResponse: {status: 503}}", ""),
        (
            "{directResponse: {status: 200}}",
            "directResponse: the sidecar has no result to give: the caller of a remote call cannot read it",
        ),
    ],
)
@pytest.mark.parametrize("host", ["stock", "com.tage.Stock"])
def test_rules(rule: str, warning: str, host: str) -> None:
    text = routing(f"[{rule}]", hosts=f"[{host}]")
    found = f"VirtualService default/reviews: spec.http[0].{warning}, of protocol bolt"
    assert snapshot(text, services=SERVICES).warnings == ((found,) if warning else ())


def test_of_http_nothing_is_said() -> None:
    text = routing("[{redirect: {uri: /a}, match: [{method: {exact: GET}}]}]")
    assert snapshot(text, services=SERVICES).warnings == ()


def test_policies() -> None:
    policy = "{loadBalancer: {consistentHash: {httpCookie: {name: a, ttl: 1s}}}}"
    subset = "{name: v1, trafficPolicy: {connectionPool: {http: {useClientProtocol: true}}}}"
    text = destination_rule(f"{{host: stock, trafficPolicy: {policy}, subsets: [{subset}]}}")
    start = "DestinationRule default/reviews: spec."
    assert snapshot(text, services=SERVICES).warnings == (
        f"{start}trafficPolicy.loadBalancer.consistentHash.httpCookie: remote calls have none, and are not hashed, "
        "of protocol bolt",
        f"{start}subsets[0].trafficPolicy.connectionPool.http.useClientProtocol: has no effect on remote calls, "
        "of protocol bolt",
    )


def test_destinations_that_speak_another_protocol() -> None:
    start = "VirtualService default/reviews: spec.http[0]."
    to_http = "[{route: [{destination: {host: reviews}}], mirror: {host: stock}}]"
    assert snapshot(routing(to_http, hosts="[com.tage.Stock]"), services=SERVICES).warnings == (
        f"{start}route[0].destination: service {REVIEWS.fqdn} is of protocol http, the rule of bolt; "
        "such calls get 503",
    )
    to_bolt = "[{route: [{destination: {host: com.tage.Stock}}]}]"
    assert snapshot(routing(to_bolt), services=SERVICES).warnings == (
        f"{start}route[0].destination: service stock.default.svc.cluster.local is of protocol bolt, the rule of http; "
        "such calls get 503",
    )
