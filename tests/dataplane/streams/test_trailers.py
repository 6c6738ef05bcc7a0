"""Trailers of requests and answers: passed on where both sides have them enabled, dropped everywhere else."""

import pytest

from tage.sidecar import plan
from tests.dataplane.streams.test_exchange import exchange
from tests.dataplane.streams.world import GET, OK, SLOT_MS, UNAVAILABLE

HEAD = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
ANSWER_HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nx-more:\r\n\r\n"
BARE = b"5\r\nhello\r\n0\r\n\r\n"
REQUEST = HEAD + END
ANSWER = ANSWER_HEAD + END


@pytest.fixture
def world(make_world):
    world = make_world(enable_trailers=True)
    world.listener.enable_trailers = True
    return world


@pytest.mark.parametrize("cut", ["send", "send_bytewise"])
def test_of_requests(world, cut):
    client = world.client()
    getattr(client, cut)(REQUEST)
    server = world.accept()
    assert server.takes().endswith(b"\r\n\r\n" + END)
    server.send(OK)
    client.send(REQUEST)
    assert server.takes().endswith(b"\r\n\r\n" + END)
    server.send(OK)
    client.send(HEAD + BARE)
    assert server.takes().endswith(b"\r\n\r\n" + BARE), "those of the request before are forgotten"
    server.send(OK)
    assert client.takes() == OK * 3


def test_of_requests_that_come_in_parts(world):
    client = world.client(HEAD)
    server = world.accept()
    server.takes()
    client.send(b"5\r\nhello\r\n")
    assert server.takes() == b"5\r\nhello\r\n"
    client.send(b"0\r\nX-Sum: 1\r\n")
    assert server.takes() == b""
    client.send(b"\r\n")
    assert server.takes() == b"0\r\nX-Sum: 1\r\n\r\n"
    server.send(OK)
    assert client.takes() == OK


@pytest.mark.parametrize("cut", ["send", "send_bytewise"])
def test_of_answers(world, cut):
    client = world.client(GET)
    server = world.accept()
    getattr(server, cut)(ANSWER)
    taken = client.takes()
    assert taken.startswith(ANSWER_HEAD)
    assert taken.endswith(b"0\r\nX-Sum: 1\r\nx-more:\r\n\r\n")
    client.send(GET)
    server.send(ANSWER)
    assert client.takes() == ANSWER
    client.send(GET)
    server.send(ANSWER_HEAD + BARE)
    assert client.takes() == ANSWER_HEAD + BARE
    client.send(GET)
    server.send(OK)
    assert client.takes() == OK


def test_of_an_answer_without_a_body(world):
    _, taken = exchange(world, GET, ANSWER_HEAD + b"0\r\nA: b\r\n\r\n")
    assert taken == ANSWER_HEAD + b"0\r\nA: b\r\n\r\n"


@pytest.mark.parametrize(("listener", "cluster"), [(False, False), (True, False), (False, True)])
def test_not_where_a_side_has_them_disabled(make_world, listener, cluster):
    world = make_world(enable_trailers=cluster)
    world.listener.enable_trailers = listener
    head = HEAD.replace(b"host", b"Trailer: x-sum\r\nhost")
    server, client = exchange(world, head + END, ANSWER.replace(b"OK\r\n", b"OK\r\nTrailer: x-sum\r\n"))
    assert server.endswith(b"\r\n\r\n" + BARE)
    assert b"Trailer" not in server
    assert client == ANSWER_HEAD + BARE


def test_the_setting_holds_from_the_next_message(make_world):
    world = make_world()
    client = world.client(REQUEST)
    server = world.accept()
    server.send(ANSWER)
    assert server.takes().endswith(b"\r\n\r\n" + BARE)
    assert client.takes() == ANSWER_HEAD + BARE
    world.listener.enable_trailers = world.cluster.enable_trailers = True
    client.send(REQUEST)
    server.send(ANSWER)
    assert server.takes().endswith(b"\r\n\r\n" + END)
    assert client.takes() == ANSWER


def test_what_must_not_stand_there_stays_behind(world):
    bad = b"Content-Length: 3\r\nHost: b\r\nX-Forwarded-For: 1.2.3.4\r\nAuthorization: x\r\nSet-Cookie: a=b\r\n"
    end = END.replace(b"X-Sum", bad + b"X-Sum")
    server, client = exchange(world, HEAD + end, ANSWER_HEAD + end)
    assert server.endswith(b"\r\n\r\n" + END)
    assert server.lower().count(b"x-forwarded-for: 10.1.2.3\r\n") == server.lower().count(b"x-forwarded-for") == 1
    assert client == ANSWER


def test_an_announcement_goes_on_with_them(world):
    head = HEAD.replace(b"host", b"Trailer: x-sum\r\nhost")
    server, client = exchange(world, head + END, ANSWER.replace(b"OK\r\n", b"OK\r\nTrailer: x-sum\r\n"))
    assert b"\r\nTrailer: x-sum\r\n" in server
    assert client == ANSWER.replace(b"OK\r\n", b"OK\r\nTrailer: x-sum\r\n")


def test_an_announcement_of_what_cannot_come_stays_behind(world):
    asked, answered = GET.replace(b"host", b"Trailer: x-sum\r\nhost"), OK.replace(b"OK\r\n", b"OK\r\nTrailer: x\r\n")
    server, client = exchange(world, asked, answered)
    assert b"Trailer" not in server
    assert client == OK


def test_a_client_of_http_1_0_gets_none(world):
    _, taken = exchange(world, b"GET / HTTP/1.0\r\nhost: a\r\n\r\n", ANSWER)
    assert taken == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello"


@pytest.mark.parametrize("cut", ["send", "send_bytewise"])
def test_a_retry_has_them_again(make_world, cut):
    world = make_world(hosts=2, enable_trailers=True)
    world.listener.enable_trailers = True
    world.rule(retry=plan.RetryPolicy(["5xx"], attempts=1))
    client = world.client()
    getattr(client, cut)(REQUEST)
    first = world.accept()
    sent = first.takes()
    assert sent.endswith(b"\r\n\r\n" + END)
    first.send(ANSWER.replace(b"200 OK", b"503 Service Unavailable").replace(b"X-Sum: 1", b"X-Sum: of the first"))
    assert client.takes() == b""
    world.pass_time(25 + SLOT_MS)
    second = world.accept()
    assert second.takes() == sent
    second.send(ANSWER_HEAD + BARE)
    assert client.takes() == ANSWER_HEAD + BARE, "the first answer's are gone with it"


def test_a_replay_has_them_again(world):
    old = world.warm()
    client = world.client(REQUEST.replace(b"POST", b"PUT"))
    sent = old.takes()
    old.end()
    new = world.accept()
    assert new.takes() == sent
    new.send(ANSWER)
    assert client.takes() == ANSWER


def test_a_local_answer_has_none(world):
    world.rule(retry=plan.RetryPolicy(["5xx"], attempts=1))
    client = world.client(REQUEST)
    world.accept().send(ANSWER.replace(b"200 OK", b"503 Service Unavailable"))
    world.cluster.set_hosts([])
    world.pass_time(25 + SLOT_MS)
    assert b"x-tage-response-flags: UH" in client.takes()
    world.cluster.set_hosts([("10.0.0.1", 80, 1, True)])
    client.send(GET)
    server = world.accept()
    server.send(UNAVAILABLE)
    world.pass_time(25 + SLOT_MS)
    server.send(ANSWER_HEAD + BARE)
    assert client.takes() == ANSWER_HEAD + BARE
