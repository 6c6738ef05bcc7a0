"""Which filter chain a connection gets: each criterion, their order, and that there is no way back."""

import ipaddress

import pytest

from tage.dataplane.net.chains import EVERYTHING, Chain, Facts, Match, select


def networks(*prefixes):
    return tuple(ipaddress.ip_network(prefix) for prefix in prefixes)


def facts(**given):
    return Facts(
        **{
            "destination": ("10.0.0.9", 443),
            "source": ("192.168.1.7", 40_000),
            "direct_source": ("172.16.0.1", 50_000),
            **given,
        }
    )


def chosen(matches, of):
    """The place of the chain that is chosen; None: none."""
    chains = [Chain(match, None) for match in matches]
    found = select(chains, of)
    return None if found is None else chains.index(found)


TLS = {"transport_protocol": "tls"}


@pytest.mark.parametrize(
    ("matches", "of", "expected"),
    [
        ([EVERYTHING], facts(), 0),
        ([], facts(), None),
        # destination port
        ([EVERYTHING, Match(443)], facts(), 1),
        ([EVERYTHING, Match(80)], facts(), 0),
        ([Match(80)], facts(), None),
        # destination prefix: the longest wins
        ([Match(destination_prefixes=networks(p)) for p in ("10.0.0.0/8", "10.0.0.0/24", "0.0.0.0/0")], facts(), 1),
        ([Match(destination_prefixes=networks("10.1.0.0/16", "10.0.0.9/32")), EVERYTHING], facts(), 0),
        ([Match(destination_prefixes=networks("10.1.0.0/16")), EVERYTHING], facts(), 1),
        ([Match(destination_prefixes=networks("::/0"))], facts(), None),
        ([Match(destination_prefixes=networks("::/0"))], facts(destination=("fd00::1", 443)), 0),
        # server name: exact, then the longest wildcard, then none
        ([Match(server_names=("*.b.c",)), Match(server_names=("a.b.c",))], facts(server_name="a.b.c", **TLS), 1),
        ([Match(server_names=("*.c",)), Match(server_names=("*.b.c",))], facts(server_name="a.b.c", **TLS), 1),
        ([Match(server_names=("*.b.c",))], facts(server_name="x.a.b.c", **TLS), 0),
        ([Match(server_names=("*.b.c",))], facts(server_name="b.c", **TLS), None),
        ([Match(server_names=("*.b.c",))], facts(server_name="ab.c", **TLS), None),
        ([Match(server_names=("a.b.c",)), EVERYTHING], facts(server_name="z", **TLS), 1),
        ([Match(server_names=("a.b.c",)), EVERYTHING], facts(), 1),
        # transport protocol
        ([Match(transport_protocol="tls"), Match(transport_protocol="raw_buffer")], facts(), 1),
        ([Match(transport_protocol="tls"), Match(transport_protocol="raw_buffer")], facts(**TLS), 0),
        ([Match(transport_protocol="tls")], facts(), None),
        # application protocols: the first of the client's that a chain names
        (
            [Match(application_protocols=("http/1.1",)), Match(application_protocols=("h2",))],
            facts(application_protocols=("h2", "http/1.1")),
            1,
        ),
        (
            [Match(application_protocols=("http/1.1", "h2")), EVERYTHING],
            facts(application_protocols=("x", "http/1.1")),
            0,
        ),
        ([Match(application_protocols=("h2",)), EVERYTHING], facts(), 1),
        # where it comes from: directly, and by what a PROXY header says
        ([Match(direct_source_prefixes=networks("172.16.0.0/12")), EVERYTHING], facts(), 0),
        ([Match(direct_source_prefixes=networks("192.168.0.0/16")), EVERYTHING], facts(), 1),
        ([Match(source_prefixes=networks("192.168.0.0/16")), EVERYTHING], facts(), 0),
        ([Match(source_type="external"), Match(source_type="same_ip_or_loopback")], facts(), 0),
        (
            [Match(source_type="external"), Match(source_type="same_ip_or_loopback")],
            facts(source=("127.0.0.3", 1)),
            1,
        ),
        (
            [Match(source_type="external"), Match(source_type="same_ip_or_loopback")],
            facts(source=("10.0.0.9", 1)),
            1,
        ),
        ([Match(source_ports=(1, 40_000)), EVERYTHING], facts(), 0),
        ([Match(source_ports=(1,)), EVERYTHING], facts(), 1),
        # an earlier criterion decides before a later one is looked at, and there is no way back
        ([Match(443, source_ports=(1,)), Match(source_ports=(40_000,))], facts(), None),
        (
            [Match(server_names=("a",), source_prefixes=networks("10.0.0.0/8")), Match(transport_protocol="tls")],
            facts(server_name="a", **TLS),
            None,
        ),
        # of two that match alike the first
        ([Match(source_ports=(40_000, 1)), Match(source_ports=(40_000, 2))], facts(), 0),
    ],
)
def test_select(matches, of, expected):
    assert chosen(matches, of) == expected
