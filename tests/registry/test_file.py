from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import msgspec
import pytest

from tage.config.errors import ConfigError
from tage.config.files import replace_durably
from tage.registry.file import FileRegistry, load_services
from tage.registry.model import Instance, Service
from tests.config.test_directory import run
from tests.config.waiting import until


def registry_file(*services: str, version: str = "v1") -> str:
    return "services:\n" + "".join(
        f"""\
- name: {name}
  instances:
  - name: {name}-{version}-0
    address: 127.1.0.5
    port: 15006
    app_address: 127.1.0.5
    app_port: 8080
    labels: {{app: {name}, version: {version}}}
"""
        for name in services
    )


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_services(text, "r.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_services() -> None:
    b, c = load_services(registry_file("c", "b"))
    instance = Instance("b-v1-0", "127.1.0.5", 15006, "127.1.0.5", 8080, {"app": "b", "version": "v1"})
    assert b == Service("b", instances=(instance,))
    assert c.fqdn == "c.default.svc.cluster.local"
    assert load_services("services: []") == ()
    assert load_services('{"services": [{"name": "a", "port": 8080}]}') == (Service("a", port=8080),)


def test_every_problem_with_line_and_path() -> None:
    text = (
        registry_file("a", "a").replace("port: 15006", "port: 0", 1).replace("127.1.0.5", "localhost", 1)
        + "- name: B\n  protocol: http3\n  instances:\n"
        + "  - {name: x, address: 1.1.1.1, port: 1, app_address: 1.1.1.1, app_port: 1, weight: 0, labels: {a: b c}}\n"
        + "  - {name: x, address: 1.1.1.1, port: 1, app_address: 1.1.1.1, app_port: 1}\n"
    )
    assert problems(text) == [
        "r.yaml:5: services[0].instances[0].address: 'localhost' is not an IP address",
        "r.yaml:6: services[0].instances[0].port: 0 is not a port; it must be between 1 and 65535",
        "r.yaml:10: services[1].name: service 'a' is defined twice in namespace 'default'",
        "r.yaml:18: services[2].name: 'B' is not a DNS label: lower-case letters, digits and '-' inside, "
        "at most 63 characters",
        "r.yaml:19: services[2].protocol: protocol 'http3' is not known; use http, http2, grpc, tcp, bolt, dubbo, "
        "dubbo-thrift, thrift, hsf or x-NAME",
        "r.yaml:21: services[2].instances[0].weight: 0 is not possible; it must be between 1 and 4294967295",
        "r.yaml:21: services[2].instances[0].labels.a: 'b c' is not a label's value: letters, digits, '-', '_' and "
        "'.' inside, at most 63 characters",
        "r.yaml:22: services[2].instances[1].name: instance 'x' is defined twice",
    ]


def test_json_is_the_same_by_the_short_way_and_the_long() -> None:
    services = load_services(registry_file("a", "b"))
    text = msgspec.json.encode({"services": services}).decode()
    assert load_services(text) == load_services("# by the long way\n" + text) == services
    assert problems(text.replace("15006", "0", 1)) == [
        "r.yaml:1: services[0].instances[0].port: 0 is not a port; it must be between 1 and 65535"
    ]
    assert problems(text.replace("15006", "null", 1)) == ["r.yaml:1: services[0].instances[0].port: is missing"]


def test_what_is_no_registry_file() -> None:
    assert problems("") == ["r.yaml:1: is empty; write 'services: []' for no services"]
    assert problems("service: []") == [
        "r.yaml:1: service: unknown field; did you mean 'services'?",
        "r.yaml:1: services: is missing",
    ]
    assert problems("services: []\n---\nservices: []\n") == [
        "r.yaml:3: a registry file holds one document; put all services into the first"
    ]
    assert problems("services: [\n")[0].startswith("r.yaml:2: not valid YAML: ")


def test_a_file_that_cannot_be_read_at_all(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"registry\.yaml: cannot be read: No such file"):
        run(lambda: FileRegistry(tmp_path / "registry.yaml").start())
    (tmp_path / "registry.yaml").write_text("services: 1")
    with pytest.raises(ConfigError, match="expected a list"):
        run(lambda: FileRegistry(tmp_path / "registry.yaml").start())


def test_changes_are_seen_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        path = tmp_path / "registry.yaml"
        path.write_text(registry_file("a"))
        registry = FileRegistry(path, poll_seconds=0.01)
        changes: list[list[str]] = []
        registry.subscribe(lambda: changes.append([service.name for service in registry.services()]))
        await registry.start()
        try:
            assert [service.name for service in registry.services()] == ["a"]
            assert changes == []
            replace_durably(path, registry_file("b", "a").encode())
            await until(lambda: len(changes) == 1)
            # The same services in another order and form are no change.
            replace_durably(path, ("# again\n" + registry_file("a", "b")).encode())
            # A broken file and a missing one leave the last good snapshot, each is logged once.
            replace_durably(path, b"services: [{name: a, prot: 80}]")
            await until(lambda: len(caplog.records) == 1)
            path.unlink()
            await until(lambda: len(caplog.records) == 2)
            await asyncio.sleep(0.05)  # a few looks more, which must not log again
            assert len(caplog.records) == 2
            assert [service.name for service in registry.services()] == ["a", "b"]
            replace_durably(path, registry_file("a", "b", version="v2").encode())
            await until(lambda: len(changes) == 2)
            assert changes == [["a", "b"], ["a", "b"]]
            assert registry.services()[0].instances[0].labels["version"] == "v2"
        finally:
            await registry.stop()
        first, second = (record.getMessage() for record in caplog.records)
        assert first.startswith(f"{path}:1: services[0].prot: unknown field; did you mean 'port'?")
        assert "No such file" in second

    with caplog.at_level(logging.ERROR, "tage.registry.file"):
        run(test)


def test_a_failing_subscriber_does_not_end_the_watch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        path = tmp_path / "registry.yaml"
        path.write_text(registry_file("a"))
        registry = FileRegistry(path, poll_seconds=0.01)
        changes: list[int] = []

        def failing() -> None:
            raise RuntimeError("subscriber")

        registry.subscribe(failing)
        registry.subscribe(lambda: changes.append(len(registry.services())))
        await registry.start()
        try:
            for count in (2, 3):
                replace_durably(path, registry_file(*"abc"[:count]).encode())
                await until(lambda count=count: changes[-1:] == [count])  # type: ignore[misc]
        finally:
            await registry.stop()

    run(test)
