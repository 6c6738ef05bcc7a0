"""Where a request goes: immutable tables, and pure functions over them. No sockets, no protocols.

``table``        `RouteTable` -> `VirtualHost`: domains
``route``        `Route`: one rule, what it asks of a request and what becomes of one that meets it
``index``        many rules by their paths
``matcher``      what is asked: strings, headers, query parameters
``mutations``    headers that routes add, replace and remove
``redirect``     where a client is sent instead
``destination``  clusters by weight
``policy``       what a route says about retries
``hash_policy``  what of a request says which host it belongs to
``hashing``      XXH64
``regex``        patterns on RE2, and rewriting by them
``tcp``          the route of a TCP proxy
``explain``      why a request meets the route that it meets
``build``        the plan's route configurations -> tables
"""
