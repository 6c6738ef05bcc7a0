"""Envoy v3 protos -> plan sections: pure functions, and the rule that nothing which is set is silently dropped.

``problem``    what is wrong, by field path; collected, so that a user sees all of it at once
``draft``      what a translation gives: plan sections plus what they still wait for (EDS, RDS, DNS); no protobuf here
``shape``      the walker: a message's set fields against what Tage declares to carry out
``values``     durations, addresses, patterns: the leaves that several resources share
``listener``   Listener and its filter chains -> `draft.ListenerDraft`
``http``       a chain's HTTP connection manager -> `plan.Http`
``http2``      HTTP/2 with clients and with hosts -> `plan.Http2`
``tls``        transport sockets -> `plan.DownstreamTls`, `plan.UpstreamTls` and what they need
``x_protocol`` RPC protocols of chains, clusters and listener filters; ``typed_struct``: what Envoy has no message for
``tcp_proxy``  the TCP proxy filter of a chain -> `plan.Tcp`
``filters``    HTTP filters of listeners and routes, one module a kind
``upgrade``    upgrade_configs, of listeners and routes
``access_log`` the access logs of a listener -> `plan.AccessLog`
``route``      RouteConfiguration -> `plan.Routes`
``cluster``    Cluster -> `draft.ClusterDraft`
``http_options``  HTTP with a cluster's hosts -> fields of `plan.Cluster`
``pool``       a cluster's limits, preconnecting and keepalive -> fields of `plan.Cluster`
``outlier``    a cluster's outlier detection -> `plan.OutlierDetection`
``health_check``  a cluster's active health check -> `plan.HealthCheck`
``dns``        how the names of a cluster are resolved -> `draft.DnsPolicy`
``endpoint``   ClusterLoadAssignment -> `plan.Endpoints`, or the names to resolve

Each ``translate(message, path, problems)`` does both: it walks the message, then builds the section. It goes on after a
problem, for the next one is news as well; what it returns counts only while `problems` is empty.

``python -m tage.sidecar.translate FILE`` reads a bootstrap in a process of its own and writes the drafts to its
standard output, so that an agent with static configuration never loads protobuf.
"""
