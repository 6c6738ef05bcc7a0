"""Contexts are built when a plan is prepared, and anew only where something of theirs has changed."""

import pytest

from tage.sidecar import plan
from tage.sidecar.worker.tables import PlanRefused
from tests.authority import Authority
from tests.sidecar.worker.test_tables import cluster, endpoints, routes, worker  # noqa: F401

AUTHORITY = Authority()


def certificate(name="cert", pair=None):
    made = pair or AUTHORITY.issue("a.test")
    return plan.Certificate(name, made.chain, made.key)


TRUST = plan.Trust("ca", AUTHORITY.pem)
FIRST, SECOND = certificate(), certificate()


def listener(**fields):
    settings = plan.DownstreamTls(["cert"], "ca", alpn=["h2", "http/1.1"], **fields)
    return plan.Listener("l", "127.0.0.1", 80, chains=[plan.FilterChain(tls=settings, http=plan.Http("r"))])


WHOLE = (FIRST, TRUST, endpoints(), cluster(), routes(), listener())


def contexts(of):
    (chain,) = of.tables.listeners["l"].entrance.chains
    return chain.tls


def test_a_chain_gets_its_contexts(worker):  # noqa: F811
    worker.apply(*WHOLE, full=True)
    built = contexts(worker)
    assert built.trust.ca == AUTHORITY.pem
    assert worker.tables.listeners["l"].entrance.direct is None
    # What is of no matter to them leaves them alone.
    worker.apply(cluster(max_requests=7), endpoints("c", "10.0.0.2"))
    assert contexts(worker) is built
    worker.apply(SECOND)
    assert contexts(worker) is not built
    renewed = contexts(worker)
    worker.apply(listener(require_client_certificate=True))
    assert contexts(worker) is not renewed


def test_a_cluster_gets_its_context(worker):  # noqa: F811
    worker.apply(*WHOLE, full=True)
    live = worker.context.clusters["c"]
    assert live.tls is None
    worker.apply(cluster(tls=plan.UpstreamTls(["cert"], "ca", "b.test")))
    first = live.tls
    assert (first.sni, first.trust.ca) == ("b.test", AUTHORITY.pem)
    worker.apply(endpoints("c", "10.0.0.3"))
    assert live.tls is first
    worker.apply(SECOND)
    assert live.tls is not first
    worker.apply(cluster())
    assert live.tls is None


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        ((endpoints(), cluster(), routes(), TRUST, listener()), "listener 'l': the certificate 'cert' is not in"),
        ((endpoints(), cluster(), routes(), FIRST, listener()), "listener 'l': the trust 'ca' is not in"),
        ((endpoints(), cluster(tls=plan.UpstreamTls([], "ca"))), "cluster 'c': the trust 'ca' is not in"),
        (
            (endpoints(), cluster(), routes(), TRUST, plan.Certificate("cert", FIRST.chain, SECOND.key), listener()),
            "listener 'l': filter chain '#0': the key is not that of the certificate",
        ),
        (
            (endpoints(), plan.Trust("ca", b"x"), cluster(tls=plan.UpstreamTls([], "ca"))),
            "cluster 'c': the trusted certificates cannot be read",
        ),
    ],
)
def test_refused(worker, sections, reason):  # noqa: F811
    with pytest.raises(PlanRefused, match=reason):
        worker.prepare(*sections, full=True)
