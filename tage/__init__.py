"""Tage: a service mesh in Python.

``tage.config``      resources (Istio's own and the mesh file), their validation, their stores
``tage.registry``    services and their instances, whatever they come from
``tage.pilot``       config + services -> xDS, served over ADS
``tage.sidecar``     one sidecar: supervisor, agent, plan, workers
``tage.dataplane``   what moves bytes; compiled; see its own docstring for the layers
``tage.cli``         the commands

docs/architecture.md shows a request's way through them.
"""

from tage import _pure

if _pure.wanted():
    _pure.install()
