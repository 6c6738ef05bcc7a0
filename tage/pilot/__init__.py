"""Pilot: config + services -> xDS.

``generate``   pure: a snapshot of config and services, and a node -> v3 listeners, routes, clusters, endpoints
``world``      what is generated, packed once and shared by all sidecars of a namespace; what differs between two states
``session``    one sidecar's side of ADS, without a socket: requests and states in, responses out
``ads``        the aggregated discovery service over gRPC: sessions on streams
``debounce``   many changes in a row become one push
``api``        the control plane's HTTP API (port 15014): resources and sync status
``control``    `ControlPlane`: stores, registries, ADS and HTTP API in one event loop
``listen``     listening addresses: loopback only, errors that name address and port
``server``     the process: options, signals, exit codes
"""
