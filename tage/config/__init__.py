"""Resources: Istio's own and the mesh file.

``model``        `Resource` (apiVersion, kind, metadata, spec) and the table of kinds
``networking``   networking.istio.io: VirtualService, DestinationRule
``mesh``         tage.dev: Mesh, the file that `tage up` runs
``load``         YAML or JSON -> resources, with file, line and field path in every error
``document``     ... its first step: text -> nodes that know their lines
``convert``      ... its second: nodes -> structs, all problems at once
``validate``     ... its third: what holds beyond types; ``names`` and ``duration`` are its vocabulary
``dump``         resources -> YAML or plain values
``store``        where applied resources live: the contract
``directory``    the embedded store: one YAML file a resource; ``files`` writes them so that crashes do no harm
``seeded``       a layer over a store: resources that are there from the start
``errors``       `ConfigError`
"""
