"""Back-pressure: nobody is read faster than the other side takes it, and what waits is bounded."""

from tage.sidecar import plan
from tests.dataplane.streams.test_exchange import unframed
from tests.dataplane.streams.test_failures import flags
from tests.dataplane.streams.world import GET, OK

UPLOAD = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n"
DOWNLOAD = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n"
PIECE = b"z" * 100_000


def test_an_answer_is_read_as_fast_as_the_client_takes_it(world):
    client = world.client(GET)
    server = world.accept()
    server.send(DOWNLOAD, PIECE)
    client.block()
    assert not server.reading
    server.send(PIECE)
    assert server.transport.inbox == 100_000
    for _ in range(2):
        client.unblock()
        assert server.reading
        assert server.transport.inbox == 0
        server.send(PIECE)
        client.block()
        assert not server.reading
    client.unblock()
    server.send(*[PIECE] * 6)
    assert client.takes().count(b"z") == 1_000_000
    assert world.cluster.hosts[0].idle_connections() == 1


def test_a_request_is_read_as_fast_as_the_server_takes_it(world):
    client = world.client(UPLOAD)
    server = world.accept()
    client.send(PIECE)
    server.block()
    assert not client.reading
    client.send(PIECE)
    assert client.transport.inbox == 100_000
    server.unblock()
    assert client.reading
    client.send(*[PIECE] * 8)
    assert server.takes().count(b"z") == 1_000_000
    server.send(OK)
    assert client.takes() == OK


def test_both_ways_at_once(world):
    client = world.client(UPLOAD)
    server = world.accept()
    server.send(DOWNLOAD)
    client.block()
    server.block()
    assert not client.reading
    assert not server.reading
    client.unblock()
    assert server.reading
    assert not client.reading
    server.unblock()
    assert client.reading
    client.send(*[PIECE] * 10)
    server.send(*[PIECE] * 10)
    assert client.takes().count(b"z") == 1_000_000


def test_a_body_that_waits_for_a_connection_is_bounded(world):
    client = world.client(UPLOAD)
    client.send(*[b"z" * 10_000] * 20)
    assert not client.reading
    assert client.transport.inbox >= 200_000 - 65_536 - 10_000
    server = world.accept()
    assert client.reading
    assert server.takes().count(b"z") == 200_000
    client.send(*[PIECE] * 8)
    server.send(OK)
    assert client.takes() == OK


def test_a_body_that_waits_until_there_is_no_connection(world):
    client = world.client(UPLOAD)
    client.send(*[b"z" * 10_000] * 20)
    world.refuse()
    assert flags(client.takes()) == "UF"
    assert client.reading, "its rest is heard out"


def test_a_connection_that_is_slow_from_the_start(world):
    """What waited fills the connection at once: the client waits on until that is taken."""
    client = world.client(UPLOAD)
    client.send(*[b"z" * 10_000] * 20)
    server = world.accept(capacity=1_000)
    assert not client.reading
    server.unblock()
    assert client.reading


def test_a_congested_upstream_that_fails_does_not_leave_the_client_unread(world):
    world.rule(retry=plan.RetryPolicy(["reset"], attempts=1))
    client = world.client(UPLOAD)
    first = world.accept()
    client.send(b"z" * 10_000)
    first.block()
    assert not client.reading
    first.reset()
    world.pass_time(25)
    second = world.accept()
    assert client.reading
    client.send(b"z" * 90_000, *[PIECE] * 9)
    assert second.takes().count(b"z") == 1_000_000
    second.send(OK)
    assert client.takes() == OK


def test_a_client_that_is_slow_before_its_answer_comes(world):
    client = world.client(GET)
    client.block()
    server = world.accept()
    assert not server.reading
    server.send(OK)
    assert client.takes() == b""
    client.unblock()
    assert client.takes() == OK
    assert server.reading


def test_a_client_that_is_slow_while_its_request_backs_off(world):
    world.rule(retry=plan.RetryPolicy(["connect-failure"], attempts=1))
    client = world.client(GET)
    world.refuse()
    client.block()
    client.unblock()
    client.block()
    world.pass_time(25)
    server = world.accept()
    assert not server.reading
    client.unblock()
    server.send(OK)
    assert client.takes() == OK


def test_an_answer_that_ends_while_the_client_is_slow_frees_its_connection(world):
    client = world.client(GET)
    server = world.accept()
    client.transport.capacity = 10
    server.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK)
    assert server.reading
    other = world.client(GET)
    server.takes()
    server.send(OK)
    assert other.takes() == OK
    client.unblock()
    assert client.takes().endswith(OK)


def test_an_answer_whose_end_is_too_much_for_the_client_does_not_pause_its_connection(world):
    """The connection is in the pool, or another's, when the end of the answer is written."""
    world.cluster.max_connections = 1
    client, other = world.client(GET), world.client(GET)
    server = world.accept()
    client.transport.capacity = 10
    server.send(OK)
    assert server.reading
    server.send(OK)
    assert other.takes() == OK
    client.unblock()
    assert client.takes() == OK


def test_a_request_behind_an_answer_that_is_not_taken_waits(world):
    client = world.client(GET + GET)
    server = world.accept()
    server.takes()
    client.transport.capacity = 10
    server.send(OK)
    assert server.takes() == b""
    client.unblock()
    assert server.takes().startswith(b"GET / ")
    server.send(OK)
    assert client.takes() == OK * 2


def test_no_request_is_taken_on_from_a_client_that_takes_no_answers(world):
    world.rule(direct=plan.DirectResponse(200, "x" * 100), clusters=[])
    client = world.client(GET)
    assert client.takes().endswith(b"x")
    client.block()
    client.send(*[GET * 10] * 100)
    assert client.takes() == b""
    assert not client.reading
    assert client.transport.inbox >= len(GET) * 980
    client.unblock()
    assert client.takes().count(b"HTTP/1.1 200 OK") == 1_000
    assert client.reading


def test_a_client_that_takes_no_answers_is_closed_when_it_idles(world):
    world.listener.idle_timeout = 10_000
    client = world.client(GET)
    server = world.accept()
    client.block()
    server.transport.feed(OK)
    client.transport.unsent = 0
    client.connection.resume_writing()
    world.loop.settle()
    client.block()
    client.send(GET)
    world.pass_time(10_000)
    assert client.transport.closing
    world.pass_time(10_000)
    assert client.closed
    assert client.transport.aborted


def test_chunks_keep_their_bytes_under_pressure(world):
    client = world.client(GET)
    server = world.accept()
    server.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    sent = b""
    for i in range(50):
        data = b"%04d" % i * (i * 37 % 100 + 1)
        server.send(b"%x\r\n%s\r\n" % (len(data), data))
        sent += data
        (client.block if i % 3 == 0 else client.unblock)()
    client.unblock()
    server.send(b"0\r\n\r\n")
    assert unframed(client.takes()) == sent
