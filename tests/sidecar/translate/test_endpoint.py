from __future__ import annotations

from typing import Any

import pytest

from tage.sidecar.plan import Endpoint, Endpoints

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
        "c", [Endpoint("127.0.0.2", 1), Endpoint("::1", 2, 5), Endpoint("127.0.0.3", 3, healthy=False)]
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
        ({"cluster_name": "c", "endpoints": [{"priority": 1}]}, "endpoints[0].priority", "not supported"),
        ({"cluster_name": "c", "policy": {"drop_overloads": [{}]}}, "policy.drop_overloads", "not supported"),
        (
            assignment({"endpoint": {"address": address()}, "health_status": "DEGRADED"}),
            f"{E}.health_status",
            "DEGRADED is not supported",
        ),
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
