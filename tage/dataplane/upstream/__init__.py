"""Where requests go to: clusters, their hosts, and the connections to them. Knows no routes.

``connection``   `UpstreamConnection` and `Receiver`: what pools and streams know of each other
``cluster``      `Cluster`: hosts, and who of them gets a request
``cluster_info`` what hosts and connections know of their cluster: limits, timeouts, counters
``host``         `Host`: one endpoint with its pool
``endpoint``     what the configuration says of a host
``balancing``    who gets a request
``membership``   a change of a cluster's hosts, prepared
``limits``       what circuit breakers count, together with the other workers
``shared``       the file in which workers share that, hosts' health and rate limits; ``cells`` are its numbers
``outlier``      outlier detection: hosts that fail are left out for a while
``health``       what workers share of hosts' health; active health checks
``connect``      opening connections
"""
