"""Contexts: what they are made of, which certificate a client gets, and what is said of what does not serve."""

import ssl

import pytest

from tage.dataplane.net.tls import (
    ClientTls,
    KeyPair,
    Parameters,
    ServerTls,
    TlsError,
    Trust,
    certificate_names,
    check_pair,
    check_trust,
    names_of,
)
from tests.authority import Authority

AUTHORITY = Authority()
SHOP = AUTHORITY.issue("shop.test", "*.shop.test")


class Session:
    """A handshake in memory. `failure`: what the client or the server said instead of finishing it."""

    def __init__(self, server: ssl.SSLContext, client: ssl.SSLContext, name: str | None = None) -> None:
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = client.wrap_bio(to_client, to_server, server_hostname=name)
        self.server = server.wrap_bio(to_server, to_client, server_side=True)
        self.failure = ""
        for _ in range(10):
            for side in (self.client, self.server):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLError as error:
                    self.failure = self.failure or (error.reason or str(error))


def client(pair: KeyPair | None = None, trust: Trust | None = None, **parameters) -> ClientTls:
    return ClientTls(pair, Parameters(**parameters), "", trust)


def server(*pairs: KeyPair, trust: Trust | None = None, required: bool = False, **parameters) -> ServerTls:
    return ServerTls(pairs or [SHOP], Parameters(**parameters), trust, required)


def names_served(tls: ServerTls, asked: str) -> set[str]:
    session = Session(tls.context(asked), client(trust=Trust(AUTHORITY.pem)).context, asked or None)
    assert session.failure == ""
    return {name for _, name in session.client.getpeercert()["subjectAltName"]}


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ("shop.test", "shop.test"),
        ("a.shop.test", "shop.test"),
        ("b.a.shop.test", "api.test"),  # a wildcard stands for one label
        ("www.test", "www.test"),
        ("nobody.test", "api.test"),
        ("", "api.test"),
    ],
)
def test_the_certificate_is_chosen_by_the_name_that_is_asked_for(asked, served):
    tls = server(AUTHORITY.issue("api.test"), SHOP, AUTHORITY.issue("www.test"))
    assert served in names_served(tls, asked)


def test_a_name_may_have_a_certificate_for_each_kind_of_key():
    tls = server(AUTHORITY.issue("a.test"), AUTHORITY.issue("a.test", use_rsa=True))
    for cipher in ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"):
        session = Session(tls.context("a.test"), client(maximum="1.2", ciphers=[cipher]).context)
        assert session.failure == ""
        assert session.server.cipher()[0] == cipher


def test_versions_and_ciphers():
    only13 = server(minimum="1.3")
    assert Session(only13.context(""), client(maximum="1.2").context).failure != ""
    assert Session(only13.context(""), client().context).server.version() == "TLSv1.3"
    old = server(maximum="1.2", ciphers=["ECDHE-ECDSA-AES256-GCM-SHA384"])
    session = Session(old.context(""), client().context)
    assert (session.server.version(), session.server.cipher()[0]) == ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384")


def test_application_protocols():
    tls = server(alpn=["h2", "http/1.1"])
    assert Session(tls.context(""), client(alpn=["http/1.1"]).context).client.selected_alpn_protocol() == "http/1.1"
    session = Session(tls.context(""), client(alpn=["other"]).context)
    assert (session.failure, session.client.selected_alpn_protocol()) == ("", None)


# -- whom to believe ---------------------------------------------------------------------------------------------------


def test_client_certificates():
    trust = Trust(AUTHORITY.pem)
    caller = AUTHORITY.issue(uris=["spiffe://mesh/caller"])
    stranger = Authority("stranger").issue(uris=["spiffe://mesh/caller"])
    asked, demanded = server(trust=trust), server(trust=trust, required=True)
    for tls in (asked, demanded):
        assert Session(tls.context(""), client(caller).context).failure == ""
        assert Session(tls.context(""), client(stranger).context).failure == "CERTIFICATE_VERIFY_FAILED"
    assert Session(asked.context(""), client().context).failure == ""
    assert Session(demanded.context(""), client().context).failure == "PEER_DID_NOT_RETURN_A_CERTIFICATE"


