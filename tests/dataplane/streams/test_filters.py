"""Filter chains: order, stops, replies, answers held, and that nothing of a stream is left behind by them."""

import pytest

from tage.dataplane.filters.filter import DISABLED, HttpFilter, Verdict
from tage.dataplane.protocols import errors
from tage.sidecar import plan
from tests.dataplane.streams.test_failures import flags, status
from tests.dataplane.streams.world import GET, OK, POST, UNAVAILABLE


class Probe(HttpFilter):
    """Does what the test says, and writes down when it was asked."""

    def __init__(self, name="probe", log=None, on_request=None, on_response=None):
        HttpFilter.__init__(self, name)
        self.log = [] if log is None else log
        self.on_request = on_request
        self.on_response = on_response
        self.exchange = None

    def request(self, exchange, settings):
        self.log.append((self.name, "request", settings))
        self.exchange = exchange
        exchange.keep(self, object())
        return Verdict.CONTINUE if self.on_request is None else self.on_request(exchange)

    def response(self, exchange, head, settings):
        self.log.append((self.name, "response", head.status))
        return Verdict.CONTINUE if self.on_response is None else self.on_response(exchange)

    def over(self, exchange):
        assert exchange.kept(self) is not None
        self.log.append((self.name, "over"))


def stop(exchange):
    return Verdict.STOPPED


def test_filters_are_asked_in_order_and_see_the_answer_in_reverse(world):
    log = []
    world.listener.filters = [Probe("a", log), Probe("b", log)]
    client = world.client(GET)
    server = world.accept()
    assert log == [("a", "request", None), ("b", "request", None)]
    server.send(OK)
    assert client.takes() == OK
    assert log[2:] == [("b", "response", 200), ("a", "response", 200), ("a", "over"), ("b", "over")]


def test_a_route_has_settings_for_a_filter_or_switches_it_off(world):
    log = []
    world.listener.filters = [Probe("a", log), Probe("b", log)]
    world.listener.routes.virtual_hosts[0].routes[0].filters = {"a": DISABLED, "b": {"of": "the route"}}
    client = world.client(GET)
    world.accept().send(OK)
    assert client.takes() == OK
    assert log == [("b", "request", {"of": "the route"}), ("b", "response", 200), ("b", "over")]


def test_edits_go_out_with_request_and_answer(world):
    def request(exchange):
        exchange.edits.put(b"x-mine", b"1")
        return Verdict.CONTINUE

    def response(exchange):
        exchange.answer().add(b"x-served", b"yes")
        exchange.answer().remove(b"x-secret")
        return Verdict.CONTINUE

    world.listener.filters = [Probe(on_request=request, on_response=response)]
    client = world.client(GET.replace(b"\r\n\r\n", b"\r\nX-Mine: theirs\r\n\r\n"))
    server = world.accept()
    sent = server.takes()
    assert b"x-mine: 1\r\n" in sent
    assert b"theirs" not in sent
    server.send(OK.replace(b"\r\n\r\n", b"\r\nX-Secret: s\r\n\r\n"))
    assert client.takes() == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-served: yes\r\n\r\nok"


def test_a_filter_that_stops_holds_the_request_and_its_body(world):
    probe = Probe(on_request=stop)
    world.listener.filters = [probe]
    client = world.client(POST[:-3])
    client.send(POST[-3:])
    assert not world.opening
    assert world.down("rq_active") == 1
    probe.exchange.go_on()
    server = world.accept()
    assert server.takes().endswith(b"\r\n\r\nhello")
    server.send(OK)
    assert client.takes() == OK
    probe.exchange.go_on()  # no harm


