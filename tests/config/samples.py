"""Resources that the tests of this folder share."""

from __future__ import annotations

from tage.config.load import load_text
from tage.config.model import Resource


def virtual_service(name: str = "reviews", timeout: str = "1s", namespace: str = "default") -> str:
    return f"""\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: {name}
  namespace: {namespace}
spec:
  hosts: [reviews]
  http:
  - route:
    - destination: {{host: reviews}}
    timeout: {timeout}
"""


def resource(name: str = "reviews", timeout: str = "1s", namespace: str = "default") -> Resource:
    return load_text(virtual_service(name, timeout, namespace))[0]
