"""A traffic policy's load balancer -> the cluster's."""

from __future__ import annotations

from envoy.config.cluster.v3 import cluster_pb2

from tage.config.networking import ConsistentHashLB, LoadBalancerSettings, TrafficPolicy
from tage.pilot.generate import localities, names

Cluster = cluster_pb2.Cluster

_LB_POLICIES = {
    "UNSPECIFIED": Cluster.LEAST_REQUEST,
    "LEAST_REQUEST": Cluster.LEAST_REQUEST,
    "LEAST_CONN": Cluster.LEAST_REQUEST,
    "ROUND_ROBIN": Cluster.ROUND_ROBIN,
    "RANDOM": Cluster.RANDOM,
}
_RING = 1024
"""Points on the ring where nobody says how many; Envoy's default."""


def apply(policy: TrafficPolicy, cluster: cluster_pb2.Cluster) -> None:
    settings = policy.load_balancer or LoadBalancerSettings()
    if settings.consistent_hash is not None:
        _consistent_hash(settings.consistent_hash, cluster)
    else:
        cluster.lb_policy = _LB_POLICIES[settings.simple]
        _warmup(settings, cluster)
    setting = localities.setting_of(policy)
    # Only where it is asked for: it has each request choose a locality before it chooses a host.
    if setting is not None and (
        setting.distribute or (localities.fails_over(policy) and (setting.failover or setting.failover_priority))
    ):
        cluster.common_lb_config.locality_weighted_lb_config.SetInParent()


def _consistent_hash(hash: ConsistentHashLB, cluster: cluster_pb2.Cluster) -> None:
    if hash.maglev is not None:
        cluster.lb_policy = Cluster.MAGLEV
        if hash.maglev.table_size:
            cluster.maglev_lb_config.table_size.value = hash.maglev.table_size
        return
    size = hash.ring_hash.minimum_ring_size if hash.ring_hash is not None else hash.minimum_ring_size
    cluster.lb_policy = Cluster.RING_HASH
    cluster.ring_hash_lb_config.minimum_ring_size.value = size or _RING


def _warmup(settings: LoadBalancerSettings, cluster: cluster_pb2.Cluster) -> None:
    """New instances get their share little by little."""
    warmup = settings.warmup
    window = warmup.duration if warmup is not None else settings.warmup_duration_secs
    if not window:
        return
    slow_start = Cluster.SlowStartConfig(slow_start_window=names.duration(window))
    if warmup is not None and warmup.aggression is not None:
        # The key may not be empty; there is no runtime to set it in.
        slow_start.aggression.default_value = warmup.aggression
        slow_start.aggression.runtime_key = "warmup.aggression"
    if warmup is not None and warmup.minimum_percent is not None:
        slow_start.min_weight_percent.value = warmup.minimum_percent
    if cluster.lb_policy == Cluster.ROUND_ROBIN:
        cluster.round_robin_lb_config.slow_start_config.CopyFrom(slow_start)
    else:
        cluster.least_request_lb_config.slow_start_config.CopyFrom(slow_start)
