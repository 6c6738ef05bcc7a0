from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tage.sidecar import plan
from tests.authority import Authority

from .build import manager, problems, translate

AUTHORITY = Authority()
PAIR = AUTHORITY.issue("a.test")
_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
CERTIFICATE = {
    "certificate_chain": {"inline_string": PAIR.chain.decode()},
    "private_key": {"inline_string": PAIR.key.decode()},
}
TRUST = {"trusted_ca": {"inline_string": AUTHORITY.pem.decode()}}
SOCKET = "filter_chains[0].transport_socket.typed_config"


def tls(kind: str, common: dict[str, Any], **fields: Any) -> dict[str, Any]:
    config = {"@type": f"{_TLS}.{kind}TlsContext", "common_tls_context": common, **fields}
    return {"transport_socket": {"name": "tls", "typed_config": config}}


def downstream(common: dict[str, Any], **fields: Any) -> dict[str, Any]:
    content = manager()
    content["filter_chains"][0].update(tls("Downstream", common, **fields))
    return content


def upstream(common: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"name": "c", **tls("Upstream", common, **fields)}


def test_downstream() -> None:
    common = {
        "tls_certificates": [CERTIFICATE],
        "validation_context": {
            **TRUST,
            "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"prefix": "spiffe://a/"}}],
            "verify_certificate_hash": ["AB:" * 31 + "ab"],
        },
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "cipher_suites": ["[A-B|C]", "D"]},
    }
    draft = translate("listener", downstream(common, require_client_certificate=True))
    (chain,) = draft.listener.chains
    certificate, trust = (secret.section for secret in draft.secrets)
    assert chain.tls == plan.DownstreamTls(
        [certificate.name],
        trust.name,
        True,
        ["h2", "http/1.1"],
        plan.TlsParameters("1.3", "1.3", ["A-B", "C", "D"]),
    )
    assert draft.listener.inspect_tls is False, "the chain's own TLS is reason enough to look"
    assert (certificate.chain, certificate.key) == (PAIR.chain, PAIR.key)
    assert (trust.ca, trust.hashes) == (AUTHORITY.pem, ["ab" * 32])
    assert trust.names == [plan.SanMatch("uri", plan.StringMatch("prefix", "spiffe://a/"))]


def test_upstream() -> None:
    draft = translate("cluster", upstream({"validation_context": TRUST}, sni="b.test"))
    (trust,) = (secret.section for secret in draft.secrets)
    assert draft.cluster.tls == plan.UpstreamTls([], trust.name, "b.test")


def test_what_comes_from_the_same_files_is_shared(tmp_path: Path) -> None:
    for name, content in (("pem", PAIR.chain), ("key", PAIR.key)):
        (tmp_path / name).write_bytes(content)
    certificate = {
        "certificate_chain": {"filename": str(tmp_path / "pem")},
        "private_key": {"filename": str(tmp_path / "key")},
    }
    content = downstream({"tls_certificates": [certificate]})
    second = {**content["filter_chains"][0], "filter_chain_match": {"server_names": ["x"]}}
    content["filter_chains"].append(second)
    draft = translate("listener", content)
    (secret,) = draft.secrets
    assert [chain.tls.certificates for chain in draft.listener.chains] == [[secret.section.name]] * 2
    assert secret.section.name.startswith(f"{tmp_path}/pem,{tmp_path}/key#")
    assert secret.sources["chain"].file == str(tmp_path / "pem")


@pytest.mark.parametrize(
    ("content", "path", "message"),
    [
        (downstream({}), f"{SOCKET}.common_tls_context.tls_certificates", "at least one"),
        (
            downstream({"tls_certificates": [{"certificate_chain": CERTIFICATE["certificate_chain"]}]}),
            f"{SOCKET}.common_tls_context.tls_certificates[0].private_key",
            "needs one of filename",
        ),
        (
            downstream({"tls_certificates": [CERTIFICATE]}, require_client_certificate=True),
            f"{SOCKET}.require_client_certificate",
            "whom to trust",
        ),
        (
            downstream({"tls_certificates": [CERTIFICATE], "tls_certificate_sds_secret_configs": [{"name": "x"}]}),
            f"{SOCKET}.common_tls_context.tls_certificate_sds_secret_configs",
            "not supported",
        ),
        (
            downstream({"tls_certificates": [CERTIFICATE], "tls_params": {"ecdh_curves": ["P-256"]}}),
            f"{SOCKET}.common_tls_context.tls_params.ecdh_curves",
            "not supported",
        ),
        (
            downstream(
                {
                    "tls_certificates": [CERTIFICATE],
                    "tls_params": {
                        "tls_minimum_protocol_version": "TLSv1_3",
                        "tls_maximum_protocol_version": "TLSv1_2",
                    },
                }
            ),
            f"{SOCKET}.common_tls_context.tls_params.tls_minimum_protocol_version",
            "is above",
        ),
        (
            upstream({"validation_context": {**TRUST, "verify_certificate_hash": ["xyz"]}}),
            "transport_socket.typed_config.common_tls_context.validation_context.verify_certificate_hash[0]",
            "SHA-256",
        ),
        (
            upstream({"validation_context": {"verify_certificate_hash": ["ab" * 32]}}),
            "transport_socket.typed_config.common_tls_context.validation_context.trusted_ca",
            "is missing",
        ),
        (
            upstream({"validation_context": {**TRUST, "verify_certificate_spki": ["x"]}}),
            "transport_socket.typed_config.common_tls_context.validation_context.verify_certificate_spki",
            "not supported",
        ),
        (
            upstream({"tls_certificates": [CERTIFICATE, CERTIFICATE]}),
            "transport_socket.typed_config.common_tls_context.tls_certificates",
            "at most one",
        ),
        (upstream({}, auto_host_sni=True), "transport_socket.typed_config.auto_host_sni", "not supported"),
        (upstream({"alpn_protocols": [""]}), "transport_socket.typed_config.common_tls_context.alpn_protocols[0]", "1"),
    ],
)
def test_refused(content: dict[str, Any], path: str, message: str) -> None:
    found = problems("cluster" if "filter_chains" not in content else "listener", content)
    assert [problem.path for problem in found] == [path]
    assert message in found[0].message
