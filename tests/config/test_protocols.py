from __future__ import annotations

from tage.config import protocols


def test_the_order_of_detection() -> None:
    named = ["x-ledger", "http", "thrift", "dubbo", "bolt", "x-a", "bolt", "hsf"]
    assert protocols.in_order(named) == ("bolt", "dubbo", "hsf", "thrift", "x-a", "x-ledger")
    assert protocols.in_order(["http"]) == ()


def test_named_ports_of_built_in_protocols_are_always_the_same() -> None:
    every = protocols.named_ports(["http", *protocols.BUILTIN], 15001)
    assert every == {"bolt": 15101, "dubbo": 15102, "dubbo-thrift": 15103, "thrift": 15104, "hsf": 15105}
    assert protocols.named_ports(["hsf"], 15001) == {"hsf": 15105}
    assert protocols.named_ports(["hsf"], 20000) == {"hsf": 20104}


def test_named_ports_of_ones_own_follow_from_the_name() -> None:
    many = [f"x-p{number}" for number in range(500)]
    ports = protocols.named_ports(many, 15001)
    assert len(set(ports.values())) == 500, "two that fall together do not share a port"
    assert protocols.named_ports(reversed(many), 15001) == ports
    alone = [protocols.named_ports([name], 15001)[name] for name in many]
    assert all(15201 <= port < 16001 for port in alone)
    assert len(set(alone)) > 300


def test_named_ports_near_the_last_port() -> None:
    ports = protocols.named_ports(["bolt", "x-ledger"], 65500)
    assert ports["bolt"] == 65400
    assert 1 <= ports["x-ledger"] <= 65535


def test_which_are_http() -> None:
    named = ("http", "http2", "grpc", "tcp", "bolt", "x-http")
    assert [name for name in named if protocols.is_http(name)] == ["http", "http2", "grpc"]
    assert [name for name in named if protocols.is_http2(name)] == ["http2", "grpc"]
    assert [name for name in named if protocols.is_rpc(name)] == ["bolt", "x-http"]
    assert [name for name in named if protocols.has_port(name)] == ["grpc", "tcp"]


def test_ports_of_services() -> None:
    many = [f"db{number}.default.svc.cluster.local" for number in range(100)]
    ports = protocols.service_ports(many, 15001)
    assert len(set(ports.values())) == 100
    assert min(ports.values()) >= 16101
    assert protocols.service_ports(reversed(many), 15001) == ports


def test_variables() -> None:
    assert protocols.variable("bolt") == "TAGE_SIDECAR_BOLT"
    assert protocols.variable("dubbo-thrift") == "TAGE_SIDECAR_DUBBO_THRIFT"
    assert protocols.variable("tcp-my-db") == "TAGE_SIDECAR_TCP_MY_DB"
    assert protocols.variable("grpc-greeter") == "TAGE_SIDECAR_GRPC_GREETER"
    assert protocols.variable("x-ledger") == "TAGE_SIDECAR_X_LEDGER"
