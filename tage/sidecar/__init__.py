"""One sidecar: a tiny supervisor, an agent and one or more workers.

``plan``         what the agent tells the workers: sections, each one resource
``channel``      length-prefixed messages (with descriptors) over a local socket
``supervisor``   owns the listening sockets and the last plan; starts and restarts agent and workers
``agent``        xDS client, translation into plan sections, admin API
``translate``    Envoy v3 protos -> plan sections, by field path
``admin``        the HTTP API on port 15000
``worker``       the process that carries traffic: builds the data plane's tables from the plan

Nothing on the request path waits for the agent or the control plane.
"""
