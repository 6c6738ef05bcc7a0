"""Where requests go to: clusters, their hosts, and the connections to them. Knows no routes.

``connection``   `UpstreamConnection` and `Receiver`: what pools and streams know of each other
``cluster``      `Cluster` (load balancing, limits) and `Host` (one endpoint with its pool)
``limits``       what circuit breakers count, together with the other workers
``shared``       the file in which workers share that, hosts' health and rate limits; ``cells`` are its numbers
``outlier``      outlier detection: hosts that fail are left out for a while
``health``       what workers share of hosts' health; active health checks
``connect``      opening connections
"""
