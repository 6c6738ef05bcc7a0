"""From sections and a question to the answer, step by step."""

from __future__ import annotations

import pytest

from tage.sidecar import plan
from tage.sidecar.explain.apart import Question, QuestionError
from tage.sidecar.explain.trace import explain
from tests.sidecar.explain.plans import ask, cluster, match, sections, to, web

JASON = plan.HeaderMatch("end-user", plan.StringMatch("exact", "jason"))


def test_a_request_that_is_forwarded():
    given = sections(
        *web(plan.Route(match("/", JASON), "testers", to("b")), plan.Route(match(), "all", to(a=90, b=10))),
        *cluster("a"),
        *cluster("b", plan.Endpoint("127.0.0.2", 8080, 3), plan.Endpoint("::1", 8080, healthy=False)),
    )
    answer = ask(given, "http://reviews/1?q=2", "end-user: mary")
    assert (answer.asked.method, answer.asked.authority, answer.asked.path) == ("GET", "reviews", "/1?q=2")
    assert (answer.listener.name, answer.listener.chain) == ("web", "#0")
    assert (answer.virtual_host.name, answer.virtual_host.domain) == ("v", "*")
    assert [(rule.index, rule.name, rule.matched) for rule in answer.rules] == [(1, "testers", False), (2, "all", True)]
    assert answer.rules[0].why == 'header end-user is "mary", wants "jason"'
    assert answer.rules[1].why == "every path"
    assert [(share.cluster, share.percent, share.drawn) for share in answer.route.shares] == [
        ("a", 90.0, False),
        ("b", 10.0, False),
    ]
    assert [(each.name, len(each.endpoints), each.problem) for each in answer.clusters] == [("a", 1, ""), ("b", 2, "")]
    healthy, sick = answer.clusters[1].endpoints
    assert (healthy.usable, healthy.weight, sick.usable) == (True, 3, False)
    assert (answer.outcome.kind, answer.served) == ("forwarded", True)


def test_rules_behind_the_one_that_matches_are_not_tried():
    rules = [
        plan.Route(match("/a"), "a", to("a")),
        plan.Route(match(), "b", to("a")),
        plan.Route(match(), "c", to("a")),
    ]
    answer = ask(sections(*web(*rules), *cluster("a")))
    assert [rule.name for rule in answer.rules] == ["a", "b"]
    assert answer.rules_left == 1


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (match("/api"), 'path is "/x", wants prefix "/api"'),
        (plan.RouteMatch(plan.StringMatch("exact", "/X")), 'path is "/x", wants "/X"'),
        (plan.RouteMatch(plan.StringMatch("regex", "/[0-9]+")), 'path is "/x", wants regex "/[0-9]+"'),
        (match("/", plan.HeaderMatch("a")), "header a is absent, wants one"),
        (match("/", plan.HeaderMatch("h", invert=True)), 'header h is "1", wants none'),
        (match("/", plan.HeaderMatch("h", plan.StringMatch("exact", "2"))), 'header h is "1", wants "2"'),
        (
            match("/", plan.HeaderMatch("h", plan.StringMatch("suffix", "1"), invert=True)),
            'header h is "1", wants other than suffix "1"',
        ),
        (match("/", plan.HeaderMatch(":method", plan.StringMatch("exact", "POST"))), 'method is "GET", wants "POST"'),
        (match(connect=True), "it is for CONNECT requests only"),
    ],
)
def test_why_a_rule_does_not_match(rule, why):
    answer = ask(sections(*web(plan.Route(rule, "r", to("a"))), *cluster("a")), "http://x/x?q", "h: 1")
    assert [(each.matched, each.why) for each in answer.rules] == [(False, why)]
    assert (answer.outcome.kind, answer.outcome.status, answer.outcome.flag) == ("refused", 404, "NR")
    assert not answer.served


@pytest.mark.parametrize(
    ("domains", "host", "domain", "why"),
    [
        (("reviews", "*"), "reviews", "reviews", "exactly"),
        (("reviews", "*"), "REVIEWS", "reviews", "exactly"),
        (("*.x", "*.y.x", "*"), "a.y.x", "*.y.x", "by its ending"),
        (("a.*", "a.b.*", "*"), "a.b.c", "a.b.*", "by its beginning"),
        (("a", "*"), "b", "*", "as it matches every host"),
    ],
)
def test_how_the_virtual_host_was_found(domains, host, domain, why):
    answer = ask(sections(*web(plan.Route(match(), "r", to("a")), domains=domains), *cluster("a")), f"http://{host}/")
    assert (answer.virtual_host.domain, answer.virtual_host.why) == (domain, why)


def test_no_virtual_host():
    answer = ask(sections(*web(plan.Route(match(), "r", to("a")), domains=("reviews", "other"))), "http://revews/")
    assert answer.virtual_host.name == ""
    assert answer.virtual_host.why == 'none has the domain "revews"; similar are reviews'
    assert answer.rules == []
    assert (answer.outcome.status, answer.served) == (404, False)
    far = ask(sections(*web(domains=tuple(f"d{i}" for i in range(9)))), "http://zzz/")
    assert far.virtual_host.why == 'none has the domain "zzz"; there are d0, d1, d2, d3, d4 and 4 more'


