"""Pilot: config + services -> xDS.

``generate``   pure: a snapshot of config and services, and a node -> v3 listeners, routes, clusters, endpoints
``ads``        the aggregated discovery service over gRPC
``server``     the control plane process: stores, registries, ADS, HTTP API
``api``        the control plane's HTTP API (port 15014): resources and sync status
"""
