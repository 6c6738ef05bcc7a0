"""Matching, table-driven: what is configured, what is asked, what is found."""

from collections import Counter

import pytest

from tage.dataplane.native import Random
from tage.dataplane.protocols.http1.request import RequestDecoder
from tage.dataplane.routing.build import build
from tage.dataplane.routing.matcher import HeaderMatcher, StringMatcher
from tage.dataplane.routing.route import Route
from tage.dataplane.routing.table import RouteTable, VirtualHost
from tage.sidecar import plan


def request(path="/", host="a", method="GET", headers=()):
    lines = [f"{method} {path} HTTP/1.1", f"host: {host}", *(f"{name}: {value}" for name, value in headers)]
    decoder = RequestDecoder()
    decoder.feed(("\r\n".join(lines) + "\r\n\r\n").encode())
    assert decoder.read_head() == 1, decoder.error
    return decoder.head


def table(*hosts):
    """Of (domains, ...) each a virtual host of that name."""
    result = RouteTable("r")
    for domains in hosts:
        result.add(VirtualHost(domains[0], []), list(domains))
    return result


def test_connect_meets_only_the_rules_for_it():
    clusters = [plan.WeightedCluster("c")]
    every = [plan.StringMatch("prefix", ""), plan.StringMatch("regex", ".*"), plan.StringMatch("exact", "a:443")]
    rules = [plan.Route(plan.RouteMatch(path), str(i), clusters) for i, path in enumerate(every)]
    anything = plan.StringMatch("prefix", "")
    marked = plan.RouteMatch(anything, [plan.HeaderMatch("x")], connect=True)
    rules += [plan.Route(marked, "marked", clusters)]
    plain = build(plan.Routes("r", [plan.VirtualHost("v", ["*"], rules)]))
    connect = request("a:443", "a:443", "CONNECT")
    assert plain.route(connect) is None
    assert plain.route(request("a:443", "a:443", "CONNECT", [("x", "y")])).name == "marked"
    rules.insert(0, plan.Route(plan.RouteMatch(anything, connect=True), "connect", clusters, connect_terminates=True))
    both = build(plan.Routes("r", [plan.VirtualHost("v", ["*"], rules)]))
    assert both.route(connect).name == "connect"
    assert both.route(connect).terminates
    assert both.route(request("/")).name == "0"
    assert both.route(request("/", headers=[("connection", "upgrade"), ("upgrade", "CONNECT")])).name == "0"


# -- domains -----------------------------------------------------------------------------------------------------------

DOMAINS = [
    ("a.example.com", "A.example.com:8080"),
    ("*.example.com",),
    ("*.b.example.com",),
    ("*-x.example.com",),
    ("a.*",),
    ("a.b.*",),
    ("*",),
    ("10.1.2.3", "[::1]:80"),
]


@pytest.mark.parametrize(
    ("authority", "found"),
    [
        ("a.example.com", "a.example.com"),
        ("A.Example.COM", "a.example.com"),
        ("a.example.com:8080", "a.example.com"),
        ("a.EXAMPLE.com:8080", "a.example.com"),
        ("a.example.com:81", "a.*"),  # exact and suffix do not cover the port, a prefix does
        ("b.example.com", "*.example.com"),
        ("x.b.example.com", "*.b.example.com"),
        ("y.x.b.example.com", "*.b.example.com"),
        ("b.example.com:80", "*"),
        (".example.com", "*"),  # "*" stands for a character at least
        ("example.com", "*"),
        ("q-x.example.com", "*-x.example.com"),
        ("-x.example.com", "*.example.com"),
        ("a.org", "a.*"),
        ("a.", "*"),
        ("a.b.c", "a.b.*"),
        ("a.b.example.com", "*.b.example.com"),  # suffixes go before prefixes
        ("", "*"),
        ("10.1.2.3", "10.1.2.3"),
        ("[::1]:80", "10.1.2.3"),
        ("other", "*"),
    ],
)
def test_domains(authority, found):
    assert table(*DOMAINS).find(authority.encode()).name == found


def test_the_order_of_domains_does_not_count():
    hosts = list(reversed(DOMAINS))
    assert table(*hosts).find(b"x.b.example.com").name == "*.b.example.com"
    assert table(*hosts).find(b"a.b.c").name == "a.b.*"


def test_no_domain_matches():
    assert table(("a",), ("*.b",)).find(b"c") is None
    assert table(("a",)).route(request(host="c")) is None
    assert table(("a",)).route(request(host="a")) is None, "it has no routes"


