"""Which listener, and which filter chain."""

from __future__ import annotations

import pytest

from tage.sidecar import plan
from tage.sidecar.explain.apart import QuestionError
from tests.sidecar.explain.plans import ask, cluster, match, sections, to

ROUTES = plan.Routes("r", [plan.VirtualHost("v", ["*"], [plan.Route(match(), "r", to("a"))])])
HTTP = plan.Http("r")
TLS = plan.DownstreamTls(["c"])


def chain(name="", **fields):
    if "tcp" not in fields:
        fields["http"] = HTTP
    return plan.FilterChain(name, **fields)


def listen(name, port, *chains, address="127.0.0.1", **fields):
    return plan.Listener(name, address, port, chains=list(chains) or [chain()], **fields)


def found(*listeners, target="http://x/", **question):
    return ask(sections(*listeners, ROUTES, *cluster("a")), target, **question)


@pytest.mark.parametrize(
    ("listeners", "target", "name"),
    [
        ([listen("a", 1)], "http://x/", "a"),
        ([listen("a", 1), listen("b", 2, direction="outbound")], "http://x/", "b"),
        ([listen("a", 1), listen("b", 2, direction="outbound")], "http://127.0.0.1:1/", "a"),
        ([listen("a", 1), listen("b", 80)], "http://x/", "b"),
        ([listen("a", 1), listen("b", 443)], "https://x/", "b"),
    ],
)
def test_the_listener(listeners, target, name):
    assert found(*listeners, target=target).listener.name == name


def test_the_listener_whose_routes_tell_hosts_apart():
    """Beside it are those of one service each."""
    told = plan.Routes("t", [plan.VirtualHost("v", ["x"], [plan.Route(match(), "r", to("a"))])])
    shared = listen("shared", 2, plan.FilterChain(http=plan.Http("t")), direction="outbound")
    given = sections(listen("own", 1, direction="outbound"), shared, ROUTES, told, *cluster("a"))
    assert ask(given).listener.name == "shared"
    assert ask(given, "http://127.0.0.1:1/").listener.name == "own"


@pytest.mark.parametrize("wanted", ["b", "2", "127.0.0.1:2"])
def test_the_listener_that_was_named(wanted):
    assert found(listen("a", 1), listen("b", 2), listener=wanted).listener.name == "b"


def test_which_listener():
    with pytest.raises(QuestionError, match=r"which listener\? say --listener with one of a \(127.0.0.1:1\), b"):
        found(listen("a", 1), listen("b", 2))
    with pytest.raises(QuestionError, match="there is no listener"):
        found()


@pytest.mark.parametrize(
    ("match", "question", "why"),
    [
        (None, {}, "the only one"),
        (plan.ChainMatch(server_names=["x"]), {"target": "https://x/"}, "it matches the server name"),
        (plan.ChainMatch(source_prefixes=["10.0.0.0/8"]), {"source": "10.1.1.1"}, "it matches the source address"),
    ],
)
def test_why_a_chain(match, question, why):
    tls = TLS if match is not None and match.server_names else None
    answer = found(listen("a", 1, chain("c", match=match, tls=tls)), **question)
    assert (answer.listener.chain, answer.listener.why) == ("c", why)
    assert answer.served


@pytest.mark.parametrize(
    ("match", "why"),
    [
        (plan.ChainMatch(server_names=["x"]), "no filter chain matches the server name (the client names none)"),
        (plan.ChainMatch(destination_port=7), "no filter chain matches the destination port 1"),
        (plan.ChainMatch(source_prefixes=["10.0.0.0/8"]), "no filter chain matches the source address 127.0.0.1"),
        (plan.ChainMatch(source_type="external"), "no filter chain matches the source type of 127.0.0.1"),
    ],
)
def test_why_no_chain(match, why):
    answer = found(listen("a", 1, chain("c", match=match)))
    assert answer.listener.why == why
    assert (answer.outcome.kind, answer.outcome.text) == ("refused", f"the connection is closed: {why}")
    default = found(listen("a", 1, chain("c", match=match), default_chain=chain("d")))
    assert (default.listener.chain, default.listener.why) == ("d", f"the default; {why}")
    assert default.served


def test_tls_and_plain():
    plain = found(listen("a", 1, chain(tls=TLS)))
    assert plain.outcome.text == (
        "the connection is closed: the filter chain speaks TLS, and the request comes without; ask for https://"
    )
    assert found(listen("a", 1, chain(tls=TLS)), target="https://x/").served
    assert found(listen("a", 1, chain(tls=TLS)), sni="x").served
    assert not found(listen("a", 1), target="https://x/").served
    sent = found(listen("a", 1, chain(tls=TLS)), target="https://x/").route.shares[0].request
    assert [each.value for each in sent.headers if each.name == "x-forwarded-proto"] == ["https"]


def test_a_tcp_proxy():
    proxy = plan.Tcp(to(a=1, b=3))
    answer = found(listen("a", 1, chain(tcp=proxy)), target="tcp://db:5432")
    assert [(share.cluster, share.percent) for share in answer.route.shares] == [("a", 25.0), ("b", 75.0)]
    assert answer.outcome.kind == "relayed"
    assert answer.outcome.text.startswith("the connection's bytes are relayed, but for 75 % of them: 503")
    assert not answer.served
