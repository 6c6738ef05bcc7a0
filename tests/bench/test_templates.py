"""The peers' configurations: every place is filled, and Tage accepts the file that it shares with Envoy."""

from pathlib import Path

import pytest

from bench import route_table, templates
from bench.certificates import Certificates, Tls, make_certificates
from bench.rpc.proxies import tage
from bench.rpc.wires import CLUSTERS, WIRES
from bench.templates import PEERS, render

VALUES = {
    "PORT": 10000, "ADMIN_PORT": 10001, "ITEMS_PORT": 10002, "WEB_PORT": 10003, "REVIEWS_PORT": 10004,
    "ABSENT_PORT": 10012, "LISTEN_HTTP2": "",
    "XDS_PORT": 10005, "CONNECTIONS": 100,
    "UPSTREAM_CONNECTIONS": 64, "DIR": "/d", "USER": "", "NAME": "n", "BODY_BYTES": 100,
    "ITEMS_BODY": "i", "WEB_BODY": "w", "REVIEWS_BODY": "r",
    "PYTHON_FILTER": "", "LUA_FILTER": "",
    "ORDERS_1_PORT": 10006, "ORDERS_2_PORT": 10007, "STOCKS_1_PORT": 10008, "STOCKS_2_PORT": 10009,
    **route_table.values(),
    **tage("bolt").values(),
}  # fmt: skip


def values(tls: Tls) -> dict[str, object]:
    return VALUES | Certificates(Path("/c")).values(tls)


@pytest.mark.parametrize("tls", Tls)
@pytest.mark.parametrize("template", sorted(path.name for path in PEERS.iterdir() if path.is_file()))
def test_every_place_is_filled(template, tls, tmp_path):
    text = render(template, values(tls), tmp_path).read_text()
    assert "{{" not in text
    assert "#if" not in text


@pytest.mark.parametrize("template", ["envoy.yaml", "haproxy.cfg", "nginx.conf"])
def test_tls_stands_where_the_row_has_it(template, tmp_path):
    none, downstream, mutual = (render(template, values(tls), tmp_path).read_text() for tls in Tls)
    assert "/c/" not in none
    assert "/c/server.pem" in downstream
    assert "/c/client.pem" not in downstream
    assert "/c/client.pem" in mutual
    assert "/c/authority.pem" in mutual


def test_lines_of_a_condition_that_does_not_hold_are_left_out(tmp_path, monkeypatch):
    (tmp_path / "t").write_text("a\n#if YES\nb {{N}}\n#end\n  #if NO\nc {{MISSING}}\n  #end\nd\n")
    monkeypatch.setattr(templates, "PEERS", tmp_path)
    (tmp_path / "out").mkdir()
    assert render("t", {"YES": True, "NO": "", "N": 1}, tmp_path / "out").read_text() == "a\nb 1\nd\n"


def test_a_place_without_a_value_is_named(tmp_path):
    with pytest.raises(KeyError, match="ITEMS_PORT"):
        render("envoy.yaml", {key: value for key, value in values(Tls.NONE).items() if key != "ITEMS_PORT"}, tmp_path)


@pytest.mark.parametrize("tls", Tls)
@pytest.mark.parametrize(
    "template", ["envoy.yaml", "envoy-routes.yaml", "envoy-tcp.yaml", "envoy-http2.yaml", "dynamic.yaml"]
)
def test_tage_supports_what_envoy_is_given(template, tls, tmp_path):
    from tage.sidecar.translate import bootstrap

    certificates = make_certificates(tmp_path / "certificates")
    bootstrap.load(render(template, VALUES | certificates.values(tls), tmp_path))


@pytest.mark.parametrize("depth", ["NAMES", "FRAME"])
@pytest.mark.parametrize("protocol", WIRES)
def test_tage_supports_the_rpc_rows(protocol, depth, tmp_path):
    from tage.sidecar.translate import bootstrap

    places = VALUES | Certificates(Path("/c")).values(Tls.NONE) | tage(protocol, depth).values()
    loaded = bootstrap.load(render("tage-rpc.yaml", places, tmp_path))
    codec = loaded.listeners[0].listener.chains[0].http.x_protocol
    assert (codec.protocol, codec.depth) == (protocol, depth.lower())
    found = {draft.cluster.name: draft.cluster.x_protocol for draft in loaded.clusters}
    assert found.keys() == set(CLUSTERS)
    assert {(one.protocol, one.mode) for one in found.values()} == {(protocol, "multiplexed")}
