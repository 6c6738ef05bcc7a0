"""What a resource must hold beyond its fields' types. Pure: a resource in, findings out.

``finding``            a finding, and what the checks share
``values``             durations, percentages, patterns, header values, ...
``virtual_service``    VirtualService; ``http_route`` and ``http_match``: its rules
``destination_rule``   DestinationRule; ``traffic_policy`` and ``load_balancer``: its policies
``python_filter``      PythonFilter
``rate_limit``         RateLimit
``mesh``               Mesh

Source: Istio's pkg/config/validation, for the fields that Tage carries out. References from one resource to another
(a host that no service has, a subset that no rule defines) are not errors here: resources may come in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tage.config.mesh import Mesh
from tage.config.model import Resource
from tage.config.networking import DestinationRule, Spec, VirtualService
from tage.config.python_filter import PythonFilter
from tage.config.rate_limit import RateLimit
from tage.config.validate import values
from tage.config.validate.destination_rule import destination_rule
from tage.config.validate.finding import Finding, Findings, nested
from tage.config.validate.mesh import interfaces, mesh
from tage.config.validate.python_filter import python_filter
from tage.config.validate.rate_limit import rate_limit
from tage.config.validate.values import labels
from tage.config.validate.virtual_service import virtual_service

__all__ = ["Finding", "Findings", "interfaces", "labels", "validate"]


def validate(resource: Resource) -> list[Finding]:
    """All findings; paths begin at the resource (`metadata`, `spec`)."""
    findings = list(nested("metadata", values.metadata(resource.metadata)))
    check = _CHECKS.get(type(resource.spec))
    if check is not None:
        findings += nested("spec", check(resource.spec))
    return findings


_CHECKS: Mapping[type[Spec], Callable[[Any], Findings]] = {
    VirtualService: virtual_service,
    DestinationRule: destination_rule,
    PythonFilter: python_filter,
    RateLimit: rate_limit,
    Mesh: mesh,
}
