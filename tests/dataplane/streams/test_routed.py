"""What a route does with a request: answers, edits, mirrors, keys; the exchange of bytes shows it."""

import pytest

from tage.sidecar import plan
from tests.dataplane.streams.test_failures import flags, status
from tests.dataplane.streams.world import GET, OK, POST, UNAVAILABLE


def edits(*add, remove=()):
    return plan.HeaderMutations([plan.HeaderMutation(*each) for each in add], list(remove))


def pick_out(message: bytes, name: bytes) -> list[bytes]:
    return [line.partition(b": ")[2] for line in message.split(b"\r\n") if line.lower().startswith(name + b":")]


def served(world, *routes, request=GET, answer=OK):
    """What the server got and what the client got."""
    world.route(*routes)
    client = world.client(request)
    server = world.accept()
    sent = server.takes()
    server.send(answer)
    return sent, client.takes()


def rule(path="/", *, clusters=None, **fields):
    match = plan.RouteMatch(plan.StringMatch("prefix", path))
    return plan.Route(match, clusters=clusters or [plan.WeightedCluster("c")], **fields)


# -- answers -----------------------------------------------------------------------------------------------------------


def test_a_redirect(world):
    match = plan.RouteMatch(plan.StringMatch("prefix", "/"))
    world.route(
        plan.Route(
            match,
            redirect=plan.Redirect(308, host="other", path="/new"),
            response_headers=edits(("x-by", "rule")),
        )
    )
    answer = world.client(GET).takes()
    assert status(answer) == 308
    assert pick_out(answer, b"location") == [b"http://other/new"]
    assert pick_out(answer, b"x-by") == [b"rule"]
    assert not world.opening


def test_a_direct_response_gets_the_routes_headers(world):
    match = plan.RouteMatch(plan.StringMatch("prefix", "/"))
    world.route(
        plan.Route(
            match,
            direct=plan.DirectResponse(200, "<p>"),
            response_headers=edits(("content-type", "text/html", "overwrite_or_add")),
        )
    )
    answer = world.client(GET).takes()
    assert pick_out(answer, b"content-type") == [b"text/html"]
    assert answer.endswith(b"<p>")


# -- edits -------------------------------------------------------------------------------------------------------------


def test_heads_are_edited_both_ways(world):
    sent, answer = served(
        world,
        rule(
            request_headers=edits(("x-new", "1"), ("x-old", "mine", "overwrite"), remove=["x-secret"]),
            response_headers=edits(("x-version", "v2"), remove=["server"]),
        ),
        request=GET.replace(b"\r\n\r\n", b"\r\nX-Old: theirs\r\nX-Secret: s\r\n\r\n"),
        answer=OK.replace(b"\r\n\r\n", b"\r\nServer: nginx\r\n\r\n"),
    )
    assert pick_out(sent, b"x-new") == [b"1"]
    assert pick_out(sent, b"x-old") == [b"mine"]
    assert pick_out(sent, b"x-secret") == []
    assert answer == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-version: v2\r\n\r\nok"


def test_the_chosen_clusters_edits_come_first(world):
    sent, answer = served(
        world,
        rule(
            clusters=[
                plan.WeightedCluster("c", 1, edits(("x-who", "cluster")), edits(("x-who", "cluster")), "its-host")
            ],
            request_headers=edits(("x-who", "route")),
            response_headers=edits(("x-who", "route")),
        ),
    )
    assert pick_out(sent, b"x-who") == pick_out(answer, b"x-who") == [b"cluster", b"route"]
    assert pick_out(sent, b"host") == [b"its-host"]


def test_values_tell_of_request_and_answer(world):
    sent, answer = served(
        world,
        rule(
            prefix_rewrite="/inner/",
            request_headers=edits(("x-was", "%REQ(:path)% of %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%")),
            response_headers=edits(("x-info", "%RESPONSE_CODE% %RESP(x-kind)% %UPSTREAM_CLUSTER%")),
            name="named",
        ),
        request=GET.replace(b"GET / ", b"GET /a?b "),
        answer=OK.replace(b"\r\n\r\n", b"\r\nX-Kind: k\r\n\r\n"),
    )
    assert sent.startswith(b"GET /inner/a?b ")
    assert pick_out(sent, b"x-was") == [b"/a?b of 10.1.2.3"]
    assert pick_out(answer, b"x-info") == [b"200 k c"]


