"""What a resource's text is refused for."""

from __future__ import annotations

from tage.config.errors import ConfigError
from tage.config.load import load_text

TO = "route: [{destination: {host: a}}]"


def of_rule(fields: str, to: str = TO) -> list[str]:
    """Of a VirtualService's rule; paths begin in the rule."""
    rule = f"{{{fields}{', ' if fields and to else ''}{to}}}"
    text = f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: a}}
spec: {{hosts: [a], http: [{rule}]}}
"""
    return [finding.removeprefix("spec.http[0].") for finding in of(text)]


def of_policy(policy: str) -> list[str]:
    """Of a DestinationRule's traffic policy; paths begin in the policy."""
    text = f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: a}}
spec: {{host: a, trafficPolicy: {policy}}}
"""
    return [finding.removeprefix("spec.trafficPolicy.") for finding in of(text)]


def of(text: str) -> list[str]:
    try:
        load_text(text)
    except ConfigError as error:
        return [f"{problem.path}: {problem.message}" for problem in error.problems]
    return []