def test_a_body_that_waits_for_a_filter_is_bounded(world):
    probe = Probe(on_request=stop)
    world.listener.filters = [probe]
    client = world.client(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n")
    client.send(b"x" * 40_000, b"x" * 40_000)
    assert not client.reading
    probe.exchange.go_on()
    server = world.accept()
    assert len(server.takes()) > 80_000
    assert client.reading
    client.send(b"x" * 920_000)
    server.send(OK)
    assert client.takes() == OK


def test_a_pause_ends_by_itself_and_the_routes_timeout_begins_behind_it(world):
    def pause(exchange):
        exchange.pause(500)
        return Verdict.STOPPED

    world.rule(timeout=1000)
    world.listener.filters = [Probe(on_request=pause)]
    client = world.client(GET)
    world.pass_time(450)
    assert not world.opening
    world.pass_time(50)
    server = world.accept()
    world.pass_time(900)
    assert client.takes() == b""
    server.send(OK)
    assert client.takes() == OK


def test_a_client_that_goes_ends_a_stop(world):
    probe = Probe(on_request=stop)
    world.listener.filters = [probe]
    world.client(GET).reset()
    assert probe.log[-1] == ("probe", "over")
    probe.exchange.go_on()
    assert not world.opening


def test_a_reply_ends_the_request_and_passes_the_filters(world):
    def reply(exchange):
        exchange.reply(errors.DIRECT, 401, b"who are you?", ((b"www-authenticate", b"ApiKey"),))
        return Verdict.REPLIED

    log = []
    world.listener.filters = [Probe("a", log), Probe("b", log, on_request=reply), Probe("c", log)]
    client = world.client(GET, GET)
    answer = client.takes()
    assert status(answer) == 401
    assert b"\r\nwww-authenticate: ApiKey\r\n" in answer
    assert answer.count(b"who are you?") == 2  # the connection goes on
    assert log[:5] == [
        ("a", "request", None), ("b", "request", None),
        ("c", "response", 401), ("b", "response", 401), ("a", "response", 401),
    ]  # fmt: skip
    assert not world.opening


def test_a_late_reply_is_as_good(world):
    probe = Probe(on_request=stop)
    world.listener.filters = [probe]
    client = world.client(GET)
    probe.exchange.reply(errors.DIRECT, 403, b"no", ((b"content-type", b"text/html"),))
    answer = client.takes()
    assert status(answer) == 403
    assert answer.count(b"content-type") == 1
    probe.exchange.reply(errors.DIRECT, 500, b"again", ())  # it is over


def test_a_filter_in_front_of_no_route_may_reply_and_others_meet_404(world):
    world.listener.routes = None
    world.listener.filters = [Probe()]
    client = world.client(GET)
    assert status(client.takes()) == 404


def test_a_request_finds_another_route_by_what_a_filter_changed(world):
    def request(exchange):
        exchange.edits.put(b"x-group", b"b")
        exchange.edits.path = b"/other?q"
        exchange.reroute()
        return Verdict.CONTINUE

    world.add_cluster("d")
    world.route(
        plan.Route(
            plan.RouteMatch(
                plan.StringMatch("exact", "/other"),
                [plan.HeaderMatch("x-group", plan.StringMatch("exact", "b"))],
            ),
            clusters=[plan.WeightedCluster("d")],
        ),
        plan.Route(plan.RouteMatch(plan.StringMatch("prefix", "/")), clusters=[plan.WeightedCluster("c")]),
    )
    world.listener.filters = [Probe(on_request=request)]
    client = world.client(GET)
    server = world.accept()
    sent = server.takes()
    assert sent.startswith(b"GET /other?q HTTP/1.1\r\n")
    assert sent.count(b"x-group: b") == sent.count(b"x-request-id") == sent.count(b"host: a") == 1
    server.send(OK)
    assert client.takes() == OK
    assert world.up("rq_total", "d") == 1


@pytest.mark.parametrize("request_", [GET, POST])
def test_an_answer_is_held_until_the_filter_goes_on(world, request_):
    probe = Probe(on_response=stop)
    world.listener.filters = [probe]
    client = world.client(request_)
    server = world.accept()
    server.send(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nab", b"")
    assert client.takes() == b""
    assert not server.reading
    assert probe.exchange.answer_head.header(b"content-length") == b"6"
    probe.exchange.answer().add(b"x-late", b"1")
    probe.exchange.go_on()
    assert server.reading
    server.send(b"cdef")
    assert client.takes() == b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nx-late: 1\r\n\r\nabcdef"


def test_a_whole_answer_is_held_while_its_connection_carries_others(world):
    probe = Probe(on_response=stop)
    world.listener.filters = [probe]
    client = world.client(GET)
    server = world.accept()
    server.send(OK)
    held = probe.exchange
    assert client.takes() == b""
    world.listener.filters = None
    other = world.client(GET)
    server.takes()
    server.send(UNAVAILABLE)
    assert other.takes() == UNAVAILABLE
    held.go_on()
    assert client.takes() == OK


def test_an_answer_whose_connection_breaks_while_it_is_held_is_an_error(world):
    probe = Probe(on_response=stop)
    world.listener.filters = [probe]
    client = world.client(GET)
    server = world.accept()
    server.send(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nab")
    server.reset()
    assert flags(client.takes()) == "UC"
    probe.exchange.go_on()


def test_a_route_timeout_ends_an_answer_that_is_held(world):
    world.rule(timeout=300)
    probe = Probe(on_response=stop)
    world.listener.filters = [probe]
    client = world.client(GET)
    server = world.accept()
    server.send(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nab")
    world.pass_time(300)
    assert flags(client.takes()) == "UT"
    assert server.closed


def test_a_filter_throws_an_answer_away(world):
    def reply(exchange):
        exchange.reply(errors.DIRECT, 500, b"broken", ())
        return Verdict.REPLIED

    world.listener.filters = [Probe(on_response=reply)]
    client = world.client(GET)
    world.accept().send(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nab")
    answer = client.takes()
    assert status(answer) == 500
    assert answer.endswith(b"broken")


def test_errors_made_here_pass_the_filters(world):
    def response(exchange):
        exchange.answer().add(b"x-seen", b"1")
        return Verdict.CONTINUE

    world.listener.filters = [Probe(on_response=response)]
    client = world.client(GET)
    world.refuse()
    answer = client.takes()
    assert flags(answer) == "UF"
    assert b"x-seen: 1\r\n" in answer


def test_an_error_that_is_held_goes_out_later(world):
    probe = Probe(on_response=stop)
    world.listener.filters = [probe]
    client = world.client(GET)
    world.refuse()
    assert client.takes() == b""
    probe.exchange.go_on()
    assert flags(client.takes()) == "UF"


def test_retries_are_made_before_filters_see_an_answer(world):
    world.rule(retry=plan.RetryPolicy(["5xx"], attempts=1, backoff_base=1, backoff_max=1))
    probe = Probe()
    world.listener.filters = [probe]
    client = world.client(GET)
    server = world.accept()
    server.send(UNAVAILABLE)
    world.pass_time(10)
    server.send(OK)
    assert client.takes() == OK
    assert [entry[1:] for entry in probe.log] == [("request", None), ("response", 200), ("over",)]


def test_a_chain_that_is_exchanged_leaves_requests_under_way_alone(world):
    old, new = Probe("old"), Probe("new")
    world.listener.filters = [old]
    client = world.client(GET)
    world.listener.filters = [new]
    world.accept().send(OK)
    assert client.takes() == OK
    assert [entry[1] for entry in old.log] == ["request", "response", "over"]
    assert not new.log
