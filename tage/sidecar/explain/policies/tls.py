"""TLS settings in words."""

from __future__ import annotations

from tage.sidecar import plan


def parameters(given: plan.TlsParameters) -> str:
    return f"TLS {given.minimum} to {given.maximum}" + (f" with {', '.join(given.ciphers)}" if given.ciphers else "")
