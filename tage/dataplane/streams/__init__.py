"""One request and its answer, whatever the protocol.

``stream``            `Stream`: route, cluster, host, timeouts, retries; the state machine stands there
``downstream``        `DownstreamConnection`: what a stream knows of the connection that it came on
``errors``            what goes wrong, with response flags, and each protocol's answer
``forwarding``        header changes that every request gets: request id, x-forwarded-*
``context``           what all streams of a worker share
``http1_downstream``  HTTP/1.1 connections of clients
``http1_upstream``    HTTP/1.1 connections of pools
``tcp_downstream``    TCP connections of clients, relayed as they are
``tcp_upstream``      raw TCP connections: for tunnels
"""
