"""How a cluster is balanced. `plan.LoadBalancing` has the same fields, and is what a worker's clusters have."""

from __future__ import annotations

from typing import Any


class Settings:
    """The defaults are Envoy's; any can be given another value by name."""

    policy: str = "round_robin"
    """round_robin, random, least_request, ring_hash or maglev."""
    choice_count: int = 2
    active_request_bias: float = 1.0
    slow_start: Any = None
    min_ring_size: int = 1024
    max_ring_size: int = 8 * 1024 * 1024
    table_size: int = 65_537
    hash_hostname: bool = False
    balance_factor: int = 0
    panic_threshold: int = 50
    """Percent of hosts that are healthy; with fewer all are used. 0: never."""
    fail_on_panic: bool = False
    locality_weighted: bool = False
    subsets: Any = None

    def __init__(self, **fields: Any) -> None:
        for name, value in fields.items():
            if not hasattr(type(self), name):
                raise TypeError(f"there is no {name!r} in load balancing")
            setattr(self, name, value)
