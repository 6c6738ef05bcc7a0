"""h2spec, all of its cases, the strict ones too, against a sidecar's HTTP/2 listener: in plain text by prior knowledge,
and over TLS by ALPN. `make h2spec` builds it; without it these tests skip."""

from __future__ import annotations

import os
import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.authority import Authority
from tests.e2e.backend import Backend
from tests.e2e.bootstraps import bootstrap, cluster, listener, route, virtual_host
from tests.e2e.ports import LOOPBACK, free_port
from tests.e2e.sidecar import sidecar
from tests.golang import program

pytestmark = pytest.mark.processes

PACKAGE = "github.com/summerwind/h2spec/cmd/h2spec"
CASES = 140
"""It has at least so many: a run that ends early is none."""
CASE_SECONDS = 3
"""For an answer; h2spec's own default is 2."""
SECONDS = 500
OPTIONS = {"http2_protocol_options": {"max_concurrent_streams": 100}}
"""A case has one stream more than allowed: a thousand and more are too many for the backend's connections."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f]")
_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"


@pytest.fixture(scope="module")
def h2spec() -> Path:
    return program(PACKAGE, "h2spec", build=os.environ.get("TAGE_H2SPEC") == "build")


@pytest.fixture
def backend() -> Iterator[Backend]:
    running = Backend()
    yield running
    running.close()


def run(h2spec: Path, directory: Path, port: int, *options: str) -> list[str]:
    """What was not as it should be, each in h2spec's words."""
    report = directory / "h2spec.xml"
    argv = (str(h2spec), "--strict", "-h", LOOPBACK, "-p", str(port), "-o", str(CASE_SECONDS), "-j", str(report))
    done = subprocess.run((*argv, *options), capture_output=True, text=True, timeout=SECONDS, check=False)
    assert report.exists(), done.stdout + done.stderr
    # It quotes frames' bytes, which XML does not allow.
    cases = list(ET.fromstring(_CONTROL.sub("?", report.read_text(errors="replace"))).iter("testcase"))
    assert len(cases) >= CASES, done.stdout[-4000:]
    failed = []
    for case in cases:
        problems = [*case.iter("failure"), *case.iter("error"), *case.iter("skipped")]
        if problems:
            said = " ".join((problems[0].text or "").split())
            failed.append(f"{case.get('package')}: {case.get('classname')}: {said}")
    assert failed or done.returncode == 0, done.stdout[-4000:]
    return failed


def test_plain_text(h2spec: Path, tmp_path: Path, backend: Backend) -> None:
    port = free_port()
    content = listener("l", port, [virtual_host("*", route("c"))], codec_type="HTTP2", **OPTIONS)
    with sidecar(tmp_path, bootstrap(free_port(), [content], [cluster("c", backend.port)])):
        failed = run(h2spec, tmp_path, port)
        assert not failed, "\n".join(failed)


def test_detected(h2spec: Path, tmp_path: Path, backend: Backend) -> None:
    """Beside HTTP/1.1 on one port (codec_type AUTO), by the connection preface."""
    port = free_port()
    content = listener("l", port, [virtual_host("*", route("c"))], **OPTIONS)
    with sidecar(tmp_path, bootstrap(free_port(), [content], [cluster("c", backend.port)])):
        failed = run(h2spec, tmp_path, port)
        # What begins with another preface is HTTP/1.1 here, and is answered so.
        failed = [each for each in failed if not each.startswith("http2/3.5:")]
        assert not failed, "\n".join(failed)


def test_tls(h2spec: Path, tmp_path: Path, backend: Backend) -> None:
    pair = Authority().issue("h2spec.test")
    (tmp_path / "server.pem").write_bytes(pair.chain)
    (tmp_path / "server.key").write_bytes(pair.key)
    port = free_port()
    content = listener("l", port, [virtual_host("*", route("c"))], **OPTIONS)
    certificate = {
        "certificate_chain": {"filename": str(tmp_path / "server.pem")},
        "private_key": {"filename": str(tmp_path / "server.key")},
    }
    common = {"alpn_protocols": ["h2", "http/1.1"], "tls_certificates": [certificate]}
    content["filter_chains"][0]["transport_socket"] = {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {"@type": _TLS, "common_tls_context": common},
    }
    with sidecar(tmp_path, bootstrap(free_port(), [content], [cluster("c", backend.port)])):
        failed = run(h2spec, tmp_path, port, "-t", "-k")
        assert not failed, "\n".join(failed)
