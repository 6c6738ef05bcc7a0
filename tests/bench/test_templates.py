"""The peers' configurations: every place is filled, and Tage accepts the file that it shares with Envoy."""

import pytest

from bench.templates import PEERS, render

VALUES = {
    "PORT": 10000, "ADMIN_PORT": 10001, "ITEMS_PORT": 10002, "WEB_PORT": 10003, "REVIEWS_PORT": 10004,
    "XDS_PORT": 10005, "UPSTREAM_CONNECTIONS": 64, "DIR": "/d", "USER": "", "NAME": "n", "BODY_BYTES": 100,
    "ITEMS_BODY": "i", "WEB_BODY": "w", "REVIEWS_BODY": "r",
}  # fmt: skip


@pytest.mark.parametrize("template", sorted(path.name for path in PEERS.iterdir()))
def test_every_place_is_filled(template, tmp_path):
    assert "{{" not in render(template, VALUES, tmp_path).read_text()


def test_a_place_without_a_value_is_named(tmp_path):
    with pytest.raises(KeyError, match="ITEMS_PORT"):
        render("envoy.yaml", {"PORT": 1, "ADMIN_PORT": 2, "UPSTREAM_CONNECTIONS": 3}, tmp_path)


@pytest.mark.parametrize("template", ["envoy.yaml", "dynamic.yaml"])
def test_tage_supports_what_envoy_is_given(template, tmp_path):
    from tage.sidecar.translate import bootstrap

    bootstrap.load(render(template, VALUES, tmp_path))
