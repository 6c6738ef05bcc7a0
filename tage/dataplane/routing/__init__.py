"""Where a request goes: immutable tables, and pure functions over them. No sockets, no protocols.

``table``        `RouteTable` -> `VirtualHost` -> `Route`; matching
``destination``  clusters by weight
``policy``       what a route says about retries
``tcp``          the route of a TCP proxy
``build``        the plan's route configurations -> tables
"""
