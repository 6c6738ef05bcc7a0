"""One sidecar: a tiny supervisor, an agent and one or more workers.

``plan``         what the agent tells the workers: sections, each one resource
``channel``      length-prefixed messages (with descriptors) over a local socket
``supervisor``   owns the listening sockets and the last plan; starts and restarts agent and workers
``agent``        the agent's process: arguments, exit codes
``engine``       what the agent does while it runs: events to the state machine, its actions to where they belong
``ads_state``    the client side of ADS as a state machine: responses and results in, requests and updates out
``compose``      translated resources -> the sections of a closed plan
``xds``          the gRPC stream to the control plane
``dns``          addresses of DNS clusters, kept fresh
``cares``        one DNS question and its answer, by c-ares
``secrets``      certificates and code from files, read again when they change; ``filter_code`` and ``protocol_files``
                 say which files may hold code
``bootstrap``    an Envoy bootstrap file, read and translated in a child process
``node``         who a Tage sidecar is, for the control plane
``translate``    Envoy v3 protos -> plan sections, by field path
``admin``        the HTTP API on port 15000; ``admin_pages`` what it says, ``metrics`` its statistics
``worker``       the process that carries traffic: builds the data plane's tables from the plan

Nothing on the request path waits for the agent or the control plane.
"""
