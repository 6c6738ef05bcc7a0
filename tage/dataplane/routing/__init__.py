"""Where a request goes: immutable tables, and pure functions over them. No sockets, no protocols.

``table``    `RouteTable` -> `VirtualHost` -> `Route`; matching
``policy``   what a route says about retries
``build``    the plan's route configurations -> tables
"""
