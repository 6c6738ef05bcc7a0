"""From sections and a question to the answer, step by step."""

from __future__ import annotations

import msgspec
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
    assert answer.rules[0].why == "wants header end-user is 'jason'; it is 'mary'"
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
        (match("/api"), "wants path begins with '/api'; it is '/x'"),
        (plan.RouteMatch(plan.StringMatch("exact", "/X")), "wants path is '/X'; it is '/x'"),
        (
            plan.RouteMatch(plan.StringMatch("regex", "/[0-9]+")),
            "wants path matches the expression '/[0-9]+'; it is '/x'",
        ),
        (match("/", plan.HeaderMatch("a")), "wants header a is there; it is absent"),
        (match("/", plan.HeaderMatch("h", invert=True)), "wants header h not: is there; it is '1'"),
        (match("/", plan.HeaderMatch("h", plan.StringMatch("exact", "2"))), "wants header h is '2'; it is '1'"),
        (match("/", plan.HeaderMatch("h", range=(5, 8))), "wants header h is a whole number from 5 to 7; it is '1'"),
        (
            match("/", plan.HeaderMatch(":method", plan.StringMatch("exact", "POST"))),
            "wants method is 'POST'; it is 'GET'",
        ),
        (match("/", query=[plan.QueryMatch("z")]), "wants query parameter z is there; it is absent"),
        (match(connect=True), "it is for CONNECT requests only"),
        (match(fraction=plan.Fraction(0)), "it is for 0 % of the requests"),
        (
            match(fraction=plan.Fraction(25)),
            "it takes 25 % of such requests; this is about the others (--draw draws)",
        ),
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
            cluster("a", plan.Endpoint("127.0.0.1", 1, healthy=False), lb=plan.LoadBalancing(panic_threshold=0)),
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


def test_draw_a_fraction():
    half = plan.Route(match(fraction=plan.Fraction(50)), "half", to("a"))
    given = sections(*web(half, plan.Route(match(), "rest", to("a"))), *cluster("a"))
    drawn = {ask(given, draw=True).route.name for _ in range(64)}
    assert drawn == {"half", "rest"}
    assert ask(given).route.name == "rest"


def test_what_matched():
    rule = plan.RouteMatch(
        plan.StringMatch("separated_prefix", "/x"),
        [plan.HeaderMatch("h", plan.StringMatch("suffix", "1", ignore_case=True))],
        query=[plan.QueryMatch("q", plan.StringMatch("exact", ""))],
    )
    answer = ask(sections(*web(plan.Route(rule, "r", to("a"))), *cluster("a")), "http://x/x/y?q", "h: 1")
    assert answer.rules[0].why == (
        "path is '/x' or below it, header h ends with '1' (case ignored) and query parameter q is ''"
    )


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


def mutations(name, value, action="append", *removed):
    return plan.HeaderMutations([plan.HeaderMutation(name, value, action)], list(removed))


def test_rewrites_and_header_rules():
    share = plan.WeightedCluster("b", 1, mutations("x-share", "1"), host_rewrite="not.this")
    rule = plan.Route(
        match("/old"),
        "r",
        [*to("a"), share],
        regex_rewrite=plan.RegexRewrite("^/old/(.*)", r"/new/\1"),
        host_rewrite="b.test",
        append_forwarded_host=True,
        request_headers=mutations("x-from", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "overwrite_or_add", "x-secret"),
    )
    listener, routes = web(rule)
    host = msgspec.structs.replace(routes.virtual_hosts[0], request_headers=mutations("x-host", "2"))
    routes = msgspec.structs.replace(routes, virtual_hosts=[host], request_headers=mutations("x-table", "3"))
    answer = ask(
        sections(listener, routes, *cluster("a"), *cluster("b")),
        "http://x/old/1?q",
        *("x-secret: s", "x-from: me"),
        source="10.0.0.1",
    )
    first, second = (share.request for share in answer.route.shares)
    assert (first.authority, first.path) == ("b.test", "/new/1?q")
    found = changes(first)
    for expected in (
        ("changed", "host", "b.test"),
        ("changed", "x-from", "10.0.0.1"),
        ("removed", "x-secret", "s"),
        ("added", "x-host", "2"),
        ("added", "x-table", "3"),
        ("added", "x-forwarded-host", "x"),
    ):
        assert expected in found
    assert ("added", "x-share", "1") not in found
    assert ("added", "x-share", "1") in changes(second)
    assert [(line.name, line.text) for line in answer.virtual_host.settings] == [
        ("request headers", "add x-host: 2"),
        ("table: request headers", "add x-table: 3"),
    ]


def test_a_redirect():
    redirect = plan.Redirect(308, "https", port=8443, prefix="/new")
    rule = plan.Route(match("/old"), "r", redirect=redirect, response_headers=mutations("x-a", "1"))
    answer = ask(sections(*web(rule)), "http://x/old/1?q")
    assert (answer.outcome.kind, answer.outcome.status, answer.served) == ("answered", 308, True)
    assert answer.outcome.text == "the sidecar redirects, 308, to https://x:8443/new/1?q"
    assert [(each.name, each.value) for each in answer.outcome.headers] == [
        ("location", "https://x:8443/new/1?q"),
        ("x-a", "1"),
    ]


def test_a_virtual_host_that_requires_tls():
    listener, routes = web(plan.Route(match(), "r", to("a")))
    host = msgspec.structs.replace(routes.virtual_hosts[0], require_tls=True)
    given = sections(listener, msgspec.structs.replace(routes, virtual_hosts=[host]), *cluster("a"))
    answer = ask(given, "http://x/y")
    assert (answer.route.name, answer.rules) == ("require_tls", [])
    assert answer.outcome.text == "the sidecar redirects, 301, to https://x/y"
    assert ask(given, "http://x/y", "x-forwarded-proto: https").route.name == "r"


def test_a_cluster_named_by_a_header():
    given = sections(*web(plan.Route(match(), "r", cluster_header="x-cluster")), *cluster("b"))
    assert [share.cluster for share in ask(given, "http://x/", "x-cluster: b").route.shares] == ["b"]
    assert not ask(given, "http://x/").served


def test_mirrors_are_clusters_too():
    rule = plan.Route(match(), "r", to("a"), mirrors=[plan.Mirror("b", plan.Fraction(5))])
    answer = ask(sections(*web(rule), *cluster("a")))
    assert [each.name for each in answer.clusters] == ["a", "b"]
    assert answer.served, "a copy that is lost is nobody's loss"
    assert ("mirrored", "5 % to b, as host-shadow") in [(line.name, line.text) for line in answer.route.settings]


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
    assert plain.rules[0].why == "it is not for CONNECT requests"


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
