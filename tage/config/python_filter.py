"""tage.dev/v1alpha1 PythonFilter: a filter that a user has written (docs/guides/python-filters.md), and the sidecars
that are to have it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from tage.config.networking import Spec


class WorkloadSelector(Spec, frozen=True):
    """Both must hold; what is not given holds for all."""

    service: str = ""
    """The sidecars of its instances."""
    labels: dict[str, str] = {}


class PythonFilter(Spec, frozen=True):
    """Counts for sidecars of its own namespace. A request meets the filters of several resources by `priority`, highest
    first, then by name. Durations as in Istio."""

    kind: str = msgspec.field(name="class")
    """`FILE.py:Class`, below a directory that the sidecar may take filters from, or `package.module:Class`."""
    selector: WorkloadSelector = WorkloadSelector()
    direction: Literal["inbound", "outbound", "both"] = "inbound"
    """inbound: requests to the application; outbound: those that it makes."""
    priority: int = 0
    config: dict[str, Any] = {}
    failure: Literal["closed", "open"] = "closed"
    timeout: str = ""
    """Of what is awaited; default 5s."""
    blocking_threshold: str = ""
    """How long a call may hold the worker before it is told of; default 10ms."""
