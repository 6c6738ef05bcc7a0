"""Which version of HTTP connections speak, with what settings, and what becomes of those that are open."""

import pytest

from tage.dataplane.streams.context import Codec
from tage.dataplane.upstream.cluster_info import Http2For
from tage.sidecar import plan
from tage.sidecar.worker import http2
from tests.sidecar.worker.test_tables import WHOLE, cluster, listener, tcp, worker  # noqa: F401

SOME = plan.Http2(0, 7, 65_535, 65_536, 30_000, 1_000, True)


def values(settings):
    return [getattr(settings, field) for field in plan.Http2.__struct_fields__]


def chain(**fields):
    return plan.FilterChain(http=plan.Http("r", **fields))


@pytest.mark.parametrize(("codec", "expected"), [("auto", Codec.AUTO), ("http1", Codec.HTTP1), ("http2", Codec.HTTP2)])
def test_a_listener_speaks_what_its_chain_says(worker, codec, expected):  # noqa: F811
    worker.apply(*WHOLE[:3], listener(codec=codec, http2=SOME, max_head_bytes=2048, max_headers=9), full=True)
    state = worker.state()
    assert state.codec == expected
    if codec == "http1":
        assert state.http2 is None
    else:
        assert values(state.http2) == values(SOME)
        assert (state.http2.max_head_bytes, state.http2.max_headers) == (2048, 9)


def test_a_chain_that_speaks_something_else_has_a_new_state(worker):  # noqa: F811
    worker.apply(*WHOLE[:3], listener(codec="auto"), full=True)
    state, settings = worker.state(), worker.state().http2
    swap = worker.apply(listener(codec="auto", server_name="other"))
    assert swap.states == []
    assert worker.state() is state
    assert state.http2 is settings
    worker.apply(listener(codec="auto", http2=SOME))
    assert worker.state() is state
    assert values(state.http2) == values(SOME)
    swap = worker.apply(listener(codec="http2", http2=SOME))
    assert swap.states == [state]
    assert worker.state().codec == Codec.HTTP2
    swap = worker.apply(listener(codec="http1"))
    assert [each.codec for each in swap.states] == [Codec.HTTP2]


@pytest.mark.parametrize(("codec", "kind"), [("auto", "Http1"), ("http1", "Http1"), ("http2", "Http2")])
def test_connections_of_clients(worker, codec, kind):  # noqa: F811
    """One that may speak either begins with HTTP/1.1, which hands over what is HTTP/2."""
    worker.apply(*WHOLE[:3], listener(codec=codec), full=True)
    made = worker.tables.listeners["l"].entrance.direct.make()
    assert type(made).__name__ == f"{kind}DownstreamConnection"


@pytest.mark.parametrize(("spoken", "kind"), [(None, "Http1"), (SOME, "Http2")])
def test_connections_to_hosts(worker, spoken, kind):  # noqa: F811
    worker.apply(*WHOLE[:1], cluster(http2=spoken), *WHOLE[2:], full=True)
    (host,) = worker.context.clusters["c"].hosts
    made = worker.tables._connection(host)
    assert type(made).__name__ == f"{kind}UpstreamConnection"


def test_a_tcp_proxy_speaks_neither(worker):  # noqa: F811
    worker.apply(*WHOLE[:2], tcp(), full=True)
    assert (worker.state().codec, worker.state().http2) == (Codec.HTTP1, None)


def test_a_cluster_speaks_it_with_all_hosts(worker):  # noqa: F811
    worker.apply(*WHOLE, full=True)
    live = worker.context.clusters["c"]
    assert (live.http2, live.concurrency) == (None, 1)
    (host,) = live.hosts
    worker.apply(cluster(http2=SOME))
    assert values(live.http2) == values(SOME)
    assert live.concurrency == 7
    assert host.retired
    (host,) = live.hosts
    settings = live.http2
    worker.apply(cluster(http2=SOME, max_requests=9))
    assert live.http2 is settings
    assert live.hosts == [host]
    assert not host.retired
    worker.apply(cluster(http2=plan.Http2()))
    assert live.http2 is not settings
    assert host.retired
    (host,) = live.hosts
    worker.apply(cluster())
    assert (live.http2, live.concurrency) == (None, 1)
    assert host.retired


@pytest.mark.parametrize(
    ("found", "offered"),
    [
        (chain(), ["h2", "http/1.1"]),
        (chain(codec="http1"), ["http/1.1"]),
        (chain(codec="http2"), ["h2"]),
        (chain(x_protocol=plan.XProtocol("bolt")), ["http/1.1"]),
        (plan.FilterChain(tcp=plan.Tcp([])), ["istio", "h2", "http/1.1"]),
    ],
)
def test_what_a_chain_offers_by_alpn(found, offered):
    assert http2.offered(found, ["istio", "h2", "http/1.1"]) == offered


def test_a_cluster_speaks_both_versions(worker):  # noqa: F811
    worker.apply(*WHOLE, full=True)
    live = worker.context.clusters["c"]
    for http2_for, expected in (("alpn", Http2For.FOR_ALPN), ("downstream", Http2For.FOR_DOWNSTREAM)):
        (host,) = live.hosts
        worker.apply(cluster(http2=SOME, http2_for=http2_for))
        assert host.retired, "what it has open is chosen by other means"
        (host,) = live.hosts
        assert (live.http2_for, live.two_pools, live.concurrency) == (expected, True, 1)
        assert (host.http2, host.by_alpn) == (False, http2_for == "alpn")
    worker.apply(cluster(http2=SOME))
    assert (live.http2_for, live.two_pools, live.concurrency) == (Http2For.FOR_ALL, False, 7)


@pytest.mark.parametrize(("http2_for", "second"), [("all", False), ("alpn", True), ("downstream", True)])
def test_each_pool_has_a_context(worker, http2_for, second):  # noqa: F811
    worker.apply(*WHOLE[:1], cluster(http2=SOME, http2_for=http2_for, tls=plan.UpstreamTls()), *WHOLE[2:], full=True)
    live = worker.context.clusters["c"]
    (host,) = live.hosts
    assert host.tls() is live.tls
    assert (live.tls.second is not None) is second


@pytest.mark.parametrize(
    ("http2_for", "listed", "first", "second"),
    [
        ("downstream", [], [], ["h2"]),
        ("downstream", ["h2", "http/1.1"], ["http/1.1"], ["h2"]),
        ("alpn", [], ["h2", "http/1.1"], ["http/1.1"]),
        ("alpn", ["http/1.1", "h2"], ["http/1.1", "h2"], ["http/1.1"]),
        ("alpn", ["h2"], ["h2"], ["http/1.1"]),
        ("alpn", ["istio"], ["h2", "http/1.1"], ["http/1.1"]),
    ],
)
def test_what_each_pool_asks_for_by_alpn(http2_for, listed, first, second):
    given = cluster(http2=SOME, http2_for=http2_for, tls=plan.UpstreamTls(alpn=listed))
    assert (http2.asked(given), http2.asked(given, second=True)) == (first, second)


@pytest.mark.parametrize(
    ("spoken", "listed", "asked"),
    [
        (None, [], []),
        (None, ["h2", "http/1.1"], ["http/1.1"]),
        (None, ["istio"], ["istio"]),
        (SOME, [], ["h2"]),
        (SOME, ["h2", "http/1.1"], ["h2"]),
        (SOME, ["istio"], ["istio"]),
    ],
)
def test_what_a_cluster_asks_for_by_alpn(spoken, listed, asked):
    assert http2.asked(cluster(http2=spoken, tls=plan.UpstreamTls(alpn=listed))) == asked
