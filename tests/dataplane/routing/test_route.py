"""What becomes of a request that a rule matches; and why others do not."""

import pytest

from tage.dataplane.protocols.edits import HeaderEdits
from tage.dataplane.routing.build import build, build_route
from tage.dataplane.routing.explain import explain
from tage.dataplane.routing.table import RouteTable, VirtualHost
from tage.sidecar import plan
from tests.dataplane.routing.requests import request


def rule(kind="prefix", path="/", match=None, name="", **fields):
    if not {"direct", "redirect", "cluster_header"} & set(fields):
        fields.setdefault("clusters", [plan.WeightedCluster("c")])
    return plan.Route(plan.RouteMatch(plan.StringMatch(kind, path), **(match or {})), name, **fields)


def table(*rules, **host):
    return build(plan.Routes("r", [plan.VirtualHost("v", ["*"], list(rules), **host)]))


@pytest.mark.parametrize(
    ("kind", "value", "path", "result"),
    [
        ("prefix", "/a", "/a/b?c", "/x/b?c"),
        ("exact", "/a", "/a?c", "/x?c"),
        ("separated_prefix", "/a", "/a/b", "/x/b"),
        ("regex", "/a.*", "/a/b?c", "/x?c"),  # all of it matched
    ],
)
def test_prefix_rewrite(kind, value, path, result):
    route = build_route(rule(kind, value, prefix_rewrite="/x"))
    assert route.path_rewritten(request(path), HeaderEdits()) == result.encode()
    edits = HeaderEdits()
    edits.path = b"/a?filtered"
    assert route.path_rewritten(request(path), edits) == b"/x?filtered"


def test_regex_rewrite_leaves_the_query_alone():
    route = build_route(rule(regex_rewrite=plan.RegexRewrite("/(v[0-9]+)/", r"/api/\1/")))
    assert route.rewrite(b"/v1/a/v2/b?/v3/") == b"/api/v1/a/api/v2/b?/v3/"
    assert build_route(rule()).path_rewritten(request(), HeaderEdits()) is None


def test_only_one_way_to_rewrite_a_path():
    with pytest.raises(ValueError, match="by prefix or by expression"):
        build_route(rule(prefix_rewrite="/", regex_rewrite=plan.RegexRewrite("a", "b")))


@pytest.mark.parametrize(
    ("fields", "headers", "of_cluster", "authority"),
    [
        ({}, [], "", None),
        ({"host_rewrite": "new"}, [], "", "new"),
        ({"host_rewrite_header": "x-host"}, [("X-Host", "new")], "", "new"),
        ({"host_rewrite_header": "x-host"}, [], "", None),
        ({"host_rewrite_header": "x-host"}, [], "share", "share"),
        ({"host_rewrite_path": plan.RegexRewrite("^/([^/]+).*$", r"\1.example")}, [], "", "a.example"),
        ({}, [], "share", "share"),
        ({"host_rewrite": "new"}, [], "share", "new"),  # the route has the last word
    ],
)
def test_authority(fields, headers, of_cluster, authority):
    clusters = [plan.WeightedCluster("c", host_rewrite=of_cluster)]
    route = build_route(rule(clusters=clusters, append_forwarded_host=True, **fields))
    edits = HeaderEdits()
    head = request("/a/b?c", "old", headers=headers)
    route.forward_host(head, edits, route.share(0))
    assert edits.authority == (authority.encode() if authority else None)
    assert edits.value(head.block, b"x-forwarded-host") == (b"old" if authority else None)


@pytest.mark.parametrize(
    ("there", "value"), [([], b"old"), (["a"], b"a,old"), (["a, old"], b"a, old"), (["a", "b"], b"a,b,old")]
)
def test_forwarded_hosts(there, value):
    route = build_route(rule(host_rewrite="new", append_forwarded_host=True))
    head = request(host="old", headers=[("X-Forwarded-Host", each) for each in there])
    edits = HeaderEdits()
    route.forward_host(head, edits, None)
    assert edits.value(head.block, b"x-forwarded-host") == value
    edits = HeaderEdits()
    build_route(rule(host_rewrite="new")).forward_host(head, edits, None)
    assert edits.value(head.block, b"x-forwarded-host") == head.header(b"x-forwarded-host")


def test_shares_of_weighted_clusters():
    headers = plan.HeaderMutations([plan.HeaderMutation("x", "1")])
    clusters = [
        plan.WeightedCluster("a", 1, metadata_match={"v": "1"}, request_headers=headers),
        plan.WeightedCluster("b"),
    ]
    route = build_route(rule(clusters=clusters, metadata_match={"stage": "prod", "v": "0"}))
    assert route.metadata_match == (("stage", "prod"), ("v", "0"))
    share = route.share(0)
    assert (share.name, share.weight, share.metadata_match) == ("a", 1, (("stage", "prod"), ("v", "1")))
    assert share.request_edits.constant
    assert share.response_edits is None
    assert route.share(1) is None
    assert build_route(rule()).share(0) is None
    assert build_route(rule()).metadata_match is None


def test_a_header_may_name_the_cluster():
    route = build_route(rule(cluster_header="x-cluster"))
    assert route.cluster_of(request(headers=[("X-Cluster", "a"), ("x-cluster", "b")]), None) == "a"
    assert route.cluster_of(request(), None) == ""


def test_mirrors():
    route = build_route(rule(mirrors=[plan.Mirror("m", plan.Fraction(5, 10_000), False), plan.Mirror("n")]))
    assert [(m.cluster, m.numerator, m.denominator, m.append_suffix) for m in route.mirrors] == [
        ("m", 5, 10_000, False),
        ("n", 100, 100, True),
    ]


