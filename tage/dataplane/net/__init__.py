"""Connections, whatever is spoken on them.

``timers``         one timer wheel a worker
``transport``      the seam under a connection
``reactor``        plain TCP on an epoll descriptor of our own
``tls_transport``  TLS on it, by OpenSSL; ``tls``: contexts, trust, which certificate; ``greeting``: who is let in
``connection``     `Connection`: a byte stream to a peer, with back-pressure
``listener``       accepting sockets, their limits and their end
``entrance``       from `accept` to the filter chain; ``chains``: which one

A connection's first bytes, looked at with MSG_PEEK before a transport exists; parsers without sockets, that share the
answers of ``verdict`` and the reasons of ``errors``:

``detect``          TLS, HTTP/2, HTTP/1 or something else, from at most 24 bytes
``inspection``      HTTP or one of the RPC protocols that a listener names, from at most 64
``client_hello``    a TLS ClientHello's server name, protocols and versions
``proxy_protocol``  the PROXY protocol, read and written (``crc32c`` is its checksum)
"""