def test_the_answer_that_opens_a_tunnel_is_edited_too(world):
    world.listener.upgrades = frozenset({b"websocket"})
    asking = GET.replace(b"\r\n\r\n", b"\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    world.route(rule(response_headers=edits(("x-version", "v2"), remove=["server"])))
    client = world.client(asking)
    server = world.accept()
    server.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nServer: s\r\n\r\n")
    answer = client.takes()
    assert status(answer) == 101
    assert pick_out(answer, b"x-version") == [b"v2"]
    assert pick_out(answer, b"upgrade") == [b"websocket"]
    assert pick_out(answer, b"server") == []


def test_path_and_authority_are_rewritten(world):
    sent, _ = served(
        world,
        rule(
            regex_rewrite=plan.RegexRewrite("/([a-z]+)/(.*)", r"/\2/\1"),
            host_rewrite="inner.example",
            append_forwarded_host=True,
        ),
        request=GET.replace(b"GET / ", b"GET /x/y?q "),
    )
    assert sent.startswith(b"GET /y/x?q ")
    assert pick_out(sent, b"host") == [b"inner.example"]
    assert pick_out(sent, b"x-forwarded-host") == [b"a"]


def test_a_header_names_the_cluster(world):
    world.add_cluster("d")
    world.route(plan.Route(plan.RouteMatch(plan.StringMatch("prefix", "/")), cluster_header="x-to"))
    client = world.client(GET.replace(b"\r\n\r\n", b"\r\nX-To: d\r\n\r\n"))
    world.accept().send(OK)
    assert client.takes() == OK
    assert world.up("rq_total", "d") == 1
    assert flags(world.client(GET).takes()) == "NC"


# -- keys --------------------------------------------------------------------------------------------------------------


def test_a_cookie_is_made_once(world):
    policy = plan.HashPolicy("cookie", "sticky", ttl=60, path="/")
    _, answer = served(world, rule(hash_policies=[policy]))
    (cookie,) = pick_out(answer, b"set-cookie")
    assert cookie.startswith(b'sticky="')
    assert b"Max-Age=60" in cookie
    client = world.client(GET.replace(b"\r\n\r\n", b"\r\nCookie: " + cookie.split(b";")[0] + b"\r\n\r\n"))
    world.servers[0].send(OK)
    assert client.takes() == OK


# -- mirrors -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def mirrored(world):
    world.add_cluster("m")
    world.rule(mirrors=[plan.Mirror("m")], request_headers=edits(("x-set", "1")))
    return world


def test_a_mirror_gets_what_the_upstream_gets_and_nobody_hears_its_answer(mirrored):
    client = mirrored.client(POST[:-2])
    copy, server = mirrored.accept(), mirrored.accept()
    client.send(POST[-2:])
    original, mirror = server.takes(), copy.takes()
    assert pick_out(mirror, b"host") == [b"a-shadow"]
    assert pick_out(mirror, b"x-set") == pick_out(original, b"x-set") == [b"1"]
    assert pick_out(mirror, b"x-request-id") == pick_out(original, b"x-request-id")
    assert mirror.endswith(b"\r\n\r\nhello")
    copy.send(UNAVAILABLE)
    assert client.takes() == b""
    server.send(OK)
    assert client.takes() == OK
    assert mirrored.up("rq_5xx", "m") == 1
    assert mirrored.up("rq_total", "c") == 1
    assert mirrored.up("rq_active", "m") == 0


def test_a_mirror_goes_on_when_the_request_is_over(mirrored):
    client = mirrored.client(GET)
    copy, server = mirrored.accept(), mirrored.accept()
    server.send(OK)
    assert client.takes() == OK
    assert mirrored.up("rq_active", "m") == 1
    copy.send(OK)
    assert mirrored.up("rq_active", "m") == 0
    assert mirrored.cluster.hosts[0].idle_connections() == 1


def test_a_mirror_without_a_connection_hurts_nobody(mirrored):
    client = mirrored.client(GET)
    mirrored.refuse()
    mirrored.accept().send(OK)
    assert client.takes() == OK
    assert mirrored.up("rq_active", "m") == 0


def test_a_mirror_is_given_up_when_it_does_not_keep_up(mirrored):
    client = mirrored.client(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 200000\r\n\r\n")
    server = mirrored.accept(1)
    client.send(b"x" * 50_000, b"x" * 50_000)
    assert mirrored.up("rq_cancelled", "m") == 1
    client.send(b"x" * 100_000)
    assert server.takes().endswith(b"x" * 100_000)
    server.send(OK)
    assert client.takes() == OK


def test_a_mirror_ends_with_a_client_that_goes_in_the_middle(mirrored):
    client = mirrored.client(POST[:-2])
    copy = mirrored.accept()
    client.reset()
    assert copy.closed
    assert mirrored.up("rq_cancelled", "m") == 1


def test_a_mirror_has_the_routes_time(mirrored):
    mirrored.rule(mirrors=[plan.Mirror("m")], timeout=200)
    client = mirrored.client(GET)
    copy, server = mirrored.accept(), mirrored.accept()
    server.send(OK)
    assert client.takes() == OK
    mirrored.pass_time(200)
    assert copy.closed
    assert mirrored.up("rq_timeout", "m") == 1


@pytest.mark.parametrize(("fraction", "copies"), [(plan.Fraction(0), 0), (plan.Fraction(1_000_000, 1_000_000), 1)])
def test_a_share_of_the_requests_is_mirrored(mirrored, fraction, copies):
    mirrored.rule(mirrors=[plan.Mirror("m", fraction, append_suffix=False), plan.Mirror("not-there")])
    client = mirrored.client(GET)
    assert len(mirrored.opening) == 1 + copies
    while mirrored.opening:
        server = mirrored.accept()
        assert pick_out(server.takes(), b"host") == [b"a"]
        server.send(OK)
    assert client.takes() == OK


# -- time and retries --------------------------------------------------------------------------------------------------


def test_a_route_has_a_limit_of_its_own_for_a_whole_stream(world):
    world.listener.max_stream_duration = 10_000
    world.rule(max_stream_duration=300)
    client = world.client(GET)
    world.accept()
    world.pass_time(300)
    assert status(client.takes()) == 504


def test_a_try_that_is_quiet_for_too_long_is_made_again(world):
    world.rule(retry=plan.RetryPolicy(["5xx"], 1, per_try_idle_timeout=200, backoff_base=1, backoff_max=1))
    client = world.client(GET)
    first = world.accept()
    world.pass_time(250)
    assert first.closed
    second = world.accept()
    second.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no")
    world.pass_time(150)
    second.send(b"k")
    assert client.takes() == OK
    assert world.up("rq_per_try_idle_timeout") == 1


def test_an_answer_is_tried_again_by_its_headers(world):
    header = plan.HeaderMatch("x-again", None)
    world.rule(retry=plan.RetryPolicy(["retriable-headers"], 1, headers=[header], backoff_base=1, backoff_max=1))
    client = world.client(GET)
    server = world.accept()
    server.send(OK.replace(b"\r\n\r\n", b"\r\nx-again: 1\r\n\r\n"))
    world.pass_time(20)
    server.send(OK)
    assert client.takes() == OK
    assert world.up("rq_retry") == 1


def test_a_request_that_the_policy_is_not_for_is_not_tried_again(world):
    header = plan.HeaderMatch(":method", plan.StringMatch("exact", "GET"))
    world.rule(retry=plan.RetryPolicy(["5xx"], 1, request_headers=[header]))
    client = world.client(POST)
    world.accept().send(UNAVAILABLE)
    assert client.takes() == UNAVAILABLE


def test_tries_go_to_hosts_that_have_not_failed(make_world):
    world = make_world(hosts=3)
    world.rule(retry=plan.RetryPolicy(["connect-failure"], 2, backoff_base=1, backoff_max=1))
    client = world.client(GET)
    tried = []
    for _ in range(2):
        tried.append(world.opening[0].address)
        world.refuse()
        world.pass_time(20)
    tried.append(world.opening[0].address)
    world.accept().send(OK)
    assert client.takes() == OK
    assert len(set(tried)) == 3
