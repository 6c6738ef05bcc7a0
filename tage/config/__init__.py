"""Resources: Istio's own and the mesh file.

``model``        `Resource` (apiVersion, kind, metadata, spec) and the table of kinds
``networking``   networking.istio.io: VirtualService, DestinationRule
``mesh``         tage.dev: Mesh, the file that `tage up` runs
``load``         YAML or JSON -> resources, with file, line and field path in every error
``store``        where applied resources live; ``directory`` is the embedded store
``errors``       `ConfigError`
"""