@pytest.mark.parametrize(
    "domains",
    [("a", "a"), ("a", "A"), ("*", "*"), ("*.a", "*.A"), ("a.*", "A.*")],
)
@pytest.mark.parametrize("apart", [False, True])
def test_domains_that_are_taken(domains, apart):
    hosts = [(domains[0],), (domains[1],)] if apart else [domains]
    with pytest.raises(ValueError, match=r"virtual host '.*': the domain '.*' is already taken"):
        table(*hosts)


@pytest.mark.parametrize("domain", ["", "a*b", "a.*.b", "**", "*a*", "*.*", "a**", "**a"])
def test_domains_that_are_none(domain):
    with pytest.raises(ValueError, match="is not a domain"):
        table((domain,))


# -- strings, paths, headers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value", "text", "matches", "ignoring_case"),
    [
        ("exact", "/a", "/a", True, True),
        ("exact", "/a", "/A", False, True),
        ("exact", "/A", "/a", False, True),
        ("exact", "/a", "/ab", False, False),
        ("exact", "", "", True, True),
        ("prefix", "/a", "/ab", True, True),
        ("prefix", "/a", "/", False, False),
        ("prefix", "/A", "/ab", False, True),
        ("prefix", "", "x", True, True),
        ("suffix", ".js", "/a.js", True, True),
        ("suffix", ".js", "/a.JS", False, True),
        ("suffix", ".js", "js", False, False),
        ("suffix", "/a", "/a/", False, False),
        ("contains", "b", "abc", True, True),
        ("contains", "B", "abc", False, True),
        ("contains", "x", "abc", False, False),
        ("regex", "/a.c", "/abc", True, True),
        ("regex", "/a", "/ab", False, False),  # the whole of it
        ("regex", "/A", "/a", False, True),
        ("regex", r"/\d+", "/12", True, True),
        ("present", "", "", True, True),
    ],
)
def test_strings(kind, value, text, matches, ignoring_case):
    assert StringMatcher(kind, value.encode()).matches(text.encode()) is matches
    assert StringMatcher(kind, value.encode(), True).matches(text.encode()) is ignoring_case


def test_bytes_beyond_ascii_are_matched_as_they_are():
    assert StringMatcher("regex", b".+").matches("ä".encode("latin1"))
    assert StringMatcher("regex", b"..").matches("ä".encode())
    assert not StringMatcher("exact", b"\xe4", True).matches(b"\xc4")


@pytest.mark.parametrize("pattern", ["(", "a{1,99999}", r"\1", "(?=a)"])
def test_expressions_that_are_refused(pattern):
    with pytest.raises(ValueError, match="not a valid RE2 expression"):
        StringMatcher("regex", pattern.encode())


@pytest.mark.parametrize(
    ("kind", "value", "path", "matches"),
    [
        ("prefix", "/", "/a?b", True),
        ("prefix", "/a", "/a?b", True),
        ("prefix", "/a", "/abc", True),
        ("prefix", "/a/", "/a", False),
        ("prefix", "/a?b", "/a?b", False),  # the query is not looked at, as in Envoy
        ("exact", "/a", "/a?b", True),
        ("exact", "/a", "/a/", False),
        ("exact", "/a?b", "/a?b", False),
        ("suffix", "/a", "/a?b", True),
        ("regex", "/a", "/a?b", True),
        ("regex", "/a.*", "/ab?c", True),
        ("regex", r"/a\?b", "/a?b", False),
        ("prefix", "/", "*", False),
    ],
)
@pytest.mark.parametrize("ignore_case", [False, True])
def test_paths(kind, value, path, matches, ignore_case):
    route = Route(StringMatcher(kind, value.encode(), ignore_case))
    method = "OPTIONS" if path == "*" else "GET"
    assert route.matches(request(path, method=method)) is matches
    if path != "*":
        assert route.matches(request(path.upper())) is (matches and (ignore_case or value == "/"))


VALUE = [("x", "a")]


@pytest.mark.parametrize(
    ("kind", "value", "headers", "matches", "inverted"),
    [
        ("present", "", [], False, True),
        ("present", "", VALUE, True, False),
        ("present", "", [("x", "")], True, False),
        ("exact", "a", VALUE, True, False),
        ("exact", "b", VALUE, False, True),
        ("exact", "a", [("X", "a")], True, False),
        ("exact", "a", [], False, False),  # what is absent matches nothing, inverted or not, as in Envoy
        ("exact", "", [], False, False),
        ("exact", "", [("x", "")], True, False),
        ("exact", "a,b", [("x", "a"), ("y", "z"), ("x", "b")], False, True),  # each line stands for itself, as in Envoy
        ("exact", "a", [("x", "a"), ("x", "b")], True, False),
        ("exact", "b", [("x", "a"), ("y", "z"), ("x", "b")], True, False),
        ("regex", ".*", [], False, False),
        ("prefix", "a", [("x", "abc")], True, False),
        ("contains", "b", [("x", "abc")], True, False),
    ],
)
def test_headers(kind, value, headers, matches, inverted):
    matcher = StringMatcher(kind, value.encode())
    assert HeaderMatcher(b"x", matcher).matches(request(headers=headers)) is matches
    assert HeaderMatcher(b"x", matcher, True).matches(request(headers=headers)) is inverted