def test_an_expired_and_a_revoked_certificate():
    trust = Trust(AUTHORITY.pem)
    old = AUTHORITY.issue("a.test", expired=True)
    assert Session(server(old).context(""), client(trust=trust).context).failure == "CERTIFICATE_VERIFY_FAILED"
    gone = AUTHORITY.issue("a.test")
    strict = Trust(AUTHORITY.pem, AUTHORITY.revoke(gone))
    assert Session(server(gone).context(""), client(trust=strict).context).failure == "CERTIFICATE_VERIFY_FAILED"
    assert Session(server(SHOP).context(""), client(trust=strict).context).failure == ""


@pytest.mark.parametrize(
    ("names", "served"),
    [
        ([("uri", "exact", "spiffe://mesh/caller", False)], True),
        ([("uri", "prefix", "spiffe://mesh/", False)], True),
        ([("uri", "suffix", "/other", False), ("uri", "contains", "mesh", False)], True),
        ([("uri", "exact", "spiffe://mesh/other", False)], False),
        ([("dns", "exact", "spiffe://mesh/caller", False)], False),
        ([("any", "exact", "spiffe://mesh/caller", False)], True),
        ([("dns", "exact", "Caller.Test", False)], True),
        ([("dns", "exact", "x.wild.test", False)], True),  # in a certificate for *.wild.test
        ([("dns", "exact", "x.y.wild.test", False)], False),
        ([("dns", "exact", "wild.test", False)], False),
        ([("uri", "exact", "SPIFFE://MESH/CALLER", True)], True),
        ([("uri", "regex", "spiffe://[a-z]+/caller", False)], True),
        ([("uri", "regex", "spiffe://[a-z]+", False)], False),
        ([("ip", "exact", "10.0.0.1", False)], True),
        ([], True),
    ],
)
def test_names_that_are_expected(names, served):
    caller = AUTHORITY.issue("caller.test", "*.wild.test", uris=["spiffe://mesh/caller"], addresses=["10.0.0.1"])
    trust = Trust(AUTHORITY.pem, names=names_of(names))
    session = Session(server(trust=trust).context(""), client(caller).context)
    assert session.failure == ""
    assert (trust.refusal(session.server) == "") is served
    assert trust.refusal(Session(server(trust=trust).context(""), client().context).server) == "", "it has none"


def test_certificates_by_their_hash():
    import hashlib

    caller = AUTHORITY.issue("caller.test")
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(caller.chain.decode())).hexdigest()
    for hashes, served in (([digest], True), (["0" * 64], False), (["0" * 64, digest], True)):
        trust = Trust(AUTHORITY.pem, hashes=hashes)
        session = Session(server(trust=trust).context(""), client(caller).context)
        assert (trust.refusal(session.server) == "") is served


# -- what does not serve -----------------------------------------------------------------------------------------------


def test_passwords():
    pair = AUTHORITY.issue("a.test", password=b"secret")
    check_pair(pair)
    for wrong in (b"", b"other"):
        with pytest.raises(TlsError, match="password is wrong or missing"):
            check_pair(KeyPair(pair.chain, pair.key, wrong))


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        (KeyPair(SHOP.chain, AUTHORITY.issue("x").key), "the key is not that of the certificate"),
        (KeyPair(b"", SHOP.key), "there is no PEM certificate"),
        (KeyPair(SHOP.key, SHOP.key), "there is no PEM certificate"),
        (KeyPair(SHOP.chain, b"nonsense"), "there is no PEM key"),
        (KeyPair(SHOP.chain.replace(b"\nMII", b"\nZZZ"), SHOP.key), "^[a-z0-9 ]+$"),
    ],
)
def test_a_pair_that_does_not_serve(pair, reason):
    with pytest.raises(TlsError, match=reason) as caught:
        check_pair(pair)
    assert "PRIVATE" not in str(caught.value)


def test_trust_that_does_not_serve():
    check_trust(Trust(AUTHORITY.pem))
    for broken in (Trust(b""), Trust(b"nonsense"), Trust(AUTHORITY.pem, b"nonsense")):
        with pytest.raises(TlsError, match="cannot be read"):
            check_trust(broken)


def test_ciphers_that_nobody_knows():
    with pytest.raises(TlsError, match="knows none of the ciphers NONE"):
        server(ciphers=["NONE"])
    with pytest.raises(TlsError, match="not a regular expression"):
        names_of([("uri", "regex", "(", False)])
    with pytest.raises(TlsError, match="needs a certificate"):
        ServerTls([], Parameters())


def test_names_of_a_certificate():
    assert certificate_names(SHOP.chain) == {"shop.test", "*.shop.test"}
    assert certificate_names(AUTHORITY.issue().chain) == {"leaf"}
