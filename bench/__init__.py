"""The benchmark harness: `python -m bench [ROW]`, or `make bench`. docs/benchmarks.md says how and why it measures.

``rows``          what is measured, as data: a name, a load, a backend, the proxies that can do that work
``proxies``       how each proxy is started and told when it is ready; configurations are templates in ``peers/``
``route_table``   the fifty virtual hosts of http1-32-routes, in the proxies' words
``backend``       what stands behind the proxies: one nginx worker that answers from memory
``load``          the load drivers: saturation (wrk) and an open-loop generator
``certificates``  an authority, a server's and a client's certificate for each run
``measure``       the rounds: proxies in turn on one core, medians
``idle``          memory of idle connections, and ``idle_report``, its table
``memory``        PSS of all processes of a sidecar, idle and after load
``dynamic``       the same under a control plane
``pauses``        the worker's longest pauses and their causes; ``inject`` is what it adds to the worker's Python
``rpc``           backend and load generator of the RPC rows, compiled by ``build``
``sockets``       which connections processes have
``processes``     starting, pinning, accounting for and stopping processes
``soak``          not a benchmark but shares its parts: load on a mesh whose parts change and die
``relay``         the floor of TCP proxying, compiled by ``build`` too
``report``        the tables, ``results/latest.json``, ``results/*.md``; what all rows share is in ``tables``
"""