@pytest.mark.parametrize(
    ("name", "value"),
    [(":method", "PUT"), (":authority", "h:1"), (":path", "/p?q"), (":scheme", "http"), ("host", "h:1")],
)
def test_pseudo_headers(name, value):
    head = request("/p?q", "h:1", "PUT")
    assert HeaderMatcher(name.encode(), StringMatcher("exact", value.encode())).matches(head)
    assert not HeaderMatcher(name.encode(), StringMatcher("exact", b"?")).matches(head)


def test_unknown_pseudo_headers_are_absent():
    assert not HeaderMatcher(b":other", StringMatcher("present")).matches(request())


# -- routes ------------------------------------------------------------------------------------------------------------


def routes(*rules, domains=("*",)):
    return build(plan.Routes("r", [plan.VirtualHost("v", list(domains), list(rules))]))


def rule(name, path="/", kind="prefix", headers=(), **fields):
    fields.setdefault("clusters", [plan.WeightedCluster(name)])
    return plan.Route(plan.RouteMatch(plan.StringMatch(kind, path), list(headers)), name, **fields)


def test_the_first_route_that_matches_wins():
    one = plan.HeaderMatch("X-User", plan.StringMatch("exact", "jason"))
    two = plan.HeaderMatch("x-beta")
    found = routes(
        rule("both", headers=[one, two]),
        rule("jason", headers=[one]),
        rule("api", "/api"),
        rule("all"),
        rule("never", "/api/2"),
    )

    def name(path="/", **headers):
        return found.route(request(path, headers=[(k.replace("_", "-"), v) for k, v in headers.items()])).name

    assert name() == "all"
    assert name("/api/2") == "api"
    assert name("/api", x_user="jason") == "jason"
    assert name(x_user="jason", x_beta="") == "both"
    assert name(x_user="other", x_beta="1") == "all"


def test_a_virtual_host_without_a_route_that_matches_does_not_pass_it_on():
    result = RouteTable("r")
    result.add(VirtualHost("narrow", [Route(StringMatcher("exact", b"/only"))]), ["a"])
    result.add(VirtualHost("wide", [Route(StringMatcher("prefix", b"/"))]), ["*"])
    assert result.route(request("/other", "a")) is None
    assert result.route(request("/other", "b")) is not None


@pytest.mark.parametrize("weights", [[1, 1], [90, 10], [1, 0, 3], [0, 0, 1], [1] * 10, [10_000, 1], [3, 0, 0, 5, 2]])
def test_weights(weights):
    route = Route(StringMatcher("prefix", b"/"))
    route.lead_to([f"c{i}" for i in range(len(weights))], weights)
    random = Random(7)
    n = 20_000
    drawn = Counter(route.pick_cluster(random) for _ in range(n))
    for i, weight in enumerate(weights):
        share = weight / sum(weights)
        deviation = (share * (1 - share) / n) ** 0.5
        assert abs(drawn[f"c{i}"] / n - share) <= 5 * deviation
        assert (drawn[f"c{i}"] == 0) >= (weight == 0)


@pytest.mark.parametrize(
    ("weights", "reason"), [([], "add up to 0"), ([0], "add up to 0"), ([0, 0], "add up to 0"), ([-1, 2], "negative")]
)
def test_weights_that_are_refused(weights, reason):
    with pytest.raises(ValueError, match=reason):
        Route(StringMatcher("prefix", b"/")).lead_to(["c"] * len(weights), weights)


@pytest.mark.parametrize(
    ("kind", "value", "rewrite", "path", "result"),
    [
        ("prefix", "/a/", "/", "/a/b?c=/a/", "/b?c=/a/"),
        ("prefix", "/a", "/b", "/a", "/b"),
        ("prefix", "/a", "/b", "/a?c", "/b?c"),
        ("prefix", "/a", "/b", "/abc", "/bbc"),
        ("prefix", "/", "/x/", "/a", "/x/a"),
        ("exact", "/a", "/b", "/a?c", "/b?c"),
        ("exact", "/a", "/b", "/a", "/b"),
        ("regex", "/a.", "/b", "/ax?c?d", "/b?c?d"),
        ("prefix", "/a", "", "/a", None),
    ],
)
def test_prefix_rewrite(kind, value, rewrite, path, result):
    route = Route(StringMatcher(kind, value.encode()))
    route.prefix_rewrite = rewrite.encode()
    assert route.rewrite(path.encode()) == (None if result is None else result.encode())