def test_answers_of_the_sidecar():
    route = plan.Route(match(), "r", direct=plan.DirectResponse(418, "tea"))
    answer = ask(sections(*web(route)))
    assert (answer.outcome.kind, answer.outcome.status, answer.served) == ("answered", 418, True)
    assert answer.outcome.text == "the sidecar answers 418 itself, 3 bytes"
    assert answer.route.shares == []


@pytest.mark.parametrize(
    ("clusters", "problem"),
    [
        ([], "503, flag NC: there is no such cluster"),
        ([plan.Cluster("a", "a"), plan.Endpoints("a")], "503, flag UH: it has no endpoint"),
        (
            [plan.Cluster("a", "a"), plan.Endpoints("a", [plan.Endpoint("127.0.0.1", 1, healthy=False)])],
            "503, flag UH: none of its endpoints is healthy",
        ),
    ],
)
def test_nobody_to_serve_it(clusters, problem):
    answer = ask(sections(*web(plan.Route(match(), "r", to("a"))), *clusters))
    assert answer.clusters[0].problem == problem
    assert (answer.outcome.kind, answer.outcome.text, answer.served) == ("refused", problem, False)


def test_a_part_is_not_served():
    given = sections(*web(plan.Route(match(), "r", to(a=75, b=25))), *cluster("a"))
    answer = ask(given)
    assert answer.outcome.kind == "forwarded"
    assert answer.outcome.text == "the request goes on, but for 25 % of them: 503, flag NC: there is no such cluster"
    assert not answer.served
    assert ask(sections(*web(plan.Route(match(), "r", to(a=100, b=0))), *cluster("a"))).served


def test_draw():
    given = sections(*web(plan.Route(match(), "r", to(a=0, b=3))), *cluster("a"), *cluster("b"))
    assert [share.drawn for share in ask(given, draw=True).route.shares] == [False, True]


# -- what the upstream sees --------------------------------------------------------------------------------------------


def changes(request):
    return [(each.change, each.name, each.value) for each in request.headers if each.change]


def test_what_the_upstream_sees():
    given = sections(*web(plan.Route(match("/old"), "r", to("a"), prefix_rewrite="/new")), *cluster("a"))
    answer = ask(given, "http://x/old/1?q", "x-forwarded-for: 9.9.9.9", "te: gzip", source="10.0.0.1")
    request = answer.route.shares[0].request
    assert (request.method, request.authority, request.path) == ("GET", "x", "/new/1?q")
    assert changes(request) == [
        ("added", "x-request-id", "(made for each request)"),
        ("changed", "x-forwarded-for", "9.9.9.9,10.0.0.1"),
        ("added", "x-forwarded-proto", "http"),
        ("removed", "te", "gzip"),
    ]


def test_an_upgrade_goes_on_where_it_is_enabled():
    rule = plan.Route(match(), "r", to("a"))
    asked = ("connection: upgrade", "upgrade: websocket")
    off = ask(sections(*web(rule), *cluster("a")), "http://x/", *asked).route.shares[0].request
    assert ("removed", "upgrade", "websocket") in changes(off)
    on = ask(sections(*web(rule, upgrades=["websocket"]), *cluster("a")), "http://x/", *asked).route.shares[0].request
    assert [each.value for each in on.headers if each.name == "upgrade"] == ["websocket"]


def test_connect():
    rules = [plan.Route(match("", connect=True), "tunnel", to("a"))]
    answer = ask(sections(*web(*rules), *cluster("a")), "db:5432", method="CONNECT")
    assert (answer.outcome.status, answer.outcome.kind) == (501, "refused")
    answer = ask(sections(*web(*rules, upgrades=["connect"]), *cluster("a")), "db:5432", method="CONNECT")
    assert [(rule.matched, rule.why) for rule in answer.rules] == [(True, "CONNECT")]
    assert answer.served
    plain = ask(sections(*web(plan.Route(match(), "r", to("a")), upgrades=["connect"])), "db:5432", method="CONNECT")
    assert plain.rules[0].why == "CONNECT requests need a rule of their own"


# -- questions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "why"),
    [
        ({"target": "/"}, "names no host"),
        ({"target": "ftp://x/"}, "the scheme 'ftp' is not known"),
        ({"target": "http://x/a b"}, "no sidecar takes this request"),
        ({"target": "http://x:port/"}, "no sidecar takes this request: the Host header"),
        ({"target": "http://x/", "source": "nobody"}, "not an IP address"),
        ({"target": "http://x/", "headers": [("a", "b\r\nc: d")]}, "a line break cannot be sent"),
        ({"target": "http://x/", "headers": [("a b", "c")]}, "no sidecar takes this request"),
        ({"target": "http://x/", "headers": [("host", "a"), ("Host", "b")]}, "more than one host"),
        ({"target": "http://x/", "listener": "none"}, r"no listener 'none'; there are web \(127.0.0.1:80\)"),
    ],
)
def test_no_question(question, why):
    with pytest.raises(QuestionError, match=why):
        explain(sections(*web()), Question(**question))


def test_the_host_header_stands_for_the_urls_host():
    given = sections(*web(plan.Route(match(), "r", to("a")), domains=("reviews",)), *cluster("a"))
    assert ask(given, "http://127.0.0.1/#part", "Host: reviews").served
    assert ask(given, "/", "host: reviews").asked.path == "/"
    assert ask(given, "reviews?q").asked.path == "/?q"
