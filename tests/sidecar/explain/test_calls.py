"""Remote calls: which listener takes them, what routing sees of them, what goes on."""

from __future__ import annotations

import pytest

from tage.sidecar import plan
from tage.sidecar.explain.apart import Question, QuestionError
from tage.sidecar.explain.findings import Explanation
from tage.sidecar.explain.trace import explain
from tests.sidecar.explain.plans import cluster, match, sections, to

STOCK = "com.example.Stock"
EXACT = plan.StringMatch("exact", "2.0")


def chain(protocol: str, routes: str = "", **matched: list[str]) -> plan.FilterChain:
    http = plan.Http(routes or protocol, x_protocol=plan.XProtocol(protocol))
    return plan.FilterChain(match=plan.ChainMatch(**matched), http=http)


def listener(name: str, port: int, *chains: plan.FilterChain, **fields: object) -> plan.Listener:
    return plan.Listener(name, "127.0.0.1", port, direction="outbound", chains=list(chains), **fields)  # type: ignore[arg-type]


def routes(name: str, domains: list[str], *rules: plan.Route) -> plan.Routes:
    return plan.Routes(name, [plan.VirtualHost("v", domains, list(rules))], exact=True)


MESH = sections(
    listener(
        "shared", 15001,
        chain("bolt", application_protocols=["x-bolt"]), chain("ledger", application_protocols=["x-ledger"]),
        plan.FilterChain(http=plan.Http("web")),
        inspect_protocols=["bolt", "ledger"],
    ),
    listener("bolt_proxy", 15101, chain("bolt")),
    plan.Routes("web", [plan.VirtualHost("w", ["*"], [plan.Route(match(), "web", to("b"))])]),
    routes(
        "bolt", [STOCK, f"{STOCK}:1.0"],
        plan.Route(match(f"/{STOCK}/", plan.HeaderMatch("version", EXACT)), "two", to("b")),
        plan.Route(match(f"/{STOCK}/check"), "check", to("a")),
    ),
    routes("ledger", ["ledger"], plan.Route(match(), "r", to("a"))),
    *cluster("a", x_protocol=plan.XProtocolUpstream("bolt")), *cluster("b"),
)  # fmt: skip


def ask(target: str, *headers: str, **fields: str) -> Explanation:
    pairs = [(name, value) for name, _, value in (text.partition(": ") for text in headers)]
    return explain(MESH, Question(target, headers=pairs, **fields))  # type: ignore[arg-type]


def test_the_listener_of_the_protocol_alone_comes_first() -> None:
    answer = ask(f"bolt://{STOCK}/check")
    assert answer.listener is not None
    assert answer.listener.name == "bolt_proxy"
    assert answer.virtual_host is not None
    assert answer.virtual_host.domain == STOCK
    assert [(rule.name, rule.matched) for rule in answer.rules] == [("two", False), ("check", True)]
    assert answer.served


def test_the_outbound_port_takes_it_by_detection() -> None:
    answer = ask("x-ledger://ledger/enter")
    assert answer.listener is not None
    assert (answer.listener.name, answer.listener.chain) == ("shared", "#1")
    assert answer.listener.why == "it matches the application protocol"
    assert answer.served
    answer = ask(f"bolt://{STOCK}/check", listener="15001")
    assert answer.listener is not None
    assert (answer.listener.name, answer.listener.chain) == ("shared", "#0")
    http = ask("http://reviews/", listener="shared")
    assert http.listener is not None
    assert (http.listener.chain, http.served) == ("#2", True)


def test_http_comes_in_by_the_listener_that_takes_it() -> None:
    relayed = plan.Listener(
        "db", "127.0.0.1", 16000, direction="outbound", chains=[plan.FilterChain(tcp=plan.Tcp(clusters=to("a")))]
    )
    given = {**MESH, ("listener", "db"): relayed}
    http = explain(given, Question("http://reviews/"))
    assert http.listener is not None
    assert http.listener.name == "shared"
    tcp = explain(given, Question("tcp://db"))
    assert tcp.listener is not None
    assert tcp.listener.name == "db"


def test_what_routing_sees() -> None:
    answer = ask(f"bolt://{STOCK}/check", "version: 2.0")
    assert answer.asked.protocol == "bolt"
    assert (answer.asked.method, answer.asked.authority, answer.asked.path) == ("POST", STOCK, f"/{STOCK}/check")
    assert [(header.name, header.value) for header in answer.asked.headers] == [("version", "2.0")]
    assert answer.route is not None
    assert answer.route.name == "two"


def test_services_are_compared_as_they_are_written() -> None:
    assert ask(f"bolt://{STOCK.lower()}/check").outcome.flag == "NR"
    version = ask(f"bolt://{STOCK}:1.0/check")
    assert version.virtual_host is not None
    assert version.virtual_host.domain == f"{STOCK}:1.0"
    assert version.rules[-1].matched is False, "the path has the version as well"


def test_what_goes_on_is_what_rules_say_and_nothing_else() -> None:
    changes = plan.HeaderMutations(add=[plan.HeaderMutation("zone", "east")], remove=["tag"])
    moved = plan.Route(match(f"/{STOCK}/"), "moved", to("a"), prefix_rewrite="/com.example.New/", host_rewrite="new")
    given = {
        **MESH,
        ("routes", "ledger"): routes("ledger", ["ledger"], plan.Route(match(), "r", to("a"), request_headers=changes)),
        ("routes", "bolt"): routes("bolt", [STOCK], moved),
    }
    answer = explain(given, Question("x-ledger://ledger/enter", headers=[("Tag", "a"), ("user", "b")]))
    assert answer.route is not None
    (share,) = answer.route.shares
    assert share.request is not None
    assert (share.request.authority, share.request.path) == ("ledger", "/ledger/enter")
    assert {(each.change, each.name, each.value) for each in share.request.headers} == {
        ("", "user", "b"), ("added", "zone", "east"), ("removed", "tag", "a"),
    }  # fmt: skip
    answer = explain(given, Question(f"bolt://{STOCK}/check"))
    assert answer.route is not None
    (share,) = answer.route.shares
    assert share.request is not None
    assert (share.request.authority, share.request.path) == ("new", "/com.example.New/check")
    assert share.request.headers == []


@pytest.mark.parametrize(
    ("question", "why"),
    [
        ({"target": "hsf://a/b"}, r"the scheme 'hsf' is not known: no listener takes such a protocol; there are"),
        ({"target": "bolt:///check"}, "which service"),
        ({"target": "bolt://a/b/c"}, "more than a service and a method"),
        ({"target": "bolt://a/b", "method": "DELETE"}, "remote calls have no such methods"),
        ({"target": "x_y://a/b"}, "the scheme 'x_y' is not known"),
    ],
)
def test_no_question(question: dict[str, str], why: str) -> None:
    with pytest.raises(QuestionError, match=why):
        explain(MESH, Question(**question))  # type: ignore[arg-type]


def test_the_wrong_protocol_for_a_listener() -> None:
    answer = ask("http://reviews/", listener="bolt_proxy")
    assert "the filter chain speaks bolt, and the request is none of it; ask for bolt://" in answer.outcome.text
    assert not answer.served
