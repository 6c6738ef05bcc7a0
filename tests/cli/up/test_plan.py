from __future__ import annotations

import os
import sys
from pathlib import Path

from tage.cli.up.addresses import Addresses
from tage.cli.up.plan import PlannedMesh, application_environment, check, infrastructure_environment, plan
from tage.cli.up.programs import TagePrograms
from tage.config import protocols
from tage.config.mesh import Mesh, MeshInstance, MeshService

ADDRESSES = Addresses("127.1.0.1", tuple(f"127.1.0.{host}" for host in range(2, 10)), 8081)


def planned(*services: MeshService) -> PlannedMesh:
    return plan("shop", "prod", Mesh(list(services)), ADDRESSES, {"PATH": "/bin"})


def test_every_replica_has_its_own_name_and_address() -> None:
    mesh = planned(
        MeshService("a", instances=[MeshInstance("x", "v1", replicas=2), MeshInstance("x"), MeshInstance("x", "v1")]),
        MeshService("b", port=81, instances=[MeshInstance("x", "v2", labels={"tier": "back"})]),
        MeshService("none"),
    )
    assert [instance.name for instance in mesh.instances] == ["a-v1-1", "a-v1-2", "a-1", "a-v1-3", "b-v2-1"]
    assert mesh.client == "127.1.0.2"
    assert [instance.address for instance in mesh.instances] == [f"127.1.0.{host}" for host in range(3, 8)]
    assert mesh.instances[-1].labels == {"app": "b", "version": "v2", "tier": "back"}
    assert mesh.instances[2].labels == {"app": "a"}


def test_where_an_instance_is_stands_in_the_registry_and_in_its_sidecars_arguments(tmp_path: Path) -> None:
    mesh = planned(MeshService("a", instances=[MeshInstance("x", locality="r/z"), MeshInstance("x")]))
    (service,) = mesh.registry({})
    assert [instance.locality for instance in service.instances] == ["r/z", ""]
    first, second = (TagePrograms().sidecar(instance, "127.0.0.1:1", tmp_path) for instance in mesh.instances)
    assert first[first.index("--locality") + 1] == "r/z"
    assert "--locality" not in second


def test_names_are_unique_in_the_mesh() -> None:
    mesh = planned(
        MeshService("a-b", instances=[MeshInstance("x", "c")]), MeshService("a", instances=[MeshInstance("x", "b-c")])
    )
    assert [instance.name for instance in mesh.instances] == ["a-b-c-1", "a-b-c-2"]


def test_registry_speaks_of_sidecars_and_readiness() -> None:
    mesh = planned(MeshService("a", port=81, protocol="http", instances=[MeshInstance("x", "v1", replicas=2)]))
    (service,) = mesh.registry({"a-v1-2": True})
    assert (service.name, service.namespace, service.port) == ("a", "prod", 81)
    first, second = service.instances
    assert (first.address, first.port, first.app_address, first.app_port) == ("127.1.0.3", 15006, "127.1.0.3", 8081)
    assert (first.ready, second.ready) == (False, True)


def test_commands_are_split_without_a_shell() -> None:
    mesh = planned(MeshService("a", instances=[MeshInstance("run '$HOST:$PORT' ${PORT} $PORTS $HOME a;b")]))
    assert mesh.instances[0].argv == ("run", "127.1.0.3:8081", "8081", "$PORTS", "$HOME", "a;b")


def test_application_environment() -> None:
    inherited = {
        "PATH": "/usr/bin", "HTTP_PROXY": "http://corporate", "http_proxy": "http://corporate", "NO_PROXY": "*",
        "https_proxy": "http://corporate",
    }  # fmt: skip
    env = application_environment(inherited, "127.1.0.3", 8080, {"STARS": "none", "no_proxy": "db"})
    assert env == {
        "PATH": f"{os.path.dirname(os.path.abspath(sys.executable))}:/usr/bin",
        "HOST": "127.1.0.3",
        "PORT": "8080",
        "TAGE_SIDECAR": "127.1.0.3:15001",
        "http_proxy": "http://127.1.0.3:15001",
        "no_proxy": "db",
        "no_grpc_proxy": "127.0.0.1,localhost,127.1.0.3",
        "https_proxy": "http://corporate",
        "PYTHONUNBUFFERED": "1",
        "STARS": "none",
    }


