from __future__ import annotations

from typing import Any

import pytest

from tage.sidecar.plan import Endpoint, Endpoints, Locality

from .build import address, assignment, problems, translate


def test_endpoints() -> None:
    content = {
        "cluster_name": "c",
        "policy": {"overprovisioning_factor": 140},
        "endpoints": [
            {
                "locality": {"zone": "z"},
                "load_balancing_weight": 2,
                "lb_endpoints": [
                    {"endpoint": {"address": address("127.0.0.2", 1)}},
                    {
                        "endpoint": {"address": address("::1", 2)},
                        "load_balancing_weight": 5,
                        "health_status": "HEALTHY",
                    },
                ],
            },
            {"lb_endpoints": [{"endpoint": {"address": address("127.0.0.3", 3)}, "health_status": "DRAINING"}]},
        ],
    }
    assert translate("endpoint", content) == Endpoints(
        "c",
        [Endpoint("127.0.0.2", 1), Endpoint("::1", 2, 5), Endpoint("127.0.0.3", 3, healthy=False, locality=1)],
        [Locality(zone="z", weight=2), Locality()],
    )


@pytest.mark.parametrize("status", ["UNHEALTHY", "TIMEOUT"])
def test_unhealthy(status: str) -> None:
    [endpoint] = translate(
        "endpoint", assignment({"endpoint": {"address": address()}, "health_status": status})
    ).endpoints
    assert not endpoint.healthy


E = "endpoints[0].lb_endpoints[0]"


@pytest.mark.parametrize(
    ("content", "path", "message"),
    [
        ({}, "cluster_name", "is missing"),
        ({"cluster_name": "c", "endpoints": [{"priority": 129}]}, "endpoints[0].priority", "not be more than 128"),
        ({"cluster_name": "c", "endpoints": [{"proximity": 1}]}, "endpoints[0].proximity", "not supported"),
        (
            {"cluster_name": "c", "policy": {"overprovisioning_factor": 0}},
            "policy.overprovisioning_factor",
            "greater than 0",
        ),
        ({"cluster_name": "c", "policy": {"drop_overloads": [{}]}}, "policy.drop_overloads", "not supported"),
        (
            assignment({"endpoint": {"address": address("host")}}),
            f"{E}.endpoint.address.socket_address.address",
            "not an IP",
        ),
        (
            assignment({"endpoint": {"address": address(port=0)}}),
            f"{E}.endpoint.address.socket_address.port_value",
            "port",
        ),
        (
            assignment({"endpoint": {"address": {"pipe": {"path": "/x"}}}}),
            f"{E}.endpoint.address.pipe",
            "not supported",
        ),
        (assignment({"endpoint": {}}), f"{E}.endpoint.address", "socket_address is missing"),
        (
            assignment({"endpoint": {"address": address()}, "load_balancing_weight": 0}),
            f"{E}.load_balancing_weight",
            "at least 1",
        ),
        (
            assignment(
                {
                    "endpoint": {
                        "address": {"socket_address": {"protocol": "UDP", "address": "127.0.0.1", "port_value": 1}}
                    }
                }
            ),
            f"{E}.endpoint.address.socket_address.protocol",
            "UDP is not supported (only TCP)",
        ),
    ],
)
def test_refused(content: dict[str, Any], path: str, message: str) -> None:
    [problem] = problems("endpoint", content)
    assert problem.path == path
    assert message in problem.message


def test_localities() -> None:
    """Two groups of the same name and priority are one locality."""
    here, there = {"region": "r", "zone": "a"}, {"region": "r", "zone": "b"}
    groups = [(here, 0, 3), (there, 0, 1), (here, 1, 0), (here, 0, 5)]
    content = {
        "cluster_name": "c",
        "policy": {"overprovisioning_factor": 200},
        "endpoints": [
            {
                "locality": locality,
                "priority": priority,
                **({"load_balancing_weight": weight} if weight else {}),
                "lb_endpoints": [{"endpoint": {"address": address(port=port)}}],
            }
            for port, (locality, priority, weight) in enumerate(groups, 1)
        ],
    }
    found = translate("endpoint", content)
    assert found.localities == [Locality("r", "a", "", 5), Locality("r", "b", "", 1), Locality("r", "a")]
    assert [(each.port, each.priority, each.locality) for each in found.endpoints] == [
        (1, 0, 0),
        (2, 0, 1),
        (3, 1, 2),
        (4, 0, 0),
    ]
    assert found.overprovisioning == 200


def test_degraded_and_metadata() -> None:
    metadata = {"envoy.lb": {"version": "v1", "hash_key": "k", "canary": True}, "other": {"x": "y"}}
    [found] = translate(
        "endpoint",
        assignment(
            {
                "endpoint": {"address": address()},
                "health_status": "DEGRADED",
                "metadata": {"filter_metadata": metadata},
            }
        ),
    ).endpoints
    assert (found.healthy, found.degraded) == (True, True)
    assert found.metadata == {"version": "v1", "hash_key": "k"}, "routes ask for text only"