@pytest.mark.parametrize("status", [200, 300, 304, 309])
def test_statuses_of_redirects(status):
    with pytest.raises(ValueError, match="a redirect's status"):
        build_route(rule(redirect=plan.Redirect(status)))


def test_a_fraction_of_the_requests():
    found = table(
        rule(name="some", match={"fraction": plan.Fraction(2_500, 10_000)}),
        rule(name="none", match={"fraction": plan.Fraction(0)}),
        rule(name="rest", match={"fraction": plan.Fraction(100)}),
    )
    head = request()
    names = [found.route(head).name for _ in range(4000)]
    assert 850 < names.count("some") < 1150  # 1000 +- 5.5 deviations
    assert names.count("some") + names.count("rest") == 4000


def test_tls_is_asked_for():
    found = table(rule(name="r"), require_tls=True)
    route = found.route(request("/a?b", "h"))
    assert (route.redirect.status, route.location(request("/a?b", "h"))) == (301, b"https://h/a?b")
    assert found.route(request(headers=[("X-Forwarded-Proto", "https")])).name == "r"
    secure = request()
    secure.scheme = b"https"
    assert found.route(secure).name == "r"
    assert found.route(request(headers=[("x-forwarded-proto", "http")])).redirect is not None


# -- why not -----------------------------------------------------------------------------------------------------------

EXACT = plan.StringMatch("exact", "1")


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (rule("exact", "/b"), "path is '/b'; it is '/a'"),
        (rule("separated_prefix", "/b"), "path is '/b' or below it; it is '/a'"),
        (rule(match={"headers": [plan.HeaderMatch("x", EXACT)]}), "header x is '1'; it is absent"),
        (rule(match={"query": [plan.QueryMatch("q", EXACT)]}), "query parameter q is '1'; it is '2'"),
        (rule(match={"connect": True}), "it is for CONNECT requests only"),
        (rule(match={"fraction": plan.Fraction(0)}), "it is for 0 % of the requests"),
        (rule("prefix", "/a"), ""),
    ],
)
def test_mismatch(wanted, reason):
    head = request("/a?q=2")
    route = build_route(wanted)
    assert route.mismatch(head) == reason
    assert (table(wanted).route(head) is not None) is (reason == "")


def test_connect_meets_rules_for_it_only():
    assert build_route(rule()).mismatch(request("a:1", "a:1", "CONNECT")) == "it is not for CONNECT requests"


def test_explained():
    found = table(rule("exact", "/b", name="b"), rule(name="all"), rule(name="never"))
    why = explain(found, request("/a", "Any.Host"))
    assert (why.virtual_host.name, why.domain, why.route.name) == ("v", "*", "all")
    assert [(each.route.name, each.reason) for each in why.tried] == [("b", "path is '/b'; it is '/a'"), ("all", "")]
    assert explain(RouteTable("r"), request()) == (None, "", [], None)
    secure = explain(table(rule(), require_tls=True), request())
    assert secure.route.redirect is not None
    none = explain(table(rule(match={"fraction": plan.Fraction(0)})), request())
    assert [each.reason for each in none.tried] == ["it is for 0 % of the requests"]
    assert none.route is None


@pytest.mark.parametrize(
    ("authority", "domain"),
    [
        ("A.b", "a.b"),
        ("x.example", "*.example"),
        ("y.x.example", "*.x.example"),
        ("pre.other", "pre.*"),
        ("a.b:81", "a.b"),
        ("nothing", ""),
    ],
)
def test_the_domain_that_matched(authority, domain):
    found = RouteTable("r", ignore_port=True)
    host = VirtualHost("v", [])
    found.add(host, ["a.b", "*.Example", "*.x.example", "pre.*"])
    assert found.domain_of(authority.encode()) == domain
    assert found.find(authority.encode()) is (host if domain else None)


@pytest.mark.parametrize(
    ("authority", "found"),
    [("a:80", True), ("a", True), ("[::1]:80", True), ("[::1]", True), ("b:80", False), ("a:80:80", False)],
)
def test_ports_that_do_not_count(authority, found):
    result = RouteTable("r", ignore_port=True)
    result.add(VirtualHost("v", []), ["a", "[::1]"])
    assert (result.find(authority.encode()) is not None) is found


@pytest.mark.parametrize(
    ("authority", "domain"),
    [
        ("com.a.Stock", "com.a.Stock"),
        ("com.a.stock", "*"),
        ("com.a.Stock:80", "*"),
        ("com.b.Any", "com.b.*"),
        ("com.B.Any", "*"),
        ("any.Tail", "*.Tail"),
        ("any.tail", "*"),
    ],
)
@pytest.mark.parametrize("ignore_port", [False, True])
def test_services_of_rpc_are_compared_with_their_case_and_have_no_port(authority, domain, ignore_port):
    table = RouteTable("r", ignore_port, True)
    hosts = {each: VirtualHost(each, []) for each in ("com.a.Stock", "com.b.*", "*.Tail", "*")}
    for each, host in hosts.items():
        table.add(host, [each])
    assert table.find(authority.encode()) is hosts[domain]
    assert table.domain_of(authority.encode()) == domain
    table.add(VirtualHost("other", []), ["com.a.stock"])
    with pytest.raises(ValueError, match="is already taken"):
        table.add(VirtualHost("same", []), ["com.a.Stock"])