def test_control_plane_and_sidecars_use_no_proxy() -> None:
    inherited = {"HTTP_PROXY": "x", "https_proxy": "x", "grpc_proxy": "x", "ALL_PROXY": "x", "HOME": "/home"}
    expected = {"HOME": "/home", "PYTHONUNBUFFERED": "1", "TAGE_FILTERS": "/mesh"}
    assert infrastructure_environment(inherited, Path("/mesh")) == expected
    more = infrastructure_environment({"TAGE_FILTERS": "/etc/filters"}, Path("/mesh"))
    assert more["TAGE_FILTERS"] == "/mesh:/etc/filters"


def test_check_names_the_field(tmp_path: Path) -> None:
    script = tmp_path / "run.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    instances = [
        MeshInstance("python app.py"),
        MeshInstance("./run.sh"),
        MeshInstance("./none.sh"),
        MeshInstance("no-such-program"),
        MeshInstance("run 'x"),
        MeshInstance("''"),
        MeshInstance("python", env={"PORT": "80", "OTHER": "1"}),
    ]
    findings = check(Mesh([MeshService("a", instances=instances)]), tmp_path, os.environ)
    at = ("spec", "services", 0, "instances")
    assert findings == [
        ((*at, 2, "command"), "no program './none.sh' that can be run"),
        ((*at, 3, "command"), "no program 'no-such-program' that can be run"),
        ((*at, 4, "command"), 'No closing quotation: "run \'x"'),
        ((*at, 5, "command"), "no program '' that can be run"),
        ((*at, 6, "env", "PORT"), "`tage up` sets this one; remove it"),
    ]


def test_remote_calls_have_ports_that_applications_are_told_of() -> None:
    mesh = planned(
        MeshService("a", instances=[MeshInstance("x", env={"STARS": "1"})]),
        MeshService("b", protocol="bolt", interfaces=["com.example.B"]),
        MeshService("c", protocol="x-ledger"),
        MeshService("my-db", protocol="tcp"),
    )
    assert list(mesh.ports) == ["bolt", "x-ledger", "tcp-my-db"]
    assert mesh.ports["bolt"] == 15101
    env = mesh.instances[0].env
    assert env["TAGE_SIDECAR"] == "127.1.0.3:15001"
    assert env["TAGE_SIDECAR_BOLT"] == "127.1.0.3:15101"
    assert env["TAGE_SIDECAR_X_LEDGER"] == f"127.1.0.3:{mesh.ports['x-ledger']}"
    fqdn = "my-db.prod.svc.cluster.local"
    assert env["TAGE_SIDECAR_TCP_MY_DB"] == f"127.1.0.3:{protocols.service_ports([fqdn], 15001)[fqdn]}"
    _, of_bolt, *_ = mesh.registry({})
    assert (of_bolt.protocol, of_bolt.interfaces) == ("bolt", ("com.example.B",))
    assert planned(MeshService("a")).ports == {}


def test_sidecars_are_told_of_the_files_of_protocols() -> None:
    mesh = plan("shop", "prod", Mesh([MeshService("a")], ["ledger.py", "more"]), ADDRESSES, {})
    assert mesh.protocols == ("ledger.py", "more")
    env = infrastructure_environment({}, Path("/mesh"), mesh.protocols)
    assert env["TAGE_PROTOCOLS"] == "/mesh/ledger.py:/mesh/more"
    env = infrastructure_environment({"TAGE_PROTOCOLS": "/etc/ours"}, Path("/mesh"), mesh.protocols)
    assert env["TAGE_PROTOCOLS"] == "/mesh/ledger.py:/mesh/more:/etc/ours"
    assert infrastructure_environment({"TAGE_PROTOCOLS": "/etc/ours"}, Path("/mesh"))["TAGE_PROTOCOLS"] == "/etc/ours"


def test_check_looks_for_the_files_of_protocols(tmp_path: Path) -> None:
    (tmp_path / "ledger.py").touch()
    instance = MeshInstance("python", env={"TAGE_SIDECAR_BOLT": "127.0.0.1:1"})
    mesh = Mesh([MeshService("a", instances=[instance])], ["ledger.py", "more"])
    assert check(mesh, tmp_path, os.environ) == [
        (("spec", "protocols", 1), f"{tmp_path / 'more'}: no such file or directory"),
        (
            ("spec", "services", 0, "instances", 0, "env", "TAGE_SIDECAR_BOLT"),
            "`tage up` sets this one; remove it",
        ),
    ]
